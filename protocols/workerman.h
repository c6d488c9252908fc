#pragma once

/// Everything a program needs: `#include <workerman/workerman.h>`.
/// It is installed beside core/, connection/ and protocols/, hence the paths.

#if __cplusplus < 202002L
#error "Workerman needs C++20: compile with -std=c++20 or newer"
#include <stop here>  // Fatal: nothing below would compile.
#endif

#include <nlohmann/json.hpp>

#include "connection/datagram/async_udp_connection.h"
#include "connection/datagram/udp_connection.h"
#include "connection/stream/async_tcp_connection.h"
#include "connection/stream/tcp_connection.h"
#include "core/event_loop.h"
#include "core/timer.h"
#include "core/worker.h"
#include "protocols/frame.h"
#include "protocols/http/request.h"
#include "protocols/http/response.h"
#include "protocols/json_codec.h"
#include "protocols/protocols.h"
#include "protocols/text.h"
#include "protocols/websocket.h"
#include "protocols/ws.h"
#include "version.h"
