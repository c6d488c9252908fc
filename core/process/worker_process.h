#pragma once

/// A worker's process, from fork to exit (internal).

#include <sys/types.h>

#include "process_signals.h"
#include "worker_channel.h"
#include "worker_slot.h"

namespace Workerman::detail {

/// In a process just forked: becomes slot.worker's, with its own loop, until
/// that is stopped or `master` has gone.
[[noreturn]] void serveWorker(const WorkerSlot& slot, ChannelToMaster& channel, SignalQueue& signals,
                              pid_t master);

/// Writes what waits to be printed, and exits.
[[noreturn]] void finishProcess(int status);

}  // namespace Workerman::detail
