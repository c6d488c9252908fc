#pragma once

#include <tuple>
#include <utility>

#include "bound_callback.h"
#include "event_loop.h"
#include "fwd.h"

namespace Workerman {

/// Timers of this thread's loop. Ids are positive and not used again.
/// @see Workerman manual: timer/add, timer/del
class Timer {
 public:
  Timer() = delete;

  /// Calls `fn` every `seconds`, or once if not `persistent`. Fractions work,
  /// to a millisecond; never early. Persistent with 0: in every iteration.
  ///
  ///     Timer::add(2.5, fn);
  ///     Timer::add(10, fn, std::tuple{a, b}, false);
  ///     Timer::add(1, fn, {}, false);
  ///
  /// `args` is a std::tuple for the callback (which may leave out the last
  /// ones), `{}` or nullptr; without any, a callback that takes an int gets its
  /// own timer's id. What `fn` throws goes to the loop's error handler.
  ///
  /// Before the loop runs, but with a Worker made, the timer is kept and
  /// starts with the loop. Infinite seconds never end. Throws
  /// std::invalid_argument for NaN and below 0, std::runtime_error without a Worker.
  template <class F, class Args = std::tuple<>>
  requires detail::Bindable<F, Args>
  static int add(double seconds, F&& fn, Args&& args = {}, bool persistent = true) {
    return addTask(seconds, detail::bindCallback(std::forward<F>(fn), std::forward<Args>(args)), persistent);
  }

  /// As add(), once.
  template <class F, class Args = std::tuple<>>
  requires detail::Bindable<F, Args>
  static int delay(double seconds, F&& fn, Args&& args = {}) {
    return add(seconds, std::forward<F>(fn), std::forward<Args>(args), false);
  }

  /// As add(), again and again.
  template <class F, class Args = std::tuple<>>
  requires detail::Bindable<F, Args>
  static int repeat(double seconds, F&& fn, Args&& args = {}) {
    return add(seconds, std::forward<F>(fn), std::forward<Args>(args), true);
  }

  /// @name What they do not take
  /// @{
  template <class F, class Args = std::tuple<>>
  requires(!detail::Bindable<F, Args>) __attribute__((unavailable(
      "a timer takes (seconds, callback, arguments, persistent): a timer's arguments are a "
      "std::tuple, {} or nullptr, the fourth says whether the timer is persistent; the callback "
      "takes them or the first of them, and where there are none, nothing or the timer's id as an "
      "int"))) static int add(double, F&&, Args&& = {}, bool = true) {
    return 0;
  }
  template <class F, class Args = std::tuple<>>
  requires(!detail::Bindable<F, Args>) __attribute__((unavailable(
      "a timer takes (seconds, callback, arguments): a timer's arguments are a std::tuple, {} or "
      "nullptr; the callback takes them or the first of them, and where there are none, nothing or "
      "the timer's id as an int"))) static int delay(double, F&&, Args&& = {}) {
    return 0;
  }
  template <class F, class Args = std::tuple<>>
  requires(!detail::Bindable<F, Args>) __attribute__((unavailable(
      "a timer takes (seconds, callback, arguments): a timer's arguments are a std::tuple, {} or "
      "nullptr; the callback takes them or the first of them, and where there are none, nothing or "
      "the timer's id as an int"))) static int repeat(double, F&&, Args&& = {}) {
    return 0;
  }
  /// @}

  /// Forgets a timer, also from inside its own callback. False if there is
  /// none of this id (any more).
  static bool del(int timerId);
  /// Forgets every timer of this thread.
  static void delAll();
  /// Blocks this thread, its loop included, for `seconds`.
  static void sleep(double seconds);

  /// For the library: makes `loop` this thread's and starts what waited for
  /// it; nullptr when the loop ends.
  static void init(EventLoop* loop);

 private:
  static int addTask(double seconds, detail::BoundCallback&& task, bool persistent);
};

namespace detail {

/// How many workers this thread has: above 0, timers may be added before
/// there is a loop.
extern constinit thread_local int timersAllowedBeforeLoop;

}  // namespace detail

}  // namespace Workerman
