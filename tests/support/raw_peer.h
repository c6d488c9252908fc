#pragma once

/// Plain sockets of the loopback interface: peers that do what a connection of
/// ours would not, such as resetting, or never reading.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <workerman/workerman.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace testing {

/// One connected socket, non-blocking, or none.
class RawSocket {
 public:
  explicit RawSocket(int fd = -1) : fd_(fd) {}
  RawSocket(RawSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), isAtEnd_(std::exchange(other.isAtEnd_, false)) {}
  RawSocket& operator=(RawSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(isAtEnd_, other.isAtEnd_);
    return *this;
  }
  ~RawSocket() { close(); }

  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  void send(std::string_view bytes) {
    CHECK(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  /// What has arrived, at most `most` bytes; nothing when there is nothing (yet, or any more).
  std::string receive(std::size_t most = 65536) {
    std::string bytes(most, '\0');
    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    isAtEnd_ = isAtEnd_ || got == 0;
    return bytes;
  }
  /// All that has arrived.
  std::string receiveAll() {
    std::string bytes, piece;
    while (!(piece = receive()).empty()) bytes += piece;
    return bytes;
  }
  /// Whether receive() has met the peer's FIN.
  bool isAtEnd() const { return isAtEnd_; }

  void shutdownWrite() { CHECK(::shutdown(fd_, SHUT_WR) == 0); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// Closes with RST.
  void reset() {
    const linger hard{1, 0};
    CHECK(::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
    close();
  }

 private:
  int fd_;
  bool isAtEnd_ = false;
};

/// Listens on a free port of 127.0.0.1, or as told. Nobody accepts unless accept() is called.
class RawListener {
 public:
  explicit RawListener(int backlog = 16, const char* ip = "127.0.0.1", int port = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::inet_pton(AF_INET, ip, &where.sin_addr) == 1);
    socklen_t size = sizeof where;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(::listen(fd_, backlog) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    port_ = ntohs(where.sin_port);
  }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  ~RawListener() { close(); }

  int port() const { return port_; }
  std::string address(const std::string& scheme = "tcp") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_);
  }
  /// A connection that waits, or none.
  RawSocket accept() { return RawSocket(::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)); }
  /// Whether `socket` is connected, with one that waits if it was not before.
  bool acceptInto(RawSocket& socket) {
    if (!socket) socket = accept();
    return static_cast<bool>(socket);
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
  int port_ = 0;
};

/// Listens where connections get no answer: its queue is full, until accept() makes room.
class StalledListener : public RawListener {
 public:
  explicit StalledListener(const char* ip = "127.0.0.1", int port = 0) : RawListener(0, ip, port) {
    for (int i = 0; i < 3; ++i) {
      fill_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      sockaddr_in where{};
      where.sin_family = AF_INET;
      where.sin_port = htons(static_cast<std::uint16_t>(this->port()));
      REQUIRE(::inet_pton(AF_INET, ip, &where.sin_addr) == 1);
      static_cast<void>(::connect(fill_.back().fd(), reinterpret_cast<sockaddr*>(&where), sizeof where));
    }
  }

 private:
  std::vector<RawSocket> fill_;
};

/// A plain connection to a port of 127.0.0.1.
inline RawSocket connectRaw(int port) {
  RawSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  REQUIRE(::fcntl(socket.fd(), F_SETFL, O_NONBLOCK) == 0);
  return socket;
}

/// Wakes the loop up every few milliseconds, for tests that look at plain
/// sockets, whose events the loop does not know.
class Ticker {
 public:
  Ticker() : timer_(Workerman::Timer::add(0.002, [] {})) {}
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;
  ~Ticker() { Workerman::Timer::del(timer_); }

 private:
  int timer_;
};

/// A port of 127.0.0.1 that refuses connections: bound, and nobody listens.
class RefusingPort {
 public:
  RefusingPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    port_ = ntohs(where.sin_port);
  }
  RefusingPort(const RefusingPort&) = delete;
  RefusingPort& operator=(const RefusingPort&) = delete;
  ~RefusingPort() { ::close(fd_); }

  int port() const { return port_; }
  std::string address(const std::string& scheme = "tcp") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_);
  }

 private:
  int fd_;
  int port_ = 0;
};

}  // namespace testing
