#pragma once

/// What a client needs: `#include <workerman/async_tcp_connection.h>`, Worker and Timer included.

#if __cplusplus < 202002L
#error "Workerman needs C++20: compile with -std=c++20 or newer"
#include <stop here>  // Fatal: nothing below would compile.
#endif

#include "connection/stream/async_tcp_connection.h"
#include "protocols/ws.h"
#include "worker.h"
