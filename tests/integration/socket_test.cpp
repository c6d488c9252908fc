#include "connection/socket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "support/deadline.h"
#include "support/temporary_folder.h"

using namespace Workerman::Connection::detail;

namespace {

bool waitFor(int fd, short events) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, static_cast<int>(testing::kHangSeconds * 1000)) == 1;
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

bool isNonBlocking(int fd) {
  return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}
bool isCloseOnExec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

struct Pair {
  FileDescriptor listener, client, server;
  SocketAddress peer;
};

Pair connectedPair(const SocketAddress& address, const ListenOptions& options = {}) {
  Pair pair;
  pair.listener.reset(listenOn(address, options));
  REQUIRE(pair.listener);
  const SocketAddress bound = localAddress(pair.listener.get());
  pair.client.reset(openSocket(bound.family(), SOCK_STREAM));
  REQUIRE(pair.client);
  if (connectTo(pair.client.get(), bound) != 0) {
    REQUIRE(errno == EINPROGRESS);
    REQUIRE(waitFor(pair.client.get(), POLLOUT));
  }
  REQUIRE(socketError(pair.client.get()) == 0);
  REQUIRE(waitFor(pair.listener.get(), POLLIN));
  pair.server.reset(acceptFrom(pair.listener.get(), &pair.peer));
  REQUIRE(pair.server);
  return pair;
}

SocketAddress literal(std::string_view host, std::uint16_t port = 0) {
  return SocketAddress::fromLiteral(host, port).value();
}

}  // namespace

TEST_CASE("socket address: IP literals are taken and printed, names are not") {
  const struct {
    std::string_view host;
    std::uint16_t port;
    std::string_view ip, text;
  } good[] = {
      {"1.2.3.4", 80, "1.2.3.4", "1.2.3.4:80"},
      {"0.0.0.0", 0, "0.0.0.0", "0.0.0.0:0"},
      {"::1", 65535, "::1", "[::1]:65535"},
      {"2001:DB8:0::1", 1, "2001:db8::1", "[2001:db8::1]:1"},
      {"fe80::1%lo", 80, "fe80::1%lo", "[fe80::1%lo]:80"},
      {"fe80::1%1", 80, "fe80::1%lo", "[fe80::1%lo]:80"},
  };
  for (const auto& c : good) {
    CAPTURE(c.host);
    const auto address = SocketAddress::fromLiteral(c.host, c.port);
    REQUIRE(address.has_value());
    CHECK(address->ip() == c.ip);
    CHECK(address->text() == c.text);
    CHECK(address->port() == c.port);
    CHECK(address->isIp());
  }
  using namespace std::string_view_literals;
  for (const std::string_view bad :
       {"localhost"sv, ""sv, "1.2.3"sv, "1.2.3.4.5"sv, "1.2.3.4%lo"sv, "[::1]"sv, ":"sv, "::1%"sv,
        "fe80::1%no-such-if"sv, "1.2.3.4\0x"sv, "fe80::1%0"sv}) {
    CAPTURE(bad);
    CHECK_FALSE(SocketAddress::fromLiteral(bad, 80).has_value());
  }
}

TEST_CASE("socket address: bindto is ip:port, [ip]:port or only a port (PHP manual: context/socket)") {
  const struct {
    std::string_view text, result;
  } good[] = {
      {"127.0.0.1:0", "127.0.0.1:0"}, {"[::1]:7000", "[::1]:7000"}, {"0:7000", "0.0.0.0:7000"},
      {":7000", "0.0.0.0:7000"},      {"[::]:0", "[::]:0"},
  };
  for (const auto& c : good) {
    CAPTURE(c.text);
    CHECK(SocketAddress::fromLiteralAndPort(c.text).text() == c.result);
  }
  for (const std::string_view bad :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",
        "[127.0.0.1]:80", "localhost:80", "[]:80", "127.0.0.1:1 "}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(SocketAddress::fromLiteralAndPort(bad), std::invalid_argument);
  }
}

TEST_CASE("socket address: a unix path has 1 to 107 bytes and no NUL") {
  CHECK(SocketAddress::fromUnixPath("/tmp/a.sock").text() == "/tmp/a.sock");
  CHECK(SocketAddress::fromUnixPath(std::string(107, 'x')).text() == std::string(107, 'x'));
  CHECK(SocketAddress::fromUnixPath("/tmp/a.sock").ip().empty());
  CHECK(SocketAddress::fromUnixPath("/tmp/a.sock").port() == 0);
  CHECK_THROWS_WITH_AS(SocketAddress::fromUnixPath(std::string(108, 'x')),
                       doctest::Contains("it has more than 107 bytes"), std::invalid_argument);
  CHECK_THROWS_AS(SocketAddress::fromUnixPath(""), std::invalid_argument);
  CHECK_THROWS_AS(SocketAddress::fromUnixPath(std::string("a\0b", 3)), std::invalid_argument);
  CHECK(SocketAddress().text().empty());
  CHECK_FALSE(SocketAddress().isIp());
}

TEST_CASE("socket: a port can be set afterwards") {
  SocketAddress address = literal("::1");
  address.setPort(443);
  CHECK(address.text() == "[::1]:443");
  SocketAddress path = SocketAddress::fromUnixPath("/tmp/a");
  path.setPort(443);
  CHECK(path.text() == "/tmp/a");
}

TEST_CASE("socket: connect, accept and both ends' addresses over IPv4 and IPv6") {
  for (const std::string_view host : {"127.0.0.1", "::1"}) {
    CAPTURE(host);
    const Pair pair = connectedPair(literal(host), {.v6Only = true});
    CHECK(localAddress(pair.listener.get()).port() != 0);
    CHECK(pair.peer.text() == localAddress(pair.client.get()).text());
    CHECK(pair.peer.ip() == host);
    CHECK(peerAddress(pair.client.get()).text() == localAddress(pair.listener.get()).text());
    for (const int fd : {pair.listener.get(), pair.client.get(), pair.server.get()}) {
      CHECK(isNonBlocking(fd));
      CHECK(isCloseOnExec(fd));
    }
    CHECK(acceptFrom(pair.listener.get(), nullptr) == -1);
    CHECK(errno == EAGAIN);
  }
}

TEST_CASE("socket: unix sockets; the client's unnamed end has no text (api.md)") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path + "/s";
  const Pair pair = connectedPair(SocketAddress::fromUnixPath(path));
  CHECK(localAddress(pair.listener.get()).text() == path);
  CHECK(peerAddress(pair.client.get()).text() == path);
  CHECK(pair.peer.text().empty());
  CHECK(peerAddress(pair.server.get()).text().empty());
  setTcpOptions(pair.client.get());
  CHECK(sendSome(pair.client.get(), "x", 1) == 1);
}

TEST_CASE("socket: parts leave in one call and arrive in order") {
  const Pair pair = connectedPair(literal("127.0.0.1"));
  std::string first = "head", second = " and body";
  const std::array<iovec, 2> parts = {iovec{first.data(), first.size()}, iovec{second.data(), second.size()}};
  CHECK(sendParts(pair.client.get(), parts.data(), 2) == 13);
  REQUIRE(waitFor(pair.server.get(), POLLIN));
  char buffer[100];
  CHECK(recvSome(pair.server.get(), buffer, sizeof buffer) == 13);
  CHECK(std::string_view(buffer, 13) == "head and body");
  CHECK(recvSome(pair.server.get(), buffer, sizeof buffer) == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("socket: sending to a peer that is gone fails with EPIPE and raises no SIGPIPE") {
  // With the default action the signal would end this process.
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  Pair pair = connectedPair(SocketAddress::fromLiteralAndPort("127.0.0.1:0"));
  pair.server.reset();
  REQUIRE(waitFor(pair.client.get(), POLLIN));
  char buffer[10];
  CHECK(recvSome(pair.client.get(), buffer, sizeof buffer) == 0);
  // The first send is answered with a reset; then the socket knows.
  ssize_t sent = sendSome(pair.client.get(), "x", 1);
  while (sent > 0) {
    REQUIRE(waitFor(pair.client.get(), POLLHUP));
    sent = sendSome(pair.client.get(), "x", 1);
  }
  CHECK(sent == -1);
  const bool isExpected = errno == EPIPE || errno == ECONNRESET;
  CHECK(isExpected);
  iovec part{buffer, 1};
  CHECK(sendParts(pair.client.get(), &part, 1) == -1);
  CHECK(errno == EPIPE);
  std::signal(SIGPIPE, before);
}

TEST_CASE("socket: options as PHP sets them on every TCP connection") {
  const Pair pair = connectedPair(literal("127.0.0.1"));
  setTcpOptions(pair.client.get());
  CHECK(option(pair.client.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(pair.client.get(), IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option(pair.client.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 55);
  CHECK(option(pair.client.get(), IPPROTO_TCP, TCP_KEEPINTVL) == 55);
  CHECK(option(pair.client.get(), IPPROTO_TCP, TCP_KEEPCNT) == 1);
  setTcpOptions(pair.client.get(), false);
  CHECK(option(pair.client.get(), IPPROTO_TCP, TCP_NODELAY) == 0);
}

TEST_CASE("socket: what is accepted has the options of the socket that listens") {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    const Pair pair = connectedPair(literal(ip));
    CHECK(option(pair.server.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(pair.server.get(), IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(option(pair.server.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 55);
    CHECK(option(pair.server.get(), IPPROTO_TCP, TCP_KEEPINTVL) == 55);
    CHECK(option(pair.server.get(), IPPROTO_TCP, TCP_KEEPCNT) == 1);
  }
}

TEST_CASE("socket: two ends are the same IP only with the same zone and port") {
  const auto make = [](const char* ip, std::uint16_t port) { return *SocketAddress::fromLiteral(ip, port); };
  CHECK(make("127.0.0.1", 80).isSameIp(make("127.0.0.1", 80)));
  CHECK_FALSE(make("127.0.0.1", 80).isSameIp(make("127.0.0.1", 81)));
  CHECK_FALSE(make("127.0.0.1", 80).isSameIp(make("127.0.0.2", 80)));
  CHECK(make("::1", 80).isSameIp(make("::1", 80)));
  CHECK_FALSE(make("::1", 80).isSameIp(make("::2", 80)));
  CHECK_FALSE(make("fe80::1", 80).isSameIp(make("fe80::1%1", 80)));
  CHECK_FALSE(make("::", 80).isSameIp(make("0.0.0.0", 80)));
  CHECK_FALSE(SocketAddress().isSameIp(SocketAddress()));
}

TEST_CASE("socket: a refused connection is told by socketError, once") {
  SocketAddress nobody;
  {
    const FileDescriptor bound(openSocket(AF_INET, SOCK_STREAM));
    REQUIRE(bindTo(bound.get(), literal("127.0.0.1")) == 0);
    nobody = localAddress(bound.get());
    // Bound and not listening, so that nobody else gets the port meanwhile.
    const FileDescriptor client(openSocket(AF_INET, SOCK_STREAM));
    int error = 0;
    if (connectTo(client.get(), nobody) != 0) {
      error = errno;
      if (error == EINPROGRESS) {
        REQUIRE(waitFor(client.get(), POLLOUT));
        error = socketError(client.get());
      }
    }
    CHECK(error == ECONNREFUSED);
    CHECK(socketError(client.get()) == 0);
  }
  CHECK(socketError(-1) == EBADF);
}

TEST_CASE("socket: bindto chooses the local end") {
  const FileDescriptor listener(listenOn(literal("127.0.0.1"), {}));
  REQUIRE(listener);
  const FileDescriptor client(openSocket(AF_INET, SOCK_STREAM));
  REQUIRE(bindTo(client.get(), SocketAddress::fromLiteralAndPort("127.0.0.2:0")) == 0);
  if (connectTo(client.get(), localAddress(listener.get())) != 0) {
    REQUIRE(errno == EINPROGRESS);
  }
  REQUIRE(waitFor(listener.get(), POLLIN));
  SocketAddress peer;
  const FileDescriptor server(acceptFrom(listener.get(), &peer));
  CHECK(peer.ip() == "127.0.0.2");
  CHECK(peer.text() == localAddress(client.get()).text());
}

TEST_CASE("socket: a second listener on one port needs reusePort on both") {
  const FileDescriptor alone(listenOn(literal("127.0.0.1"), {}));
  REQUIRE(alone);
  CHECK(listenOn(localAddress(alone.get()), {}) == -1);
  CHECK(errno == EADDRINUSE);
  const FileDescriptor first(listenOn(literal("127.0.0.1"), {.reusePort = true}));
  REQUIRE(first);
  const FileDescriptor second(listenOn(localAddress(first.get()), {.backlog = 5, .reusePort = true}));
  CHECK(second);
}

TEST_CASE("socket: IPV6_V6ONLY as asked for") {
  for (const bool v6Only : {true, false}) {
    CAPTURE(v6Only);
    const FileDescriptor listener(listenOn(literal("::"), {.v6Only = v6Only}));
    REQUIRE(listener);
    CHECK(option(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY) == (v6Only ? 1 : 0));
  }
}

TEST_CASE("file descriptor: closes once, moves, leaves errno alone") {
  FileDescriptor first(openSocket(AF_INET, SOCK_STREAM));
  const int fd = first.get();
  REQUIRE(fd >= 0);
  FileDescriptor second = std::move(first);
  CHECK_FALSE(first);
  CHECK(first.get() == -1);
  CHECK(second.get() == fd);
  errno = ENOENT;
  second.reset();
  CHECK(errno == ENOENT);
  CHECK(::fcntl(fd, F_GETFD) == -1);
  second = FileDescriptor(openSocket(AF_INET, SOCK_STREAM));
  FileDescriptor& self = second;
  second = std::move(self);
  CHECK(second);
  const int given = second.release();
  CHECK_FALSE(second);
  CHECK(::fcntl(given, F_GETFD) >= 0);
  ::close(given);
}
