#pragma once

/// A connected socket as a transport (internal).

#include "../../core/poll_handle.h"
#include "transport.h"

namespace Workerman::Connection::detail {

/// Owns the descriptor. Part of its connection, as most need no other transport.
class SocketTransport final : public Transport {
 public:
  ~SocketTransport() override { close(); }

  /// Takes `fd` over and watches nothing yet; `handler` is called with `owner` when what is watched happens.
  /// @throws std::system_error; then `fd` stays the caller's.
  void take(EventLoop& loop, int fd, Workerman::detail::PollHandle::Handler handler, void* owner);

  Read read(char* to, std::size_t room) noexcept override;
  int takeError() noexcept override;
  Written write(const iovec* pieces, int count) noexcept override;
  Written writeFile(int file, std::int64_t offset, std::size_t size) noexcept override;
  bool endOutput() noexcept override;
  void close() noexcept override;
  int watch(int events) noexcept override;
  int descriptor() const noexcept override { return fd_; }
  std::size_t unacknowledged() const noexcept override;
  std::size_t unread() const noexcept override;

 private:
  Workerman::detail::PollHandle poll_;
  int fd_ = -1;
};

}  // namespace Workerman::Connection::detail
