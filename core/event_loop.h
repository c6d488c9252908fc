#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "bound_callback.h"
#include "fwd.h"

struct uv_loop_s;
using uv_loop_t = struct uv_loop_s;

namespace Workerman {

namespace detail {

class DispatchScope;
class LoopTimer;
class Poller;
class TimerQueue;
struct LoopLife;

/// What has to happen when the outermost of our callbacks returns.
struct DispatchState {
  unsigned depth = 0;
  bool flushPending = false;
  bool disposePending = false;
};

}  // namespace detail

/// One thread's event loop: timers, descriptors and signals on libuv.
///
/// It either owns its `uv_loop_t` (made in the constructor: construct it after
/// fork) or lives on one of a host, which it never runs, stops, walks or
/// closes. Everything is called on the loop's thread. An exception that a
/// callback lets go is given to the error handler, never to libuv.
///
/// Workerman's name for it is Events::EventInterface; a worker's own is
/// Worker::globalEvent.
/// @see Workerman manual: worker/global-event
class EventLoop {
 public:
  /// Makes a loop of our own. Throws std::runtime_error if the system refuses.
  EventLoop();
  /// Lives on `host`, which must outlive our handles: they are gone once the
  /// host has run its loop after close().
  explicit EventLoop(uv_loop_t* host);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  /// As close(). Not inside one of this loop's callbacks: see dispose().
  ~EventLoop();

  /// Calls `fn` once, after `seconds` (0: in the next iteration). `args` is a
  /// std::tuple for the callback, `{}` or nullptr; without any, a callback that
  /// takes an int gets the timer's id. Returns the id, positive and not used
  /// again. Infinite seconds never end. Throws std::invalid_argument for NaN and below 0.
  template <class F, class Args = std::tuple<>>
  requires detail::Bindable<F, Args>
  int delay(double seconds, F&& fn, Args&& args = {}) {
    return addTimer(seconds, detail::bindCallback(std::forward<F>(fn), std::forward<Args>(args)), false);
  }

  /// As delay(), but again and again; with 0, once in every iteration. A run
  /// that comes late does not shift the later ones; missed ones are left out.
  template <class F, class Args = std::tuple<>>
  requires detail::Bindable<F, Args>
  int repeat(double seconds, F&& fn, Args&& args = {}) {
    return addTimer(seconds, detail::bindCallback(std::forward<F>(fn), std::forward<Args>(args)), true);
  }

  /// Forgets a timer, also from inside its own callback. False if there is
  /// none of this id (any more).
  bool offDelay(int timerId);
  /// The same as offDelay().
  bool offRepeat(int timerId);

  /// Calls `fn` (which may take the descriptor as an int) whenever `fd` can be
  /// read, has ended or has failed; replaces an earlier one. The descriptor
  /// stays the caller's and becomes non-blocking; end the watch before closing
  /// it: one that is closed first loses the watch with a line in the log, at
  /// the latest a moment later, and another file that gets its number is not
  /// taken for it. An error that reading does not clear is told once, not for
  /// ever.
  /// Throws std::runtime_error for what cannot be watched (a regular file).
  template <detail::TakenBy<detail::BoundCallback> F>
  void onReadable(int fd, F&& fn) {
    watchReadable(fd, detail::BoundCallback(std::forward<F>(fn)));
  }
  /// Ends onReadable(). False if there was none.
  bool offReadable(int fd);

  /// As onReadable(), for writing.
  template <detail::TakenBy<detail::BoundCallback> F>
  void onWritable(int fd, F&& fn) {
    watchWritable(fd, detail::BoundCallback(std::forward<F>(fn)));
  }
  /// Ends onWritable(). False if there was none.
  bool offWritable(int fd);

  /// Calls `fn` (which may take the signal as an int) on the loop after the
  /// signal arrived; replaces an earlier one. Does not keep the loop running.
  /// Throws std::runtime_error for a signal that cannot be caught.
  template <detail::TakenBy<detail::BoundCallback> F>
  void onSignal(int signal, F&& fn) {
    watchSignal(signal, detail::BoundCallback(std::forward<F>(fn)));
  }
  /// Ends onSignal() and leaves the signal ignored. False if there was none.
  bool offSignal(int signal);

  /// @name The names of Workerman 4, which the manual still has in places
  /// @{
  static constexpr int EV_READ = 1;
  static constexpr int EV_WRITE = 2;
  static constexpr int EV_SIGNAL = 4;
  static constexpr int EV_TIMER = 8;
  static constexpr int EV_TIMER_ONCE = 16;
  template <class... A>
  __attribute__((
      unavailable("Workerman 5 says globalEvent->onSignal(SIGALRM, fn), onReadable(fd, fn), "
                  "onWritable(fd, fn), repeat(seconds, fn) or delay(seconds, fn)"))) bool
  add(A&&...) {
    return false;
  }
  template <class... A>
  __attribute__((
      unavailable("Workerman 5 says globalEvent->offSignal(SIGALRM), offReadable(fd), "
                  "offWritable(fd), offRepeat(id) or offDelay(id)"))) bool
  del(A&&...) {
    return false;
  }
  /// @}

  /// Forgets every timer of the application.
  void deleteAllTimer();
  /// How many timers of the application are waiting.
  int getTimerCount() const;

  /// Runs our own loop until stop(), or until nothing is left to wait for.
  /// Throws std::logic_error on a host's loop: only the host runs that.
  void run();
  /// Makes run() return after the current callbacks. On a host's loop, which
  /// is not ours to stop, it forgets every timer, descriptor and signal.
  void stop();

  /// What takes the exceptions of callbacks; something thrown that is no
  /// std::exception arrives wrapped. nullptr: they are logged to stderr.
  template <detail::TakenBy<detail::ErrorHandler> F>
  void setErrorHandler(F&& handler) {
    assignErrorHandler(detail::ErrorHandler(std::forward<F>(handler)));
  }

  /// @name What they do not take
  /// @{
  template <class F, class Args = std::tuple<>>
  requires(!detail::Bindable<F, Args>) __attribute__((unavailable(
      "a timer takes (seconds, callback, arguments): a timer's arguments are a std::tuple, {} or "
      "nullptr; the callback takes them or the first of them, and where there are none, nothing or "
      "the timer's id as an int"))) int delay(double, F&&, Args&& = {}) {
    return 0;
  }
  template <class F, class Args = std::tuple<>>
  requires(!detail::Bindable<F, Args>) __attribute__((unavailable(
      "a timer takes (seconds, callback, arguments): a timer's arguments are a std::tuple, {} or "
      "nullptr; the callback takes them or the first of them, and where there are none, nothing or "
      "the timer's id as an int"))) int repeat(double, F&&, Args&& = {}) {
    return 0;
  }
  template <class F>
  requires(!detail::TakenBy<F, detail::BoundCallback>)
      __attribute__((unavailable("the callback of onReadable(descriptor, callback) takes nothing or the "
                                 "descriptor as an int"))) void onReadable(int, F&&) {}
  template <class F>
  requires(!detail::TakenBy<F, detail::BoundCallback>)
      __attribute__((unavailable("the callback of onWritable(descriptor, callback) takes nothing or the "
                                 "descriptor as an int"))) void onWritable(int, F&&) {}
  template <class F>
  requires(!detail::TakenBy<F, detail::BoundCallback>)
      __attribute__((unavailable("the callback of onSignal(signal, callback) takes nothing or the signal's "
                                 "number as an int"))) void onSignal(int, F&&) {}
  template <class F>
  requires(!detail::TakenBy<F, detail::ErrorHandler>) __attribute__((
      unavailable("an error handler takes (const std::exception&) or nothing"))) void setErrorHandler(F&&) {}
  /// @}

  /// The libuv loop underneath.
  uv_loop_t* uvLoop() const { return loop_; }

  // -- for the library ------------------------------------------------------

  /// Ends all that is ours: timers, watches, posted and deferred work; their
  /// captures are released before it returns. On a host's loop the handles
  /// free themselves when the host next runs it, and this object may be gone
  /// by then. Our own is run until every handle and request counted by life()
  /// is gone, so end those first, and then closed: not inside its callbacks.
  /// Again: nothing.
  void close();
  bool isClosed() const { return closed_; }
  bool ownsLoop() const { return owned_; }

  /// Closes a loop and destroys it, at the latest when its outermost running
  /// callback returns.
  /// Throws std::logic_error for a loop of our own that is running callbacks.
  static void dispose(std::unique_ptr<EventLoop> loop);

  /// Runs `fn` in the loop's next iteration, before it waits for I/O, in order
  /// with others; keeps the loop running until then. Not a timer.
  template <class F>
  void defer(F&& fn) {
    addDeferred(detail::Thunk(std::forward<F>(fn)));
  }

  /// `flush` runs when the outermost of our callbacks returns, if
  /// requestFlush() was called meanwhile.
  void setFlushHook(void (*flush)(void* context) noexcept, void* context) {
    flush_ = flush;
    flushContext_ = context;
  }
  void requestFlush() { dispatch_.flushPending = true; }
  /// True while one of our callbacks runs, so that a flush will follow.
  bool isDispatching() const { return dispatch_.depth != 0; }

  /// Inside a catch block: gives what was thrown to the error handler.
  void handleCurrentException() noexcept;

  /// Runs `fn()`; what it throws goes to the error handler.
  template <class F>
  void guarded(F&& fn) noexcept {
    try {
      std::forward<F>(fn)();
    } catch (...) {
      handleCurrentException();
    }
  }

  /// What the sockets of this loop are watched with, made at the first call.
  /// @throws std::system_error
  detail::Poller& poller();

  /// What handles on this loop share with it; outlives it while any is open.
  detail::LoopLife& life() const { return *life_; }

 private:
  friend class detail::DispatchScope;
  friend class detail::TimerQueue;
  friend class detail::LoopTimer;
  friend class Timer;
  struct Impl;

  int addTimer(double seconds, detail::BoundCallback&& task, bool persistent);
  void watchReadable(int fd, detail::BoundCallback task);
  void watchWritable(int fd, detail::BoundCallback task);
  void watchSignal(int signal, detail::BoundCallback task);
  void assignErrorHandler(detail::ErrorHandler handler);
  void addDeferred(detail::Thunk thunk);
  void leaveOutermost() noexcept;
  void wantTick() noexcept;
  detail::TimerQueue& timers() noexcept;
  void requireOpen() const;

  detail::DispatchState dispatch_;
  bool owned_;
  bool closed_ = false;
  void (*flush_)(void*) noexcept = nullptr;
  void* flushContext_ = nullptr;
  uv_loop_t* loop_;
  detail::LoopLife* life_;
  std::unique_ptr<Impl> impl_;
};

namespace detail {

/// Held by everything that libuv calls while it runs callbacks. When the
/// outermost one ends, corked bytes are flushed. The last thing to go: the
/// loop may be destroyed with it.
class DispatchScope {
 public:
  explicit DispatchScope(EventLoop& loop) noexcept : loop_(loop) { ++loop.dispatch_.depth; }
  DispatchScope(const DispatchScope&) = delete;
  DispatchScope& operator=(const DispatchScope&) = delete;
  ~DispatchScope() {
    DispatchState& state = loop_.dispatch_;
    if (state.depth == 1 && (state.flushPending || state.disposePending)) {
      loop_.leaveOutermost();
    } else {
      --state.depth;
    }
  }

 private:
  EventLoop& loop_;
};

}  // namespace detail

}  // namespace Workerman
