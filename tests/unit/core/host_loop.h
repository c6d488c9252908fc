#pragma once

/// A host's libuv loop for tests. It must close clean at the end of each.

#include <uv.h>

#include <doctest/doctest.h>

#include <cstdint>

class HostLoop {
 public:
  HostLoop() { REQUIRE(uv_loop_init(&loop_) == 0); }
  HostLoop(const HostLoop&) = delete;
  HostLoop& operator=(const HostLoop&) = delete;
  ~HostLoop() {
    CHECK(uv_run(&loop_, UV_RUN_NOWAIT) == 0);  // Close callbacks only: nothing is left that waits.
    CHECK(uv_loop_close(&loop_) == 0);
  }

  uv_loop_t* get() { return &loop_; }

  /// Runs until `done()`; fails the test after ten seconds.
  template <class Done>
  void runUntil(Done done) {
    uv_timer_t clock;
    uv_timer_init(&loop_, &clock);
    // Often, because an iteration whose timers have made `done()` true still waits for I/O.
    uv_timer_start(
        &clock, [](uv_timer_t*) {}, 2, 2);
    const std::uint64_t deadline = uv_hrtime() + 10'000'000'000;
    while (!done() && uv_hrtime() < deadline) {
      uv_run(&loop_, UV_RUN_ONCE);
    }
    CHECK(done());
    uv_close(reinterpret_cast<uv_handle_t*>(&clock), nullptr);
    uv_run(&loop_, UV_RUN_NOWAIT);
  }

  int iterate() { return uv_run(&loop_, UV_RUN_NOWAIT); }

 private:
  uv_loop_t loop_;
};

/// Counts the iterations of a loop.
class IterationCounter {
 public:
  explicit IterationCounter(uv_loop_t* loop) {
    uv_prepare_init(loop, &prepare_);
    prepare_.data = this;
    uv_prepare_start(&prepare_,
                     [](uv_prepare_t* prepare) { ++static_cast<IterationCounter*>(prepare->data)->count; });
    uv_unref(reinterpret_cast<uv_handle_t*>(&prepare_));
  }
  IterationCounter(const IterationCounter&) = delete;
  IterationCounter& operator=(const IterationCounter&) = delete;
  ~IterationCounter() {
    uv_loop_t* loop = prepare_.loop;
    uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
    uv_run(loop, UV_RUN_NOWAIT);
  }

  int count = 0;

 private:
  uv_prepare_t prepare_;
};

/// Keeps the thread busy, as long synchronous work does.
inline void workFor(int milliseconds) {
  const std::uint64_t end = uv_hrtime() + static_cast<std::uint64_t>(milliseconds) * 1'000'000;
  while (uv_hrtime() < end) {
  }
}
