#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

struct iovec;

namespace Workerman::Connection::detail {

/// Owns a file descriptor; closes it at the end. -1 for none.
class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset(other.release());
    }
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor away.
  int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the old one, leaving errno alone.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

/// An IPv4, IPv6 or unix address as the kernel takes it.
class SocketAddress {
 public:
  SocketAddress() noexcept = default;
  /// Copies; more than a sockaddr_storage is cut.
  SocketAddress(const sockaddr* address, socklen_t length) noexcept;

  /// An IP literal: `1.2.3.4`, `::1`, `fe80::1%eth0` (or `%2`). Nothing for a name, and for a zone
  /// that is no interface of this machine. Never looks a name up.
  static std::optional<SocketAddress> fromLiteral(std::string_view host, std::uint16_t port);
  /// `1.2.3.4:80` or `[::1]:80`, PHP's `bindto`; `0:80` and `:80` mean any IPv4 address.
  /// @throws std::invalid_argument naming the text.
  static SocketAddress fromLiteralAndPort(std::string_view text);
  /// A unix socket's file; `@name` stays a file of that name.
  /// @throws std::invalid_argument when it is empty, holds a NUL, or has more than 107 bytes.
  static SocketAddress fromUnixPath(std::string_view path);

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const noexcept { return length_; }
  int family() const noexcept { return length_ == 0 ? AF_UNSPEC : storage_.ss_family; }
  bool isIp() const noexcept { return family() == AF_INET || family() == AF_INET6; }
  /// 0 for anything but IP.
  std::uint16_t port() const noexcept;
  void setPort(std::uint16_t port) noexcept;
  /// Whether both are the same IP address, zone and port.
  bool isSameIp(const SocketAddress& other) const noexcept;
  /// `1.2.3.4`, `::1`, `fe80::1%eth0`; empty for unix.
  std::string ip() const;
  /// `1.2.3.4:80`, `[::1]:80`, the unix path; empty for an unnamed one.
  std::string text() const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

// All below return -1 and set errno on failure unless they say otherwise. None blocks, none raises SIGPIPE.

/// A non-blocking, close-on-exec socket.
int openSocket(int family, int type) noexcept;
/// 0 when connected at once, else -1 with errno (EINPROGRESS: wait until it is writable, then `socketError`).
/// EAGAIN, of a unix socket only: the listener's queue is full; nothing will follow.
int connectTo(int fd, const SocketAddress& address) noexcept;
/// Binds the local end. SO_REUSEADDR is set, so that a fixed port can be used again at once.
int bindTo(int fd, const SocketAddress& address) noexcept;

struct ListenOptions {
  int backlog = 1024;
  bool reusePort = false;
  /// The system's default while not given; IPv6 only.
  std::optional<bool> v6Only{};
};
/// Opens, binds and listens. What is accepted from an IP socket has the options of setTcpOptions(): it takes
/// them over from the one that listens.
int listenOn(const SocketAddress& address, const ListenOptions& options) noexcept;
/// The next connection of a listening socket, non-blocking and close-on-exec; `peer` may be null.
int acceptFrom(int listener, SocketAddress* peer) noexcept;

/// Bytes written, which may be fewer than given; EINTR is retried. Never raises SIGPIPE.
ssize_t sendParts(int fd, const iovec* parts, int count) noexcept;
inline ssize_t sendSome(int fd, const void* data, std::size_t size) noexcept {
  for (;;) {
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
    if (sent >= 0 || errno != EINTR) [[likely]]
      return sent;
  }
}
/// Bytes read, 0 at the end; EINTR is retried.
inline ssize_t recvSome(int fd, void* buffer, std::size_t size) noexcept {
  for (;;) {
    const ssize_t received = ::recv(fd, buffer, size, 0);
    if (received >= 0 || errno != EINTR) [[likely]]
      return received;
  }
}

/// Bytes of `file`, from `offset`, that the socket has taken; 0 at the file's end. Never raises SIGPIPE.
ssize_t sendFile(int fd, int file, std::int64_t offset, std::size_t size) noexcept;

/// SO_KEEPALIVE and, unless false, TCP_NODELAY; keep-alive after 55 s, every 55 s, one try: as PHP
/// sets them. What a socket does not support is left out silently.
void setTcpOptions(int fd, bool noDelay = true) noexcept;
/// How many bytes written are not acknowledged by the peer; of a unix socket, not read.
std::size_t unacknowledgedBytes(int fd) noexcept;
/// How many bytes have arrived and wait to be read.
std::size_t unreadBytes(int fd) noexcept;
/// SO_ERROR, which reading clears: 0 for none.
int socketError(int fd) noexcept;
/// The local or remote end; an empty address on failure.
SocketAddress localAddress(int fd) noexcept;
SocketAddress peerAddress(int fd) noexcept;

}  // namespace Workerman::Connection::detail
