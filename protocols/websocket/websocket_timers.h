#pragma once

/// What a websocket waits for, each with the timer that it waits with (internal).

#include <cstdint>

#include "../../core/loop_timer.h"

namespace Workerman::Protocols::detail {

/// Pings at an interval, and the time that a pong may take.
struct Heartbeat {
  explicit Heartbeat(EventLoop& loop) : pings(loop), pong(loop) {}
  Workerman::detail::LoopTimer pings;
  /// Runs while a pong is awaited.
  Workerman::detail::LoopTimer pong;
  /// When the ping left: what had been received, and what had been sent before it.
  std::int64_t received = 0;
  std::int64_t sentBefore = 0;
  /// What the peer had taken when it was last looked whether it lives.
  std::int64_t taken = 0;
};

/// Looks whether the peer is quiet, so that the good-bye cuts nothing off.
struct QuietWatch {
  explicit QuietWatch(EventLoop& loop) : looks(loop) {}
  Workerman::detail::LoopTimer looks;
  /// What had been received at the last look.
  std::int64_t received = -1;
  /// How often it is still looked whether an answer has been made.
  std::uint8_t patience = 0;
};

/// How long the peer may take to answer our close frame, or to take more of what was sent before it.
struct ClosingLimit {
  explicit ClosingLimit(EventLoop& loop) : limit(loop) {}
  Workerman::detail::LoopTimer limit;
  /// What the peer had taken when it began.
  std::int64_t taken = 0;
};

}  // namespace Workerman::Protocols::detail
