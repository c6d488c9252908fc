#include "failing_calls.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

thread_local testing::FailingCalls* active = nullptr;

/// Not of the epoll sets that libuv watches for us: it ends the process when it may not.
bool isSocket(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/// The error that the test wants of a call, which is counted.
template <class Ask, class... Arguments>
int wanted(const Ask& ask, Arguments... arguments) {
  const int error = ask ? ask(arguments...) : 0;
  if (error != 0) {
    ++active->failed;
    errno = error;
  }
  return error;
}

}  // namespace

extern "C" int epoll_ctl(int set, int operation, int fd, epoll_event* event) noexcept {
  if (active != nullptr && operation != EPOLL_CTL_DEL && isSocket(fd) &&
      wanted(active->epollControl, fd) != 0)
    return -1;
  return static_cast<int>(::syscall(SYS_epoll_ctl, set, operation, fd, event));
}

extern "C" int accept4(int listener, sockaddr* address, socklen_t* length, int flags) {
  if (active != nullptr && wanted(active->accept) != 0) return -1;
  return static_cast<int>(::syscall(SYS_accept4, listener, address, length, flags));
}

extern "C" int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, timespec* timeout) {
  if (active != nullptr && wanted(active->receiveMany) != 0) return -1;
  return static_cast<int>(::syscall(SYS_recvmmsg, fd, messages, count, flags, timeout));
}

namespace testing {

FailingCalls::FailingCalls() {
  active = this;
}

FailingCalls::~FailingCalls() {
  active = nullptr;
}

}  // namespace testing
