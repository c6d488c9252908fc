#pragma once

#include "fwd.h"

namespace Workerman::detail {

/// A timer of the library's own (time limits, pings, sweeps): neither counted
/// by EventLoop::getTimerCount() nor ended by Timer::delAll(). One pointer
/// large; while it waits it keeps the loop running. It may be restarted,
/// stopped or destroyed at any time: inside its own callback, and after the
/// loop was closed, when it does nothing.
class LoopTimer {
 public:
  /// Runs inside the loop's DispatchScope, and needs none of its own.
  using Callback = void (*)(void* context) noexcept;

  explicit LoopTimer(EventLoop& loop);
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;
  ~LoopTimer();

  /// Calls `fn(context)` after `seconds` (negative counts as 0: in the next
  /// iteration; infinite and huge: never), again and again with `repeat`. Replaces what was waiting.
  void start(double seconds, Callback fn, void* context, bool repeat = false);
  void stop() noexcept;
  /// Whether it waits; false inside the callback of one that does not repeat.
  bool active() const noexcept;

  struct State;

 private:
  State* state_;
};

}  // namespace Workerman::detail
