#pragma once

/// One place among a worker's processes, and how soon it is filled again
/// (internal).

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "../fwd.h"
#include "privileges.h"
#include "worker_channel.h"

namespace Workerman::detail {

class OpenSocket;

using Clock = std::chrono::steady_clock;

/// Seconds as a span of the clock; what is too long for it is a year.
Clock::duration seconds(double value) noexcept;

/// How long a process that ends again and again, soon after its start, is not
/// started: the first time is free, then the wait doubles up to a limit.
class BackOff {
 public:
  /// A process that lives shorter than this has ended soon.
  static constexpr std::chrono::seconds kShortLife{2};
  static constexpr std::chrono::milliseconds kFirst{250};
  static constexpr std::chrono::seconds kLongest{16};

  /// How long to wait after a life of `lived`.
  Clock::duration afterEnd(Clock::duration lived) noexcept;
  /// How many have ended soon without one between that did not.
  unsigned inARow() const noexcept { return inARow_; }

 private:
  unsigned inARow_ = 0;
};

/// The process with one id of a worker, whichever it is at the time.
struct WorkerSlot {
  /// Null: one that only the old binary had, and whose process has yet to end.
  Worker* worker = nullptr;
  /// The worker's then, for the log.
  std::string formerName;
  int id = 0;
  /// Whose rights its process takes; none: those it has.
  std::optional<Identity> identity;
  /// Shared by all of a worker, or its own; the same for each process that comes here.
  std::shared_ptr<OpenSocket> socket;
  /// 0: none at the moment.
  pid_t pid = 0;
  ChannelToWorker channel;
  /// Its onWorkerStart has returned.
  bool isReady = false;
  /// What of `status` and of `connections` is awaited, and how much of the latter has come.
  bool owesStatus = false, owesConnections = false;
  std::size_t answered = 0;
  Clock::time_point startedAt{};
  /// The master has told it to end.
  bool wasTold = false;
  /// Then it is killed, unless it has ended.
  std::optional<Clock::time_point> killAt;
  /// What it was told to do within which limit, for the log.
  std::string reason;
  /// Its next process starts then.
  std::optional<Clock::time_point> startAt;
  BackOff backOff;
};

}  // namespace Workerman::detail
