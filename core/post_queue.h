#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "event_loop.h"

namespace Workerman::detail {

/// A function on its way to another thread's loop. Destroyed without having
/// run when the loop ends first.
class PostedTask {
 public:
  PostedTask() = default;
  PostedTask(const PostedTask&) = delete;
  PostedTask& operator=(const PostedTask&) = delete;
  virtual ~PostedTask() = default;
  virtual void run() = 0;
};

/// What other threads hand to a loop. `open` and `close` belong to the loop's
/// thread, `post` to any. EventLoop::close() closes it as well.
class PostQueue {
 public:
  /// From now on post() reaches `loop`. Keeps a loop of our own running until
  /// it is stopped, a host's not. Throws std::runtime_error if the system
  /// refuses, std::logic_error if another EventLoop has this uv loop's queue.
  static void open(EventLoop& loop);
  /// From now on post() returns false. What has not run is destroyed here.
  static void close(EventLoop& loop) noexcept;
  /// Runs `task` on the loop's thread, after those posted before; false (and
  /// the task destroyed) if nobody will run it.
  static bool post(uv_loop_t* loop, std::unique_ptr<PostedTask> task);

  struct Queue;
};

/// Hands `fn`, any callable that takes nothing (a move-only one too), to the
/// thread of `loop`. Thread-safe. False once there is nobody to run it. What
/// it throws goes to that loop's error handler.
template <class F>
bool post(uv_loop_t* loop, F&& fn) {
  using Fn = std::decay_t<F>;
  static_assert(std::is_invocable_v<Fn&>, "a posted function takes no arguments");
  struct Posted final : PostedTask {
    explicit Posted(F&& f) : fn(std::forward<F>(f)) {}
    void run() override { static_cast<void>(std::invoke(fn)); }
    Fn fn;
  };
  return PostQueue::post(loop, std::make_unique<Posted>(std::forward<F>(fn)));
}

}  // namespace Workerman::detail
