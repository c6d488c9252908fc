#pragma once

/// The process that has the workers' processes, and does no work itself
/// (internal).

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "process_signals.h"
#include "worker_process.h"
#include "worker_slot.h"

namespace Workerman::detail {

/// Holds the listening sockets, so that nobody is refused while processes come
/// and go; forks, watches, replaces, reloads and stops them. Has no loop, no
/// thread and no connection, so that a fork copies none.
class Master {
 public:
  /// `program`: the name in log lines.
  explicit Master(std::string program);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  ~Master();

  /// That of this process; null in a worker's, and where there is none.
  static Master* ofThisProcess() noexcept;

  /// Opens the sockets of this thread's workers. @throws as openListeningSocket()
  void openSockets();
  /// Forks the processes and keeps them until all is stopped; gives the status
  /// to exit with. Does not return in a worker's process.
  int run();
  /// Stops all processes; run() returns when they have ended.
  void stop(int code, std::string_view log, StopLevel level = StopLevel::Ordinary);

  /// One of Worker::STATUS_*
  int status() const noexcept;

 private:
  enum class Phase { Starting, Running, Reloading, Stopping };

  void addSlots(Worker& worker);
  void fork(WorkerSlot& slot);
  void forkAllDue();
  void waitForNews();
  std::optional<Clock::time_point> nextDeadline() const;
  void onSignal(int signal);
  void reap();
  void onEnd(WorkerSlot& slot, int status);
  void planNextStart(WorkerSlot& slot);
  void noteReady();
  [[noreturn]] void becomeWorker(const WorkerSlot& slot, pid_t master);
  void tell(WorkerSlot& slot, int signal, bool graceful);
  void killOverdue();
  void startReload(bool graceful);
  void continueReload();
  bool hasProcesses() const noexcept;
  void logLine(std::string_view text) const;

  std::string program_;
  SignalQueue signals_;
  WorkerLink link_;
  /// A deque, as onMasterReload may have it grow while one of them is looked at.
  std::deque<WorkerSlot> slots_;
  Phase phase_ = Phase::Starting;
  StopLevel level_ = StopLevel::None;
  int exitCode_ = 0;
  /// How often which raw status was seen.
  std::map<Worker*, std::map<int, int>> exitStatuses_;

  /// @name The reload under way
  /// @{
  struct Step {
    WorkerSlot* slot;
    pid_t pid;
    /// The new process has this long to become ready.
    std::optional<Clock::time_point> readyBy{};
  };
  std::deque<Step> toReload_;
  bool isGraceful_ = false;
  bool isTold_ = false;
  /// @}
};

}  // namespace Workerman::detail
