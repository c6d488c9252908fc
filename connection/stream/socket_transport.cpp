#include "socket_transport.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "../socket.h"

namespace Workerman::Connection::detail {
namespace {

/// Of a file, in one call: it may have to come from a disk, for which all others wait.
constexpr std::size_t kMostOfFile = 256 * 1024;

}  // namespace

void SocketTransport::take(EventLoop& loop, int fd, Workerman::detail::PollHandle::Handler handler,
                           void* owner) {
  poll_.open(loop, fd, handler, owner);
  fd_ = fd;
}

/// What a read means that has brought no bytes.
Transport::Read SocketTransport::nothing(ssize_t got) noexcept {
  if (got == 0) return {.got = Got::Ended};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {};
  return {.got = Got::Failed, .error = errno};
}

/// The same for a write that has failed, if it has.
Transport::Written SocketTransport::failed() noexcept {
  const bool isFull = errno == EAGAIN || errno == EWOULDBLOCK;
  return {.error = isFull ? 0 : errno};
}

int SocketTransport::takeError() noexcept {
  return socketError(fd_);
}

Transport::Written SocketTransport::writeFile(int file, std::int64_t offset, std::size_t size) noexcept {
  const ssize_t sent = sendFile(fd_, file, offset, std::min(size, kMostOfFile));
  if (sent > 0) return {.size = static_cast<std::size_t>(sent)};
  if (sent == 0) return {.error = ENODATA};
  // What a file system cannot send goes by way of memory.
  return errno == EINVAL || errno == ENOSYS ? Transport::writeFile(file, offset, size) : failed();
}

bool SocketTransport::endOutput() noexcept {
  ::shutdown(fd_, SHUT_WR);
  return true;
}

void SocketTransport::close() noexcept {
  poll_.close();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

int SocketTransport::watch(int events) noexcept {
  return poll_.watch(events);
}

std::size_t SocketTransport::unacknowledged() const noexcept {
  return unacknowledgedBytes(fd_);
}

std::size_t SocketTransport::unread() const noexcept {
  return unreadBytes(fd_);
}

}  // namespace Workerman::Connection::detail
