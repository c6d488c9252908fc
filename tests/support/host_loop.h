#pragma once

/// A uv_loop_t as an embedding program has it, and small tools around it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <doctest/doctest.h>

#include <functional>

namespace testing {

/// At the end the loop must close clean: whatever was embedded has left nothing.
class HostLoop {
 public:
  HostLoop() { REQUIRE(uv_loop_init(&loop_) == 0); }
  HostLoop(const HostLoop&) = delete;
  HostLoop& operator=(const HostLoop&) = delete;
  ~HostLoop() {
    uv_run(&loop_, UV_RUN_NOWAIT);
    CHECK(uv_loop_close(&loop_) == 0);
  }

  uv_loop_t* get() { return &loop_; }

  /// Runs the loop until `done()`; false if that takes longer than `seconds`.
  bool runUntil(const std::function<bool()>& done, double seconds = 10) {
    uv_timer_t deadline;
    bool isOver = false;
    uv_timer_init(&loop_, &deadline);
    deadline.data = &isOver;
    uv_timer_start(
        &deadline, [](uv_timer_t* timer) { *static_cast<bool*>(timer->data) = true; },
        static_cast<std::uint64_t>(seconds * 1000), 0);
    while (!done() && !isOver) uv_run(&loop_, UV_RUN_ONCE);
    bool isClosed = false;
    deadline.data = &isClosed;
    uv_close(reinterpret_cast<uv_handle_t*>(&deadline),
             [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
    while (!isClosed) uv_run(&loop_, UV_RUN_NOWAIT);
    return done();
  }

 private:
  uv_loop_t loop_{};
};

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
