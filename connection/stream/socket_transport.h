#pragma once

/// A connected socket as a transport (internal).

#include <sys/uio.h>

#include "../../core/poll_handle.h"
#include "../socket.h"
#include "transport.h"

namespace Workerman::Connection::detail {

/// Owns the descriptor. Part of its connection, as most need no other transport.
class SocketTransport final : public Transport {
 public:
  ~SocketTransport() override { close(); }

  /// Takes `fd` over and watches nothing yet; `handler` is called with `owner` when what is watched happens.
  /// @throws std::system_error; then `fd` stays the caller's.
  void take(EventLoop& loop, int fd, Workerman::detail::PollHandle::Handler handler, void* owner);

  /// As recv(), and what a result of it means that is no number of bytes.
  ssize_t receive(char* to, std::size_t room) noexcept { return recvSome(fd_, to, room); }
  static Read nothing(ssize_t got) noexcept;

  Read read(char* to, std::size_t room) noexcept override {
    const ssize_t got = receive(to, room);
    return got > 0 ? Read{.size = static_cast<std::size_t>(got)} : nothing(got);
  }
  int takeError() noexcept override;
  Written write(const iovec* pieces, int count) noexcept override {
    const ssize_t sent =
        count == 1 ? sendSome(fd_, pieces->iov_base, pieces->iov_len) : sendParts(fd_, pieces, count);
    return sent >= 0 ? Written{.size = static_cast<std::size_t>(sent)} : failed();
  }
  Written writeFile(int file, std::int64_t offset, std::size_t size) noexcept override;
  bool endOutput() noexcept override;
  void close() noexcept override;
  int watch(int events) noexcept override;
  int descriptor() const noexcept override { return fd_; }
  std::size_t unacknowledged() const noexcept override;
  std::size_t unread() const noexcept override;

 private:
  static Written failed() noexcept;

  Workerman::detail::PollHandle poll_;
  int fd_ = -1;
};

}  // namespace Workerman::Connection::detail
