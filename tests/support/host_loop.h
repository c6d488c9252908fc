#pragma once

/// A uv_loop_t as an embedding program has it, and small tools around it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>

#include "deadline.h"

namespace testing {

/// At the end the loop must close clean: whatever was embedded has left nothing.
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

  /// Runs the loop until `done()`; false, and a failed check, if that never comes.
  bool runUntil(const std::function<bool()>& done) {
    uv_timer_t clock;
    uv_timer_init(&loop_, &clock);
    // Often, because an iteration whose timers have made `done()` true still waits for I/O.
    uv_timer_start(
        &clock, [](uv_timer_t*) {}, 2, 2);
    const std::uint64_t deadline = uv_hrtime() + static_cast<std::uint64_t>(kHangSeconds * 1e9);
    while (!done() && uv_hrtime() < deadline) uv_run(&loop_, UV_RUN_ONCE);
    const bool isDone = done();
    CHECK(isDone);
    bool isClosed = false;
    clock.data = &isClosed;
    uv_close(reinterpret_cast<uv_handle_t*>(&clock),
             [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
    while (!isClosed) uv_run(&loop_, UV_RUN_NOWAIT);
    return isDone;
  }

  int iterate() { return uv_run(&loop_, UV_RUN_NOWAIT); }

 private:
  uv_loop_t loop_{};
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

/// A listening socket on a free port of 127.0.0.1, not of our library; the caller closes it.
inline int listenAnywhere(int* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(fd >= 0);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(fd, 16) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

}  // namespace testing
