// Every way a connection can end, and what is left of it then.

#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>

#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::Journal;
using testing::LoopFixture;
using testing::RawListener;
using testing::RawSocket;
using testing::Ticker;

namespace {

/// More than the kernel takes for a peer that does not read.
const std::string kTooMuch(16 * 1024 * 1024, 'x');

/// A client of ours, connected to a plain socket.
struct Pair {
  LoopFixture fixture;
  Ticker ticker;
  RawListener listener;
  RawSocket peer;
  Journal journal;
  AsyncTcpConnectionPtr client;

  explicit Pair(const std::string& scheme = "tcp") {
    client = std::make_shared<AsyncTcpConnection>(listener.address(scheme));
    journal.record(*client);
    client->connect();
    fixture.runUntil([&] { return journal.has("connect"); });
    peer = listener.accept();
    REQUIRE(peer);
  }
  bool untilClosed() {
    return fixture.runUntil([&] { return journal.has("close"); });
  }
  /// Reads until the client's FIN, at most `most` bytes.
  std::string drain() {
    std::string all;
    fixture.runUntil([&] { return all += peer.receiveAll(), peer.isAtEnd(); });
    return all;
  }
};

void checkIsOver(const Pair& pair) {
  CHECK(pair.client->getStatus() == TcpConnection::STATUS_CLOSED);
  CHECK(pair.client->getSocket() == -1);
  CHECK(pair.client->eventLoop == nullptr);
  CHECK(pair.journal.captured.expired());
  CHECK(pair.client.use_count() == 1);
  CHECK_FALSE(TcpConnection::connections.contains(pair.client->id));
}

}  // namespace

TEST_CASE("ends: refused is onError(CONNECT_FAIL), then onClose") {
  LoopFixture fixture;
  const testing::RefusingPort port;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(port.address());
  journal.record(*client);
  client->connect();
  CHECK(journal.text.empty());
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error:1 close ");
  CHECK(journal.error.find("connect 127.0.0.1:" + std::to_string(port.port()) + " fail after ") == 0);
  CHECK(journal.error.find("Connection refused") != std::string::npos);
  CHECK(journal.captured.expired());
  fixture.turn(3);
  CHECK(client.use_count() == 1);
}

TEST_CASE("ends: a reset is onClose alone") {
  Pair pair;
  pair.peer.reset();
  pair.untilClosed();
  CHECK(pair.journal.text == "connect close ");
  checkIsOver(pair);
}

TEST_CASE("ends: the peer's FIN comes after its last bytes") {
  Pair pair;
  pair.peer.send("bye");
  pair.peer.close();
  pair.untilClosed();
  CHECK(pair.journal.text == "connect message:bye close ");
  checkIsOver(pair);
}

TEST_CASE("ends: what is queued for a peer that only stopped sending still leaves") {
  Pair pair;
  CHECK(pair.client->send(kTooMuch) == nullptr);
  CHECK(pair.client->getSendBufferQueueSize() > 0);
  pair.peer.shutdownWrite();
  pair.fixture.runUntil([&] { return pair.client->getStatus() == TcpConnection::STATUS_CLOSING; });
  CHECK(pair.client->send("too late") == false);
  CHECK((pair.drain() == kTooMuch));
  CHECK(pair.journal.text == "connect full drain close ");
  CHECK(pair.client->bytesWritten == static_cast<std::int64_t>(kTooMuch.size()));
  checkIsOver(pair);
}

TEST_CASE("ends: an answer given to a peer that stopped sending right after its question leaves") {
  Pair pair;
  pair.client->onMessage = [](auto connection, auto) { connection->send("answer"); };
  pair.peer.send("question");
  pair.peer.shutdownWrite();
  CHECK(pair.drain() == "answer");
  pair.untilClosed();
}

TEST_CASE("ends: close() with nothing queued has run onClose before it returns") {
  Pair pair;
  pair.client->close();
  CHECK(pair.journal.text == "connect close ");
  CHECK(pair.drain().empty());
  checkIsOver(pair);
}

TEST_CASE("ends: close() sends what is queued first") {
  Pair pair;
  CHECK(pair.client->send(kTooMuch) == nullptr);
  pair.client->close("last words");
  CHECK(pair.client->getStatus() == TcpConnection::STATUS_CLOSING);
  pair.client->close("too late");
  CHECK(pair.client->send("too late") == false);
  // The buffer was full: the last words were dropped, and it was said.
  CHECK(pair.journal.text == "connect full error:2 ");
  CHECK((pair.drain() == kTooMuch));
  pair.untilClosed();
  CHECK(pair.journal.text == "connect full error:2 drain close ");
  checkIsOver(pair);
}

TEST_CASE("ends: close(text) sends it, raw past the protocol") {
  for (const bool isRaw : {false, true}) {
    Pair pair("text");
    pair.client->close("bye", isRaw);
    CHECK(pair.drain() == (isRaw ? "bye" : "bye\n"));
    CHECK(pair.journal.text == "connect close ");
  }
}

TEST_CASE("ends: close(nullptr) is close()") {
  Pair pair;
  pair.client->close(nullptr);
  CHECK(pair.journal.text == "connect close ");
  CHECK_THROWS_AS(pair.client->close(1000), std::logic_error);
}

TEST_CASE("ends: destroy() writes what is corked") {
  Pair pair;
  std::string seen;
  pair.client->onMessage = [&](auto connection, auto) {
    CHECK(connection->send("corked") == true);
    connection->destroy();
    seen = pair.journal.text;
  };
  pair.peer.send("go");
  CHECK(pair.drain() == "corked");
  CHECK(seen == "connect close ");
}

TEST_CASE("ends: destroy() loses what is queued") {
  Pair full;
  CHECK(full.client->send(kTooMuch) == nullptr);
  full.client->destroy();
  CHECK(full.journal.text == "connect full close ");
  CHECK(full.drain().size() < kTooMuch.size());
  CHECK(full.client->getSendBufferQueueSize() == 0);
  checkIsOver(full);
}

TEST_CASE("ends: end() sends FIN and drains input until the peer closes") {
  Pair pair;
  pair.client->lingerTimeout = 30;
  pair.client->end("bye");
  CHECK(pair.client->getStatus() == TcpConnection::STATUS_ENDING);
  CHECK(pair.client->send("late") == false);
  CHECK(pair.drain() == "bye");
  pair.peer.send("unheard");
  pair.fixture.turn(3);
  CHECK(pair.journal.text == "connect ");
  pair.peer.close();
  pair.untilClosed();
  CHECK(pair.journal.text == "connect close ");
  checkIsOver(pair);
}

TEST_CASE("ends: end() sends what is queued before its FIN") {
  Pair pair;
  pair.client->send(kTooMuch);
  pair.client->end();
  CHECK((pair.drain() == kTooMuch));
  pair.peer.close();
  pair.untilClosed();
  CHECK(pair.journal.text == "connect full drain close ");
}

TEST_CASE("ends: a peer that does not close after end() is left after lingerTimeout") {
  for (const double seconds : {0.03, 0.0}) {
    Pair pair;
    pair.client->lingerTimeout = seconds;
    pair.client->end();
    CHECK(pair.journal.has("close") == (seconds == 0.0));
    pair.untilClosed();
    CHECK(pair.journal.text == "connect close ");
    checkIsOver(pair);
  }
}

TEST_CASE("ends: close() after end() does not wait for the peer") {
  Pair pair;
  pair.client->lingerTimeout = 30;
  pair.client->end();
  pair.client->close();
  CHECK(pair.journal.text == "connect close ");
}

TEST_CASE("ends: while connecting, close(), end() and destroy() end it at once") {
  for (const int how : {0, 1, 2, 3}) {
    LoopFixture fixture;
    RawListener listener;
    Journal journal;
    auto client = std::make_shared<AsyncTcpConnection>(listener.address());
    journal.record(*client);
    client->connect();
    if (how == 0) client->close();
    if (how == 1) client->end();
    if (how == 2) client->destroy();
    if (how == 3) client->close("never sent");
    CHECK(journal.text == "close ");
    fixture.turn(5);
    CHECK(journal.text == "close ");
    CHECK(client.use_count() == 1);
    CHECK(journal.captured.expired());
  }
}

TEST_CASE("ends: time out is onError(CONNECT_FAIL) naming the stage, then onClose") {
  LoopFixture fixture;
  testing::StalledListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address());
  client->connectTimeout = 0.05;
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error:1 close ");
  CHECK(journal.error.find("timed out while connecting to 127.0.0.1:") != std::string::npos);
}

TEST_CASE("ends: a peer that is gone is SEND_FAIL, then onClose; SIGPIPE kills nobody") {
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  Pair pair;
  pair.client->pauseRecv();  // so that only sending can tell
  pair.peer.reset();
  std::int64_t failedBefore = TcpConnection::statistics.send_fail;
  SendResult result = SendResult::sent();
  pair.fixture.runUntil([&] { return !(result = pair.client->send("anybody there?")); });
  CHECK(result == false);
  CHECK(pair.journal.text == "connect error:2 close ");
  CHECK(pair.journal.error == "client closed");
  CHECK(TcpConnection::statistics.send_fail == failedBefore + 1);
  checkIsOver(pair);
  std::signal(SIGPIPE, before);
}

TEST_CASE("ends: afterwards every method is harmless and reports failure") {
  std::optional<Pair> pair(std::in_place);
  pair->client->destroy();
  const auto check = [](const AsyncTcpConnectionPtr& dead) {
    CHECK(dead->send("text") == false);
    CHECK(dead->send("text", true) == false);
    dead->close();
    dead->close("text");
    dead->end();
    dead->end("text");
    dead->destroy();
    dead->pauseRecv();
    dead->resumeRecv();
    dead->cancelReconnect();
    CHECK(dead->getStatus() == TcpConnection::STATUS_CLOSED);
    CHECK(dead->getStatus(false) == "CLOSED");
    CHECK(dead->getSendBufferQueueSize() == 0);
    CHECK(dead->getRecvBufferQueueSize() == 0);
    CHECK(dead->bufferIsEmpty());
    CHECK(dead->getSocket() == -1);
    CHECK(dead->getLocalAddress().empty());
    CHECK(dead->getLocalIp().empty());
    CHECK(dead->getLocalPort() == 0);
    CHECK(dead->getRemoteIp() == "127.0.0.1");
    CHECK(dead->jsonSerialize()["status"] == TcpConnection::STATUS_CLOSED);
    CHECK(dead->worker == nullptr);
  };
  check(pair->client);
  CHECK(pair->journal.text == "connect close ");
  const auto kept = pair->client;
  pair.reset();
  check(kept);  // the loop is gone as well
}

TEST_CASE("ends: a later connect() works, without callbacks") {
  Pair pair;
  pair.client->close();
  pair.journal.text.clear();
  pair.client->connect();
  CHECK(pair.client->getStatus() == TcpConnection::STATUS_CONNECTING);
  CHECK(TcpConnection::connections.contains(pair.client->id));
  pair.fixture.runUntil([&] { return pair.client->getStatus() == TcpConnection::STATUS_ESTABLISHED; });
  RawSocket second = pair.listener.accept();
  CHECK(pair.client->send("again") == true);
  CHECK(second.receive() == "again");
  second.send("unheard");
  second.close();
  pair.fixture.runUntil([&] { return pair.client->getStatus() == TcpConnection::STATUS_CLOSED; });
  CHECK(pair.journal.text.empty());
}

TEST_CASE("ends: an accepted connection's worker is known in onClose, and not after") {
  LoopFixture fixture;
  const auto server = testing::listenOn("tcp");
  TcpConnectionPtr kept;
  std::size_t listed = 0;
  server->onClose = [&](TcpConnectionPtr connection) {
    kept = connection;
    CHECK(connection->worker == server.get());
    CHECK(connection->getStatus() == TcpConnection::STATUS_CLOSED);
    CHECK(server->connections.contains(connection->id));
    CHECK(TcpConnection::connections.contains(connection->id));
    listed = server->connections.size();
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "tcp"));
  client->onConnect = [](auto connection) { connection->close(); };
  client->connect();
  fixture.runUntil([&] { return kept != nullptr; });
  fixture.turn(2);
  CHECK(listed == 1);
  CHECK(server->connections.size() == 0);
  CHECK(kept->worker == nullptr);
  CHECK(kept.use_count() == 1);
  CHECK(kept->send("x") == false);
}
