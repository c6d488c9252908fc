#pragma once

/// A worker's process, from fork to exit (internal).

#include <sys/types.h>

#include <atomic>
#include <vector>

#include "../descriptor.h"
#include "process_signals.h"
#include "worker_slot.h"

namespace Workerman::detail {

/// What a master and its workers' processes tell each other, beside signals.
class WorkerLink {
 public:
  /// @throws std::system_error
  WorkerLink();
  /// Goes on with what a master has left, see descriptors(), under another binary.
  WorkerLink(int orders, int readEnd, int writeEnd);
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;
  ~WorkerLink();

  /// The master's: how all processes are to stop, which they find out at the
  /// next signal that stops them. A terminal sends its signals to them as well
  /// as to the master, which then sends one: without this, one would pass for two.
  void order(StopLevel level) noexcept { orders_->store(static_cast<int>(level)); }
  /// The master's: readable when takeReady() has something.
  int descriptor() const noexcept { return readEnd_.get(); }
  /// The master's: those processes whose onWorkerStart has returned.
  std::vector<pid_t> takeReady();

  struct Descriptors {
    int orders, readEnd, writeEnd;
  };
  /// The master's: what has to stay open for the next. Still closed here.
  Descriptors descriptors() const noexcept { return {memory_.get(), readEnd_.get(), writeEnd_.get()}; }

  /// A worker's: closes what is the master's.
  void keepWorkersEnd() noexcept {
    readEnd_.reset();
    memory_.reset();
  }
  StopLevel ordered() const noexcept { return static_cast<StopLevel>(orders_->load()); }
  void tellReady() const noexcept;

 private:
  using Orders = std::atomic<int>;
  static_assert(Orders::is_always_lock_free);

  void mapOrders();

  Orders* orders_ = nullptr;
  Descriptor memory_, readEnd_, writeEnd_;
};

/// In a process just forked: becomes slot.worker's, with its own loop, until
/// that is stopped or `master` has gone.
[[noreturn]] void serveWorker(const WorkerSlot& slot, WorkerLink& link, SignalQueue& signals, pid_t master);

/// Writes what waits to be printed, and exits.
[[noreturn]] void finishProcess(int status);

}  // namespace Workerman::detail
