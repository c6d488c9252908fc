#pragma once

/// The process that has the workers' processes, and does no work itself
/// (internal).

#include <cstdint>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binary_upgrade.h"
#include "daemon.h"
#include "handover.h"
#include "inherited_sockets.h"
#include "pid_file.h"
#include "process_signals.h"
#include "status_file.h"
#include "status_report.h"
#include "worker_process.h"
#include "worker_slot.h"

namespace Workerman::detail {

/// Holds the listening sockets, so that nobody is refused while processes come
/// and go; forks, watches, replaces, reloads and stops them. Has no loop, no
/// thread and no connection, so that a fork copies none.
class Master {
 public:
  /// `program`: the name in log lines. `inherited`: what openSockets() need not open.
  Master(std::string program, Executable executable, PidFile pidFile, InheritedSockets inherited);
  /// Goes on where the old binary has left off; call takeOver(), not openSockets().
  Master(std::string program, Executable executable, PidFile pidFile, const Handover& before);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  ~Master();

  /// That of this process; null in a worker's, and where there is none.
  static Master* ofThisProcess() noexcept;

  /// Opens the sockets of this thread's workers and looks up their users.
  /// @throws as openListeningSocket() and findIdentity()
  void openSockets();
  /// The same with the sockets, processes and counts of the old binary, whose reload goes on.
  void takeOver(const Handover& before);
  /// What openSockets() has opened or inherited.
  std::vector<InheritedSocket> sockets() const;
  /// Forks the processes and keeps them until all is stopped; gives the status
  /// to exit with. Does not return in a worker's process. `launcher` is told
  /// once every worker has started; if one ends before that, it is told so, and
  /// all of them are stopped.
  int run(Readiness launcher);
  /// Stops all processes; run() returns when they have ended.
  void stop(int code, std::string_view log, StopLevel level = StopLevel::Ordinary);

  /// What there is to say of the workers.
  GlobalStatus report() const;

  /// One of Worker::STATUS_*
  int status() const noexcept;

 private:
  enum class Phase { Starting, Running, Reloading, Stopping };

  void addAllSlots();
  void addSlots(Worker& worker);
  bool fork(WorkerSlot& slot);
  void forkAllDue();
  void waitForNews();
  std::optional<Clock::time_point> nextDeadline() const;
  void onSignal(int signal);
  void reap();
  void onEnd(WorkerSlot& slot, int status);
  void planNextStart(WorkerSlot& slot);
  void hear(WorkerSlot& slot);
  void noteUp();
  void notifyReady() const;
  void failStart(const std::string& why);
  [[noreturn]] void becomeWorker(WorkerSlot& slot, Descriptor channel, pid_t master);
  void tell(WorkerSlot& slot, int signal, bool graceful);
  void killOverdue();
  void startReload(bool graceful);
  void reloadCertificates(const Worker& worker) const;
  void planReload();
  void continueReload();
  void endReload();
  void tryNewBinary();
  void continueUpgrade();
  void keepOldBinary(const std::string& why);
  Handover handOver() const;
  void adoptProcesses(const Handover& before);
  bool hasProcesses() const noexcept;
  void keepPidFile();
  void beginReport(int signal);
  void take(WorkerSlot& slot, const Said& said);
  void endReports();
  void removeReports() const;
  void logLine(std::string_view text) const;

  std::string program_;
  Executable executable_;
  PidFile pidFile_;
  bool isPidFileLost_ = false;
  Clock::time_point nextPidFileLook_{};
  InheritedSockets inherited_;
  Readiness launcher_;
  /// All workers have been ready at the same time.
  bool isUp_ = false;
  SignalQueue signals_;
  /// A deque, as onMasterReload may have it grow while one of them is looked at.
  std::deque<WorkerSlot> slots_;
  Phase phase_ = Phase::Starting;
  StopLevel level_ = StopLevel::None;
  int exitCode_ = 0;
  std::int64_t startTime_ = std::time(nullptr);
  /// How often which raw status was seen.
  std::map<Worker*, std::map<int, std::uint64_t>> exitStatuses_;

  /// @name The reload under way
  /// @{
  struct Step {
    WorkerSlot* slot;
    /// To be told with `signal` to end; 0: only to be waited for.
    pid_t pid;
    int signal;
    /// The new process has this long to become ready.
    std::optional<Clock::time_point> readyBy{};
  };
  std::deque<Step> toReload_;
  bool isGraceful_ = false;
  /// While a new binary is tried.
  std::unique_ptr<Trial> trial_;
  /// Asked for meanwhile: gracefully or not.
  std::optional<bool> reloadAgain_;
  /// @}

  /// @name The reports under way
  /// @{
  struct Report {
    Answer kind;
    bool WorkerSlot::*isOwed;
    StatusFile file{};
    std::uint8_t number = 0;
    std::optional<Clock::time_point> until{};
  };
  Report reports_[2]{{Answer::Status, &WorkerSlot::owesStatus},
                     {Answer::Connections, &WorkerSlot::owesConnections}};
  std::uint8_t lastNumber_ = 0;
  /// @}
};

/// Its worker's name, for the log.
const std::string& nameIn(const WorkerSlot& slot) noexcept;

}  // namespace Workerman::detail
