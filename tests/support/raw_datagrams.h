#pragma once

/// A plain datagram socket of the loopback interface, which the loop does not know.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace testing {

class RawDatagrams {
 public:
  /// On a free port of 127.0.0.1, or of ::1.
  explicit RawDatagrams(bool isIpv6 = false) : isIpv6_(isIpv6) {
    fd_ = ::socket(isIpv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int room = 4 * 1024 * 1024;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    sockaddr_storage where = loopback(0);
    socklen_t size = sizeof where;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&where), length()) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    port_ = ntohs(isIpv6 ? reinterpret_cast<sockaddr_in6&>(where).sin6_port
                         : reinterpret_cast<sockaddr_in&>(where).sin_port);
  }
  RawDatagrams(const RawDatagrams&) = delete;
  RawDatagrams& operator=(const RawDatagrams&) = delete;
  ~RawDatagrams() { ::close(fd_); }

  int port() const { return port_; }

  void send(int port, std::string_view bytes) {
    const sockaddr_storage where = loopback(port);
    CHECK(::sendto(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&where),
                   length()) == static_cast<ssize_t>(bytes.size()));
  }
  /// Adds what has arrived to `received`, each datagram by itself; whether there are `wanted` now.
  bool collect(std::size_t wanted) {
    std::string bytes(65536, '\0');
    sockaddr_in6 from{};
    for (;;) {
      socklen_t size = sizeof from;
      const ssize_t got =
          ::recvfrom(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) return received.size() >= wanted;
      received.emplace_back(bytes, 0, static_cast<std::size_t>(got));
      lastPeer = ntohs(from.sin6_port);
    }
  }

  std::vector<std::string> received;
  /// The port that the last of them came from.
  int lastPeer = 0;

 private:
  sockaddr_storage loopback(int port) const {
    sockaddr_storage where{};
    if (isIpv6_) {
      auto& address = reinterpret_cast<sockaddr_in6&>(where);
      address.sin6_family = AF_INET6;
      address.sin6_addr = in6addr_loopback;
      address.sin6_port = htons(static_cast<std::uint16_t>(port));
    } else {
      auto& address = reinterpret_cast<sockaddr_in&>(where);
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<std::uint16_t>(port));
    }
    return where;
  }
  socklen_t length() const { return isIpv6_ ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }

  bool isIpv6_;
  int fd_ = -1;
  int port_ = 0;
};

}  // namespace testing
