// What send() promises: results, order, corked sends, back pressure.

#include <cstring>
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

/// A client of ours and the plain socket that it is connected to.
struct Wire {
  LoopFixture fixture;
  testing::Ticker ticker;
  RawListener listener;
  RawSocket peer;
  Journal journal;
  AsyncTcpConnectionPtr client;

  explicit Wire(const std::string& scheme = "tcp", const std::string& first = {}) {
    client = std::make_shared<AsyncTcpConnection>(listener.address(scheme));
    journal.record(*client);
    if (!first.empty()) CHECK(client->send(first) == nullptr);
    client->connect();
    fixture.runUntil([&] { return journal.has("connect"); });
    REQUIRE(listener.acceptInto(peer));
  }
  ~Wire() { client->destroy(); }

  std::string receive(std::size_t size) {
    std::string all;
    fixture.runUntil([&] { return (all += peer.receiveAll()).size() >= size; });
    return all;
  }
};

template <class T>
constexpr bool canSend = requires(TcpConnection& connection, T value) {
  connection.send(value);
};

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 12345;
  for (auto& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

}  // namespace

TEST_CASE("send: before, during and after connecting, in order") {
  LoopFixture fixture;
  RawListener listener;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address("text"));
  CHECK(client->send("one") == nullptr);
  client->connect();
  CHECK(client->send("two") == nullptr);
  CHECK(client->getSendBufferQueueSize() == 8);
  CHECK(client->bytesWritten == 0);
  client->onConnect = [](auto connection) { CHECK(connection->send("three") == nullptr); };
  fixture.runUntil([&] { return client->bufferIsEmpty(); });
  CHECK(client->send("four") == true);
  RawSocket peer = listener.accept();
  CHECK(peer.receiveAll() == "one\ntwo\nthree\nfour\n");
  CHECK(client->bytesWritten == 19);
  client->destroy();
}

TEST_CASE("send: raw goes past the protocol; empty text") {
  Wire wire("text");
  CHECK(wire.client->send("a", true) == true);
  CHECK(wire.client->send("b") == true);
  CHECK(wire.client->send("", true) == true);
  CHECK(wire.client->send("") == true);
  CHECK(wire.receive(4) == "ab\n\n");
  wire.client->protocol = "";
  CHECK(wire.client->send("c") == true);
  wire.client->protocol = "frame";
  CHECK(wire.client->send("d") == true);
  CHECK(wire.receive(6) == std::string("c\0\0\0\5d", 6));
}

TEST_CASE("corked sends: they leave in one piece when the callback returns") {
  Wire wire("text");
  std::string during;
  wire.client->onMessage = [&](auto connection, auto) {
    for (const char* text : {"one", "two", "three"}) CHECK(connection->send(text) == true);
    CHECK(connection->bytesWritten == 14);
    CHECK(connection->getSendBufferQueueSize() == 0);
    during = wire.peer.receiveAll();
  };
  wire.peer.send("go\n");
  const std::string all = wire.receive(14);
  CHECK(during.empty());
  CHECK(all == "one\ntwo\nthree\n");
}

TEST_CASE("corked sends: a lone send outside of callbacks leaves at once") {
  Wire wire;
  CHECK(wire.client->send("now") == true);
  CHECK(wire.peer.receive() == "now");
}

TEST_CASE("corked sends: long and short ones in one callback keep their order") {
  Wire wire;
  wire.client->maxSendBufferSize = 64 * 1024 * 1024;
  const std::string large = pattern(300000);
  std::string expected;
  for (int i = 0; i < 20; ++i) expected += std::string("short") + static_cast<char>('a' + i) + large;
  wire.client->onMessage = [&](auto connection, auto) {
    for (int i = 0; i < 20; ++i) {
      connection->send(std::string("short") + static_cast<char>('a' + i));
      connection->send(large);
    }
  };
  wire.peer.send("go");
  CHECK((wire.receive(expected.size()) == expected));
  CHECK(wire.client->bytesWritten == static_cast<std::int64_t>(expected.size()));
}

TEST_CASE("corked sends: answers of two connections in one callback") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  AsyncTcpConnectionPtr clients[2];
  RawSocket peers[2];
  for (int i : {0, 1}) {
    clients[i] = std::make_shared<AsyncTcpConnection>(listener.address());
    clients[i]->connect();
    fixture.runUntil([&] { return clients[i]->getStatus() == TcpConnection::STATUS_ESTABLISHED; });
    peers[i] = listener.accept();
  }
  bool done = false;
  Timer::delay(0, [&] {
    for (int i = 0; i < 50; ++i) CHECK(clients[i % 2]->send(std::to_string(i % 10)) == true);
    done = true;
  });
  fixture.runUntil([&] { return done; });
  CHECK(peers[0].receiveAll() == "0246802468024680246802468");
  CHECK(peers[1].receiveAll() == "1357913579135791357913579");
  for (auto& client : clients) client->destroy();
}

TEST_CASE("back pressure: full at the limit, dropped beyond, drained when written") {
  Wire wire;
  wire.client->maxSendBufferSize = 100000;
  const std::string piece = pattern(50000);
  std::int64_t accepted = 0;
  const auto failedBefore = TcpConnection::statistics.send_fail;
  while (!wire.journal.has("full")) {
    CHECK(wire.client->send(piece) != false);
    accepted += 50000;
  }
  // The one that crosses the limit is kept.
  CHECK(wire.client->getSendBufferQueueSize() >= 100000);
  CHECK(wire.client->getSendBufferQueueSize() < 150000);
  CHECK(wire.journal.text == "connect full ");
  CHECK(wire.client->send("x") == false);
  CHECK(wire.journal.text == "connect full error:2 ");
  CHECK(wire.journal.error == "send buffer full and drop package");
  CHECK(TcpConnection::statistics.send_fail == failedBefore + 1);
  CHECK(wire.client->bytesWritten + static_cast<std::int64_t>(wire.client->getSendBufferQueueSize()) ==
        accepted);

  const std::string all = wire.receive(static_cast<std::size_t>(accepted));
  REQUIRE(all.size() == static_cast<std::size_t>(accepted));
  bool isIntact = true;
  for (std::size_t at = 0; at < all.size(); at += piece.size())
    isIntact &= all.compare(at, piece.size(), piece) == 0;
  CHECK(isIntact);
  wire.fixture.runUntil([&] { return wire.journal.has("drain"); });
  CHECK(wire.journal.text == "connect full error:2 drain ");
  CHECK(wire.client->bytesWritten == accepted);
  CHECK(wire.client->send("again") == true);
}

TEST_CASE("back pressure: a message longer than the limit is kept where nothing is queued") {
  for (const bool isConnected : {true, false}) {
    CAPTURE(isConnected);
    const std::string message = pattern(16 * 1024 * 1024);
    Wire wire("tcp", isConnected ? "" : message);
    if (isConnected) CHECK(wire.client->send(message) == nullptr);
    CHECK(wire.journal.has("full"));
    CHECK((wire.receive(message.size()) == message));
    wire.fixture.runUntil([&] { return wire.journal.has("drain"); });
  }
}

TEST_CASE("back pressure: what is corked and does not fit counts as buffered, and may fill") {
  Wire wire;
  wire.client->maxSendBufferSize = 1000;
  std::int64_t sent = 0;
  while (wire.client->bufferIsEmpty()) {
    bool done = false;
    Timer::delay(0, [&] {
      for (int i = 0; i < 15; ++i) sent += wire.client->send(std::string(4000, 'x')) != false ? 4000 : 0;
      done = true;
    });
    wire.fixture.runUntil([&] { return done; });
  }
  CHECK(wire.journal.has("full"));
  CHECK(wire.client->bytesWritten + static_cast<std::int64_t>(wire.client->getSendBufferQueueSize()) == sent);
  CHECK(wire.receive(static_cast<std::size_t>(sent)).size() == static_cast<std::size_t>(sent));
  wire.fixture.runUntil([&] { return wire.journal.has("drain"); });
}

TEST_CASE("back pressure: 64 MiB through a slow reader arrive intact") {
  Wire wire("frame");
  wire.client->maxSendBufferSize = 1024 * 1024;
  constexpr std::size_t kMessages = 1024;
  const std::string body = pattern(64 * 1024);
  std::size_t sent = 0;
  bool isFull = false;
  int fills = 0;
  wire.client->onBufferFull = [&] { isFull = true, ++fills; };
  const auto sendMore = [&] {
    while (sent < kMessages && !isFull) {
      std::string message = body;
      message.replace(0, 4, reinterpret_cast<const char*>(&sent), 4);
      REQUIRE(wire.client->send(message) != false);
      ++sent;
    }
  };
  wire.client->onBufferDrain = [&] { isFull = false, sendMore(); };
  sendMore();
  std::string pending;
  std::size_t got = 0;
  bool isIntact = true;
  wire.fixture.runUntil([&] {
    pending += wire.peer.receive(100000);
    std::size_t at = 0;
    for (; pending.size() - at >= body.size() + 4; at += body.size() + 4, ++got) {
      isIntact &= std::memcmp(pending.data() + at, "\0\1\0\4", 4) == 0;
      isIntact &= std::memcmp(pending.data() + at + 4, &got, 4) == 0;
      isIntact &= pending.compare(at + 8, body.size() - 4, body, 4) == 0;
    }
    pending.erase(0, at);
    return got == kMessages;
  });
  CHECK(isIntact);
  CHECK(fills > 1);
  CHECK(pending.empty());
  CHECK(wire.client->bytesWritten == static_cast<std::int64_t>(kMessages * (body.size() + 4)));
}

TEST_CASE("send: values and numbers") {
  Wire wire;
  // What cannot be sent is in the compile-fail list: it is refused with a sentence, which a concept does not
  // hear.
  static_assert(canSend<const char*> && canSend<std::string>);
  struct Unknown {};
  CHECK_THROWS_AS(wire.client->send(Unknown{}), std::invalid_argument);
  wire.client->protocol = "text";
  CHECK_THROWS_AS(wire.client->send(Unknown{}), std::invalid_argument);
  CHECK(wire.client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
}
