// Input: pausing, piping, package limits.

#include <algorithm>
#include <vector>

#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::Journal;
using testing::LoopFixture;
using testing::RawListener;
using testing::RawSocket;

namespace {

/// Packages that end in '|', each given without it.
struct Bars {
  static std::ptrdiff_t input(std::string_view buffer) {
    return static_cast<std::ptrdiff_t>(buffer.find('|') + 1);
  }
  static std::string_view decode(std::string_view package) { return package.substr(0, package.size() - 1); }
  static std::string encode(std::string_view text) { return std::string(text) + "|"; }
};

/// Known to the process once.
void registerBars() {
  static const bool done = (Protocols::add<Bars>("Bars"), true);
  static_cast<void>(done);
}

/// A client of ours and the plain socket that it is connected to.
struct Wire {
  LoopFixture fixture;
  testing::Ticker ticker;
  RawListener listener;
  RawSocket peer;
  Journal journal;
  AsyncTcpConnectionPtr client;

  explicit Wire(const std::string& scheme) {
    client = std::make_shared<AsyncTcpConnection>(listener.address(scheme));
    journal.record(*client);
    client->connect();
    fixture.runUntil([&] { return journal.has("connect"); });
    REQUIRE(listener.acceptInto(peer));
    journal.text.clear();
  }
  ~Wire() { client->destroy(); }
};

/// A package whose length on the wire is `size`.
std::string package(const std::string& scheme, std::size_t size) {
  if (scheme == "text") return std::string(size - 1, 'x') + "\n";
  if (scheme == "Bars") return std::string(size - 1, 'x') + "|";
  std::string frame{static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                    static_cast<char>(size >> 8), static_cast<char>(size)};
  return frame + std::string(size - 4, 'x');
}

}  // namespace

TEST_CASE("pauseRecv: nothing is delivered until resumeRecv()") {
  for (const char* scheme : {"tcp", "text"}) {
    CAPTURE(std::string(scheme));
    Wire wire(scheme);
    wire.client->pauseRecv();
    wire.peer.send("a\n");
    wire.fixture.turn(5);
    CHECK(wire.journal.text.empty());
    wire.client->resumeRecv();
    wire.client->resumeRecv();
    wire.fixture.runUntil([&] { return wire.journal.has("message:a"); });
  }
}

TEST_CASE("pauseRecv: in onMessage, the rest waits; resumeRecv() delivers it before it returns") {
  Wire wire("text");
  wire.client->onMessage = [&](auto connection, auto data) {
    wire.journal.text += std::string(data) + " ";
    if (data == "two") connection->pauseRecv();
  };
  wire.peer.send("one\ntwo\nthree\nfo");
  wire.fixture.runUntil([&] { return wire.journal.has("two"); });
  wire.peer.send("ur\n");
  wire.fixture.turn(5);
  CHECK(wire.journal.text == "one two ");
  CHECK(wire.client->getRecvBufferQueueSize() == 8);
  wire.client->resumeRecv();
  CHECK(wire.journal.text == "one two three ");
  CHECK(wire.client->getRecvBufferQueueSize() == 2);
  wire.fixture.runUntil([&] { return wire.journal.has("four"); });
  CHECK(wire.client->getRecvBufferQueueSize() == 0);
}

TEST_CASE("resumeRecv: inside the connection's own onMessage the rest comes when it returns") {
  Wire wire("text");
  int depth = 0, deepest = 0, count = 0;
  wire.client->onMessage = [&](auto connection, auto) {
    deepest = std::max(deepest, ++depth);
    connection->pauseRecv();
    connection->resumeRecv();
    ++count;
    --depth;
  };
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "x\n";
  wire.peer.send(lines);
  wire.fixture.runUntil([&] { return count == 1000; });
  CHECK(deepest == 1);
}

TEST_CASE("pauseRecv: before connecting, and in onConnect of a worker's connection") {
  LoopFixture fixture;
  const auto server = testing::listenOn("text");
  TcpConnectionPtr accepted;
  std::string got;
  server->onConnect = [&](auto connection) { (accepted = connection)->pauseRecv(); };
  server->onMessage = [&](auto connection, auto data) { got = data, connection->send("answer"); };
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "text"));
  journal.record(*client);
  client->pauseRecv();
  client->connect();
  client->send("question");
  fixture.runUntil([&] { return accepted && journal.has("drain"); });
  fixture.turn(5);
  CHECK(got.empty());
  accepted->resumeRecv();
  fixture.runUntil([&] { return !got.empty(); });
  fixture.turn(5);
  CHECK_FALSE(journal.has("message"));
  client->resumeRecv();
  fixture.runUntil([&] { return journal.has("message:answer"); });
  client->destroy();
}

TEST_CASE("pipe: throttles the source, loses nothing, closes the other end") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener target;
  RawSocket sink;
  const auto proxy = testing::listenOn("tcp");
  AsyncTcpConnectionPtr onwards;
  TcpConnectionPtr source;
  proxy->onConnect = [&](auto connection) {
    source = connection;
    onwards = std::make_shared<AsyncTcpConnection>(target.address());
    connection->pipe(onwards);
    onwards->pipe(connection);
    onwards->connect();
  };
  constexpr std::size_t kTotal = 48 * 1024 * 1024;
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*proxy, "tcp"));
  client->maxSendBufferSize = 2 * kTotal;
  client->connect();
  client->send(std::string(kTotal, 'p'));
  // Nobody reads at the far end: what is in between has an end.
  fixture.runUntil([&] {
    return target.acceptInto(sink) && onwards->getSendBufferQueueSize() >= onwards->maxSendBufferSize;
  });
  std::int64_t before = -1;
  fixture.runUntil([&] { return std::exchange(before, source->bytesRead) == source->bytesRead; });
  fixture.turn(20);
  CHECK(source->bytesRead == before);
  CHECK(onwards->getSendBufferQueueSize() < onwards->maxSendBufferSize + 1024 * 1024);
  CHECK(static_cast<std::size_t>(source->bytesRead) < kTotal);
  std::size_t got = 0;
  fixture.runUntil([&] { return (got += sink.receiveAll().size()) >= kTotal; });
  CHECK(got == kTotal);
  sink.send("back");
  Journal journal;
  journal.record(*client);
  fixture.runUntil([&] { return journal.has("message:back"); });
  sink.close();
  fixture.runUntil([&] { return journal.has("close"); });
  fixture.turn(3);
  CHECK(source.use_count() == 1);
  CHECK(onwards.use_count() == 1);
}

TEST_CASE("maxPackageSize: exactly the limit passes, one more ends the connection") {
  registerBars();
  for (const std::string scheme : {"text", "frame", "Bars"}) {
    for (const std::size_t size : {99u, 100u, 101u}) {
      for (const bool inPieces : {false, true}) {
        CAPTURE(scheme);
        CAPTURE(size);
        CAPTURE(inPieces);
        Wire wire(scheme);
        wire.client->maxPackageSize = 100;
        std::size_t got = 0;
        wire.client->onMessage = [&](TcpConnectionPtr, std::string_view data) { got = data.size(); };
        const std::string bytes = package(scheme, size);
        if (inPieces) {
          wire.peer.send(bytes.substr(0, 60));
          wire.fixture.turn(3);
          wire.peer.send(bytes.substr(60));
        } else {
          wire.peer.send(bytes);
        }
        const bool passes = size <= 100;
        wire.fixture.runUntil([&] { return passes ? got != 0 : wire.journal.has("close"); });
        CHECK(got == (passes ? size - (scheme == "frame" ? 4 : 1) : 0));
        CHECK(wire.journal.text == (passes ? "" : "close "));
      }
    }
  }
}

TEST_CASE("maxPackageSize: small packages in one read never add up") {
  registerBars();
  for (const std::string scheme : {"text", "frame", "Bars"}) {
    CAPTURE(scheme);
    Wire wire(scheme);
    wire.client->maxPackageSize = 16;
    int count = 0;
    wire.client->onMessage = [&] { ++count; };
    std::string bytes;
    for (int i = 0; i < 2000; ++i) bytes += package(scheme, 16);
    wire.peer.send(bytes + package(scheme, 15).substr(0, 14));
    wire.fixture.runUntil([&] { return count == 2000; });
    CHECK(wire.client->getRecvBufferQueueSize() == 14);
    CHECK(wire.client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  }
}

TEST_CASE("maxPackageSize: a line without an end is ended at the limit") {
  Wire wire("text");
  wire.client->maxPackageSize = 1000;
  // The line's end would be byte 1,001.
  for (int i = 0; i < 10; ++i) {
    wire.peer.send(std::string(i == 0 ? 99 : 100, 'x'));
    wire.fixture.turn(2);
  }
  CHECK(wire.journal.text.empty());
  wire.peer.send("y");
  wire.fixture.runUntil([&] { return wire.journal.has("close"); });
}

TEST_CASE("input: a long line dripped in small pieces arrives whole") {
  Wire wire("text");
  std::string line, got;
  wire.client->onMessage = [&](auto, auto data) { got = data; };
  for (int i = 0; i < 3000; ++i) {
    const std::string piece = std::to_string(i) + std::string(40, static_cast<char>('a' + i % 26));
    line += piece;
    wire.peer.send(piece);
    if (i % 3 == 0) wire.fixture.turn(1);
  }
  wire.peer.send("\nnext");
  wire.fixture.runUntil([&] { return !got.empty(); });
  CHECK((got == line));
  CHECK(wire.client->getRecvBufferQueueSize() == 4);
}

TEST_CASE("input: a package larger than every buffer of ours") {
  Wire wire("frame");
  const std::size_t size = 8 * 1024 * 1024;
  std::size_t got = 0;
  wire.client->onMessage = [&](TcpConnectionPtr, std::string_view data) { got = data.size(); };
  const std::string bytes = package("frame", size);
  std::size_t at = 0;
  wire.fixture.runUntil([&] {
    const ssize_t sent = at == size ? 0 : ::send(wire.peer.fd(), bytes.data() + at, size - at, MSG_NOSIGNAL);
    if (sent > 0) at += static_cast<std::size_t>(sent);
    return got != 0;
  });
  CHECK(got == size - 4);
  CHECK(wire.client->bytesRead == static_cast<std::int64_t>(size));
}

TEST_CASE("input: without onMessage it is read, counted and forgotten") {
  Wire wire("text");
  wire.client->onMessage = nullptr;
  const auto before = TcpConnection::statistics.total_request;
  wire.peer.send("one\ntwo\n");
  wire.fixture.runUntil([&] { return wire.client->bytesRead == 8; });
  CHECK(TcpConnection::statistics.total_request == before + 2);
  CHECK(wire.client->getRecvBufferQueueSize() == 0);
}
