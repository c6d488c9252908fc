#pragma once

/// Everything a program needs: `#include <workerman/workerman.h>`.
/// It is installed beside core/, connection/ and protocols/, hence the paths.

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
#include "protocols/protocols.h"
#include "protocols/text.h"
#include "protocols/websocket.h"
#include "protocols/ws.h"
