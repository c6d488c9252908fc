#include "connection/names/peer_address.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "connection/socket.h"

using Workerman::Connection::detail::PeerAddress;
using Workerman::Connection::detail::SocketAddress;

namespace {

PeerAddress of(const char* ip, std::uint16_t port) {
  return PeerAddress(*SocketAddress::fromLiteral(ip, port));
}

}  // namespace

TEST_CASE("peer address: takes eight bytes and gives back what it was made of") {
  static_assert(sizeof(PeerAddress) == 8);
  CHECK(of("1.2.3.4", 80).text() == "1.2.3.4:80");
  CHECK(of("255.255.255.255", 65535).text() == "255.255.255.255:65535");
  CHECK(of("127.0.0.1", 1).text() == "127.0.0.1:1");
  CHECK(of("::1", 443).text() == "[::1]:443");
  CHECK(of("fe80::1:2:3%lo", 7).text() == "[fe80::1:2:3%lo]:7");
  CHECK(PeerAddress(SocketAddress::fromUnixPath("/tmp/a.sock")).text() == "/tmp/a.sock");
}

TEST_CASE("peer address: no address is none, 0.0.0.0:0 is one") {
  CHECK_FALSE(PeerAddress().isSet());
  CHECK(PeerAddress().text().empty());
  CHECK_FALSE(PeerAddress(SocketAddress()).isSet());
  const sockaddr unnamed{.sa_family = AF_UNIX, .sa_data = {}};
  CHECK_FALSE(PeerAddress(SocketAddress(&unnamed, sizeof(sa_family_t))).isSet());
  CHECK(of("0.0.0.0", 0).isSet());
  CHECK(of("0.0.0.0", 0).text() == "0.0.0.0:0");
}

TEST_CASE("peer address: moves, also into one that has another") {
  PeerAddress six = of("::2", 2);
  PeerAddress four = of("1.2.3.4", 4);
  four = std::move(six);
  CHECK(four.text() == "[::2]:2");
  const PeerAddress moved(std::move(four));
  CHECK(moved.text() == "[::2]:2");
  CHECK_FALSE(four.isSet());  // NOLINT: that is the point
}
