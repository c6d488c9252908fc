// The TCP proxy example: both ways, back pressure, half-close.

#include <poll.h>

#include <string>

#include "support/example.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using testing::Example;
using testing::LoopFixture;
using testing::Peer;
using testing::RawListener;
using testing::RawSocket;

namespace {

/// A running proxy for `target`, "tcp://…".
struct Proxy {
  explicit Proxy(const std::string& target)
      : program("tcp_proxy", {"LISTEN=tcp://127.0.0.1:0", "TARGET=" + target}) {
    const std::string rest = program.port("proxy");  // "for tcp://…" follows it
    port = std::stoi(rest);
    address = "tcp://127.0.0.1:" + std::to_string(port);
  }

  /// A client with a plain socket.
  RawSocket connect() const {
    RawSocket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::connect(client.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    return client;
  }

  Example program;
  int port = 0;
  std::string address;
};

/// A stream in which a lost, doubled or swapped piece shows.
std::string streamPiece(std::size_t offset, std::size_t size) {
  std::string piece(size, '\0');
  for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<char>((offset + i) % 251);
  return piece;
}

/// Writes the stream until nothing is taken for a while, or `most` is written; how much that was.
std::size_t writeUntilStalled(const RawSocket& socket, std::size_t most) {
  std::size_t written = 0;
  pollfd writable{socket.fd(), POLLOUT, 0};
  while (written < most && ::poll(&writable, 1, 500) == 1) {
    const std::string piece = streamPiece(written, 251 * 256);
    const ssize_t got = ::send(socket.fd(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got > 0) written += static_cast<std::size_t>(got);
  }
  return written;
}

}  // namespace

TEST_CASE("example tcp_proxy: bytes go both ways, and each end's close reaches the other") {
  LoopFixture fixture;
  const auto target = testing::listenOn("tcp");
  int open = 0;
  target->onConnect = [&] { ++open; };
  target->onClose = [&] { --open; };
  target->onMessage = [](auto connection, auto data) {
    if (data == "bye") return connection->close("good-bye");
    connection->send(data);
  };
  Proxy proxy(testing::addressOf(*target, "tcp"));
  {
    const std::string much(3000000, 'x');
    Peer leaving(proxy.address), left(proxy.address, "bye");
    leaving.connection().maxSendBufferSize = 2 * much.size();
    leaving.send(much);
    fixture.runUntil([&] { return leaving.text().size() >= much.size() && left.isClosed(); });
    CHECK(leaving.text() == much);
    CHECK(left.text() == "good-bye");
    CHECK(open == 1);
  }
  fixture.runUntil([&] { return open == 0; });

  // Nobody behind it: the client is told by the close.
  target->unlisten();
  Peer unlucky(proxy.address);
  fixture.runUntil([&] { return unlucky.isClosed(); });
  CHECK(proxy.program.process().waitFor("target: "));
  CHECK(proxy.program.stop(fixture) == 0);
}

TEST_CASE("example tcp_proxy: a side that has sent all still gets the answer (half-close)") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener target;
  Proxy proxy(target.address());
  for (const bool clientFirst : {true, false}) {
    CAPTURE(clientFirst);
    RawSocket client = proxy.connect(), server;
    fixture.runUntil([&] { return target.acceptInto(server); });
    RawSocket& first = clientFirst ? client : server;
    RawSocket& second = clientFirst ? server : client;
    std::string request, answer;
    first.send("request");
    first.shutdownWrite();
    fixture.runUntil([&] { return (request += second.receiveAll(), second.isAtEnd()); });
    CHECK(request == "request");
    CHECK_FALSE(first.isAtEnd());
    second.send("answer");
    second.shutdownWrite();
    fixture.runUntil([&] { return (answer += first.receiveAll(), first.isAtEnd()); });
    CHECK(answer == "answer");
  }
  CHECK(proxy.program.stop(fixture) == 0);
}

TEST_CASE("example tcp_proxy: a slow reader slows the writer down, and loses nothing") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener target;
  Proxy proxy(target.address());
  for (const bool clientReads : {false, true}) {
    CAPTURE(clientReads);
    RawSocket client = proxy.connect(), server;
    fixture.runUntil([&] { return target.acceptInto(server); });
    RawSocket& reader = clientReads ? client : server;
    RawSocket& writer = clientReads ? server : client;
    // The kernel's buffers hold some 70 MB at most, and the proxy little.
    constexpr std::size_t kMost = 256u << 20;
    const std::size_t written = writeUntilStalled(writer, kMost);
    CHECK(written < kMost);
    writer.shutdownWrite();
    std::size_t received = 0;
    bool isIntact = true;
    fixture.runUntil([&] {
      std::string piece;
      while (!(piece = reader.receive()).empty()) {
        isIntact = isIntact && piece == streamPiece(received, piece.size());
        received += piece.size();
      }
      return reader.isAtEnd();
    });
    CHECK(received == written);
    CHECK(isIntact);
  }
  CHECK(proxy.program.stop(fixture) == 0);
}
