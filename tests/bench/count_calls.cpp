/// Preloaded into a client or a server, counts its calls for input, output and waiting, and writes the sums
/// to the file named by BENCH_CALLS when the process ends. Works where strace may not. It sees what goes
/// through libc, which is all that libuv, our library and the others do.

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace {

std::atomic<unsigned long> sends, receives, waits, controls, randoms;

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

[[gnu::destructor]] static void writeSums() {
  const unsigned long sums[] = {sends, receives, waits, controls, randoms};  // before fopen() adds its own
  const char* path = std::getenv("BENCH_CALLS");
  std::FILE* file = path ? std::fopen(path, "w") : nullptr;
  if (file == nullptr) return;
  std::fprintf(file, "send=%lu receive=%lu wait=%lu control=%lu random=%lu\n", sums[0], sums[1], sums[2],
               sums[3], sums[4]);
  std::fclose(file);
}

#define COUNT(counter, result, name, parameters, arguments)   \
  extern "C" result name parameters {                         \
    static auto* const real = next<result parameters>(#name); \
    counter.fetch_add(1, std::memory_order_relaxed);          \
    return real arguments;                                    \
  }

COUNT(sends, ssize_t, write, (int fd, const void* data, size_t size), (fd, data, size))
COUNT(sends, ssize_t, writev, (int fd, const iovec* parts, int count), (fd, parts, count))
COUNT(sends, ssize_t, send, (int fd, const void* data, size_t size, int flags), (fd, data, size, flags))
COUNT(sends, ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
COUNT(receives, ssize_t, read, (int fd, void* data, size_t size), (fd, data, size))
COUNT(receives, ssize_t, readv, (int fd, const iovec* parts, int count), (fd, parts, count))
COUNT(receives, ssize_t, recv, (int fd, void* data, size_t size, int flags), (fd, data, size, flags))
COUNT(receives, ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
COUNT(waits, int, epoll_wait, (int fd, epoll_event* events, int count, int timeout),
      (fd, events, count, timeout))
COUNT(waits, int, epoll_pwait, (int fd, epoll_event* events, int count, int timeout, const sigset_t* mask),
      (fd, events, count, timeout, mask))
COUNT(waits, int, poll, (pollfd * sockets, nfds_t count, int timeout), (sockets, count, timeout))
COUNT(waits, int, ppoll, (pollfd * sockets, nfds_t count, const timespec* timeout, const sigset_t* mask),
      (sockets, count, timeout, mask))
COUNT(controls, int, epoll_ctl, (int fd, int operation, int target, epoll_event* event) noexcept,
      (fd, operation, target, event))
COUNT(randoms, ssize_t, getrandom, (void* data, size_t size, unsigned flags), (data, size, flags))
// What _FORTIFY_SOURCE turns the calls into.
COUNT(receives, ssize_t, __read_chk, (int fd, void* data, size_t size, size_t room), (fd, data, size, room))
COUNT(receives, ssize_t, __recv_chk, (int fd, void* data, size_t size, size_t room, int flags),
      (fd, data, size, room, flags))
COUNT(waits, int, __poll_chk, (pollfd * sockets, nfds_t count, int timeout, size_t room),
      (sockets, count, timeout, room))
