#pragma once

/// What a server needs: `#include <workerman/worker.h>`, without the JSON library's header.
/// Installed beside core/, connection/ and protocols/, hence the paths.

#if __cplusplus < 202002L
#error "Workerman needs C++20: compile with -std=c++20 or newer"
#include <stop here>  // Fatal: nothing below would compile.
#endif

#include "connection/datagram/udp_connection.h"
#include "connection/stream/tcp_connection.h"
#include "core/event_loop.h"
#include "core/timer.h"
#include "core/worker.h"
#include "protocols/http/request.h"
#include "protocols/http/response.h"
#include "protocols/websocket.h"
#include "version.h"
