#pragma once

/// Timers, and the Worker that runs them: `#include <workerman/timer.h>`.

#if __cplusplus < 202002L
#error "Workerman needs C++20: compile with -std=c++20 or newer"
#include <stop here>  // Fatal: nothing below would compile.
#endif

#include "core/timer.h"
#include "worker.h"
