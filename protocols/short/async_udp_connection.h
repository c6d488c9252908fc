#pragma once

/// What a client of datagrams needs: `#include <workerman/async_udp_connection.h>`, Worker and Timer
/// included.

#if __cplusplus < 202002L
#error "Workerman needs C++20: compile with -std=c++20 or newer"
#include <stop here>  // Fatal: nothing below would compile.
#endif

#include "connection/datagram/async_udp_connection.h"
#include "worker.h"
