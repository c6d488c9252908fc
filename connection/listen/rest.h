#pragma once

/// What a socket does that goes on in spite of an error (internal).

#include <string>
#include <system_error>

#include "../../core/fwd.h"
#include "../../core/log.h"
#include "../../core/loop_timer.h"
#include "connection_limits.h"

namespace Workerman::Connection::detail {

/// Errors that may last (no descriptor left, no memory for the kernel's list of
/// what is watched, a filter of system calls) would have the loop spin, or the
/// socket forgotten. It is left alone for a moment instead, again and again,
/// and the log says so at the first time of a burst.
class Rest {
 public:
  explicit Rest(EventLoop& loop) : timer_(loop) {}

  bool active() const noexcept { return timer_.active(); }
  void stop() noexcept { timer_.stop(); }
  /// `wakeUp(owner)` is called after the rest. `what` failed with the system's error number `error`.
  void start(const std::string& what, int error, std::uint64_t nowMilliseconds,
             Workerman::detail::LoopTimer::Callback wakeUp, void* owner) {
    if (failures_.begins(nowMilliseconds)) {
      Workerman::detail::log(what + ": " + std::system_category().message(error) + "; trying again every " +
                             std::to_string(static_cast<int>(kSeconds * 1000)) + " ms");
    }
    timer_.start(kSeconds, wakeUp, owner);
  }

 private:
  static constexpr double kSeconds = 0.1;
  Workerman::detail::LoopTimer timer_;
  Burst failures_;
};

}  // namespace Workerman::Connection::detail
