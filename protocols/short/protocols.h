#pragma once

/// Protocols of one's own, and what they build on: `#include <workerman/protocols.h>`.

#if __cplusplus < 202002L
#error "Workerman needs C++20: compile with -std=c++20 or newer"
#include <stop here>  // Fatal: nothing below would compile.
#endif

#include "protocols/frame.h"
#include "protocols/json_codec.h"
#include "protocols/protocols.h"
#include "protocols/text.h"
#include "protocols/websocket.h"
#include "protocols/ws.h"
#include "worker.h"
