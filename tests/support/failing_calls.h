#pragma once

/// System calls that fail when a test wants it: failing_calls.cpp puts itself in front of the C library.

#include <functional>

namespace testing {

/// What epoll_ctl() with ADD or MOD, accept4(), recvmmsg() fail with: asked for each call, 0 lets it pass.
/// At the end all of them pass again. Only this thread's calls.
class FailingCalls {
 public:
  FailingCalls();
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;
  ~FailingCalls();

  /// Of sockets.
  std::function<int(int fd)> epollControl;
  std::function<int()> accept;
  std::function<int()> receiveMany;
  /// How many calls have failed.
  int failed = 0;
};

/// Fails `times` times, then passes.
inline auto failTimes(int error, int times) {
  return [error, times](auto...) mutable { return times-- > 0 ? error : 0; };
}

}  // namespace testing
