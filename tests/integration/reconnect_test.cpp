// reConnect(): when, with what, how often, and how it is called off.

#include <chrono>
#include <cmath>
#include <fstream>
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

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::size_t countHandles(uv_loop_t* loop) {
  std::size_t count = 0;
  uv_walk(
      loop, [](uv_handle_t*, void* counted) { ++*static_cast<std::size_t*>(counted); }, &count);
  return count;
}

std::size_t residentPages() {
  std::size_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident;
}

}  // namespace

TEST_CASE("reconnect: fractions of a second count") {
  LoopFixture fixture;
  const testing::RefusingPort port;
  std::vector<double> at;
  auto client = std::make_shared<AsyncTcpConnection>(port.address());
  int attempts = 0;
  client->onClose = [&](auto connection) {
    at.push_back(now());
    if (at.size() == 3) return;
    connection->reConnect(0.15);
    // A whole second would be later than this timer; in one turn they run in the order of their times.
    Timer::delay(0.5, [&, before = at.size()] {
      attempts += at.size() > before || client->getStatus() == TcpConnection::STATUS_CONNECTING;
    });
  };
  client->connect();
  fixture.runUntil([&] { return at.size() == 3; });
  for (std::size_t i : {1u, 2u}) CHECK(at[i] - at[i - 1] >= 0.14);
  fixture.runUntil([&] { return attempts == 2; });
  fixture.turn(2);
  CHECK(client.use_count() == 1);
}

TEST_CASE("reconnect: callbacks, settings, context and id stay; the stream starts anew") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address("text"));
  journal.record(*client);
  client->onClose = [](auto connection) { connection->reconnect(0.01); };
  client->maxPackageSize = 77;
  client->maxSendBufferSize = 1000;
  client->context["uid"] = 7;
  const auto id = client->id;
  client->connect();
  RawSocket first, second;
  fixture.runUntil([&] { return listener.acceptInto(first) && journal.has("connect"); });
  first.send("whole\nhal");
  fixture.runUntil([&] { return journal.has("message:whole"); });
  first.reset();
  fixture.runUntil([&] { return listener.acceptInto(second); });
  second.send("f\n");
  fixture.runUntil([&] { return journal.has("message:f"); });
  CHECK(journal.text == "connect message:whole connect message:f ");
  CHECK(client->id == id);
  CHECK(client->maxPackageSize == 77);
  CHECK(client->maxSendBufferSize == 1000);
  CHECK(client->context.get<int>("uid") == 7);
  client->onClose = nullptr;
  client->destroy();
}

TEST_CASE("reconnect: of an established connection leaves nothing of the old stream behind") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address("text"));
  journal.record(*client);
  client->lingerTimeout = 0.05;
  client->connect();
  RawSocket first, second, third;
  fixture.runUntil([&] { return listener.acceptInto(first) && journal.has("connect"); });
  first.send("hal");
  fixture.runUntil([&] { return client->getRecvBufferQueueSize() == 3; });
  client->send(std::string(16 * 1024 * 1024, 'x'));
  CHECK(client->getSendBufferQueueSize() > 0);
  client->pauseRecv();
  client->reConnect();
  CHECK(client->getSendBufferQueueSize() == 0);
  CHECK(client->getRecvBufferQueueSize() == 0);
  CHECK(client->send("new") == nullptr);
  fixture.runUntil([&] { return listener.acceptInto(second); });
  second.send("f\n");
  fixture.runUntil([&] { return journal.has("message:f"); });
  CHECK(second.receiveAll() == "new\n");
  CHECK_FALSE(journal.has("close"));
  // The time limit of end() goes with the socket that it was for.
  client->end();
  client->reConnect();
  fixture.runUntil([&] { return listener.acceptInto(third) && client->getSocket() >= 0; });
  bool isOver = false;
  Timer::delay(0.1, [&] { isOver = true; });
  fixture.runUntil([&] { return isOver; });
  CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  client->destroy();
}

TEST_CASE("reconnect: what was sent in the callback that reconnects has left before") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address());
  journal.record(*client);
  client->onMessage = [](auto connection, auto) {
    CHECK(connection->send("bye") == true);
    connection->reConnect();
    CHECK(connection->send("hello") == nullptr);
  };
  client->connect();
  RawSocket first, second;
  fixture.runUntil([&] { return listener.acceptInto(first) && journal.has("connect"); });
  first.send("go");
  fixture.runUntil([&] { return listener.acceptInto(second) && client->bufferIsEmpty(); });
  CHECK(first.receiveAll() == "bye");
  CHECK(second.receiveAll() == "hello");
  client->destroy();
}

TEST_CASE("reconnect: sent in onClose after reConnect() is for the next socket") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address());
  journal.record(*client);
  client->onClose = [](auto connection) {
    CHECK(connection->send("lost") == false);
    connection->reConnect();
    CHECK(connection->send("kept") == nullptr);
  };
  client->connect();
  RawSocket first, second;
  fixture.runUntil([&] { return listener.acceptInto(first) && journal.has("connect"); });
  first.close();
  fixture.runUntil([&] { return listener.acceptInto(second) && client->bufferIsEmpty(); });
  CHECK(second.receiveAll() == "kept");
  client->onClose = nullptr;
  client->destroy();
}

TEST_CASE("reconnect: in onError no onClose comes between") {
  LoopFixture fixture;
  const testing::RefusingPort port;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(port.address());
  journal.record(*client);
  int errors = 0;
  client->onError = [&](auto connection, auto, auto) {
    journal.text += "error ";
    if (++errors < 4) connection->reConnect(errors == 2 ? 0.01 : 0);
  };
  client->connect();
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error error error error close ");
}

TEST_CASE("reconnect: close(), destroy() and cancelReconnect() call it off") {
  enum How { Close, Destroy, Cancel };
  for (const How how : {Close, Destroy, Cancel}) {
    for (const char* where : {"in onClose", "in onError", "later"}) {
      CAPTURE(static_cast<int>(how));
      CAPTURE(std::string(where));
      LoopFixture fixture;
      const testing::RefusingPort port;
      const auto callOff = [how](AsyncTcpConnection& connection) {
        if (how == Close) connection.close();
        if (how == Destroy) connection.destroy();
        if (how == Cancel) connection.cancelReconnect();
      };
      int closed = 0, failed = 0;
      auto client = std::make_shared<AsyncTcpConnection>(port.address());
      const std::string place = where;
      client->onError = [&, place](auto connection, auto, auto) {
        ++failed;
        if (place == "in onError") connection->reConnect(0.02), callOff(*connection);
      };
      client->onClose = [&, place](auto connection) {
        ++closed;
        if (place != "in onError") connection->reConnect(0.02);
        if (place == "in onClose") callOff(*connection);
      };
      client->connect();
      fixture.runUntil([&] { return failed == 1; });
      if (place == "later") callOff(*client);
      bool isOver = false;
      Timer::delay(0.06, [&] { isOver = true; });
      fixture.runUntil([&] { return isOver; });
      CHECK(failed == 1);
      const bool hasClosed = !(how == Cancel && place == "in onError");
      CHECK(closed == (hasClosed ? 1 : 0));
      CHECK(client.use_count() == 1);
      CHECK(static_cast<bool>(client->onClose) == (how == Cancel));
      CHECK(client->getStatus() ==
            (how == Cancel ? TcpConnection::STATUS_INITIAL : TcpConnection::STATUS_CLOSED));
      if (how != Cancel) continue;
      // The callbacks are still there for a later one.
      client->onClose = [&] { closed += 10; };
      client->onError = [&] { failed += 10; };
      client->reConnect();
      fixture.runUntil([&] { return closed >= 10; });
      CHECK(failed == 11);
    }
  }
}

TEST_CASE("reconnect: closing one that reconnects from onError tells onClose, for it was not told") {
  LoopFixture fixture;
  const testing::RefusingPort port;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(port.address());
  journal.record(*client);
  client->onError = [](auto connection, auto, auto) { connection->reConnect(30); };
  client->connect();
  fixture.runUntil([&] { return client->getStatus() == TcpConnection::STATUS_INITIAL; });
  client->close();
  CHECK(journal.text == "close ");
  CHECK(journal.captured.expired());
}

TEST_CASE("reconnect: during a stop it is ignored, and a pending one does not hold the stop up") {
  for (const bool isPending : {false, true}) {
    CAPTURE(isPending);
    LoopFixture fixture;
    RawListener listener;
    Journal journal;
    auto client = std::make_shared<AsyncTcpConnection>(listener.address());
    journal.record(*client);
    client->onClose = [&](auto connection) {
      journal.text += "close ";
      connection->reConnect(isPending ? 1000 : 0);
      if (!isPending) connection->connect();
    };
    client->connect();
    fixture.runUntil([&] { return journal.has("connect"); });
    if (isPending) client->destroy();
    Worker::stopAll();
    fixture.runUntil([] { return !Worker::isRunning(); });
    CHECK(journal.text == "connect close ");
    CHECK(client->getStatus() == TcpConnection::STATUS_CLOSED);
    CHECK(client.use_count() == 1);
  }
}

TEST_CASE("reconnect: a ReconnectDelay grows while nothing opens, and begins anew after what was open") {
  std::vector<double> at;
  std::string log;
  LoopFixture fixture;
  const testing::Ticker ticker;
  const ReconnectDelay delay{.first = 0.002, .factor = 20, .max = 3600, .jitter = 0};
  RawListener probe;
  const int port = probe.port();
  probe.close();
  auto client = std::make_shared<AsyncTcpConnection>("tcp://127.0.0.1:" + std::to_string(port));
  client->onConnect = [&] { log += "connect "; };
  client->onClose = [&](auto connection) {
    at.push_back(now());
    connection->reConnect(delay);
  };
  client->connect();
  fixture.runUntil([&] { return at.size() == 3; });
  const double wanted[] = {0.002, 0.04};
  for (std::size_t i = 0; i < 2; ++i) CHECK(at[i + 1] - at[i] >= wanted[i] - 0.001);

  RawListener listener(16, "127.0.0.1", port);
  RawSocket peer;
  fixture.runUntil([&] { return listener.acceptInto(peer) && log == "connect "; });
  at.clear();
  listener.close();
  peer.close();
  fixture.runUntil([&] { return at.size() == 3; });
  // Were it not for the connection that was open, it would have been 16 seconds and 320.
  CHECK(at[1] - at[0] >= 0.001);
  CHECK(at[2] - at[1] >= 0.039);
  client->close();
  CHECK(client->getStatus() == TcpConnection::STATUS_CLOSED);
}

TEST_CASE("reconnect: for a ReconnectDelay a websocket is open when its handshake is done") {
  std::vector<double> at;
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto server = testing::listenOn("tcp");
  server->onMessage = [](auto connection) { connection->close("HTTP/1.1 503 Busy\r\n\r\n"); };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "ws"));
  client->onClose = [&](auto connection) {
    at.push_back(now());
    if (at.size() < 4)
      connection->reconnect(ReconnectDelay{.first = 0.04, .factor = 3, .max = 9, .jitter = 0});
  };
  client->connect();
  fixture.runUntil([&] { return at.size() == 4; });
  CHECK(at[1] - at[0] >= 0.035);
  CHECK(at[2] - at[1] >= 0.115);
  CHECK(at[3] - at[2] >= 0.355);
}

TEST_CASE("reconnect: a ReconnectDelay that makes no sense is refused, without effect") {
  LoopFixture fixture;
  const testing::RefusingPort port;
  auto client = std::make_shared<AsyncTcpConnection>(port.address());
  CHECK_THROWS_AS(client->reConnect(ReconnectDelay{.factor = 0.5}), std::invalid_argument);
  CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
  CHECK(client.use_count() == 1);
}

TEST_CASE("reconnect: after NaN or a time below 0 is refused, without effect; an infinite one never comes") {
  LoopFixture fixture;
  const testing::RefusingPort port;
  auto client = std::make_shared<AsyncTcpConnection>(port.address());
  int failed = 0;
  client->onError = [&] { ++failed; };
  client->onClose = [](auto connection) { connection->reConnect(INFINITY); };
  CHECK_THROWS_AS(client->reConnect(std::nan("")), std::invalid_argument);
  CHECK_THROWS_AS(client->reConnect(-1), std::invalid_argument);
  CHECK(client.use_count() == 1);
  client->reConnect(1e300);
  client->connectTimeout = INFINITY;
  client->connect();
  fixture.runUntil([&] { return failed == 1; });
  CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
  fixture.turn(20);
  CHECK(failed == 1);
  client->destroy();
}

TEST_CASE("reconnect: 3,000 times against a flapping server, without growth") {
  LoopFixture fixture;
  const auto server = testing::listenOn("text");
  int accepted = 0;
  server->onConnect = [&](auto connection) {
    // Gone at once, after a word, by end(), or at the client's question.
    switch (++accepted % 4) {
      case 0:
        return connection->destroy();
      case 1:
        return connection->close("bye");
      case 2:
        return connection->end();
      default:
        return;
    }
  };
  server->onMessage = [](auto connection, auto) { connection->close(); };
  int rounds = 0, connects = 0;
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "text"));
  client->onConnect = [&](auto connection) {
    ++connects;
    connection->send("hello");
  };
  client->onClose = [&](auto connection) {
    if (++rounds < 3000) connection->reConnect(rounds % 100 == 0 ? 0.001 : 0);
  };
  client->connect();
  fixture.runUntil([&] { return rounds >= 300; });
  fixture.turn(3);
  const std::size_t handles = countHandles(fixture.loop());
  const std::size_t pages = residentPages();
  fixture.runUntil([&] { return rounds == 3000; });
  fixture.runUntil([&] { return server->connections.size() == 0; });
  fixture.turn(3);
  CHECK(countHandles(fixture.loop()) <= handles);
  CHECK(TcpConnection::connections.size() == 0);
  CHECK(client.use_count() == 1);
  CHECK(connects == 3000);
  CHECK(residentPages() < pages + 64 * 256);  // 64 MiB: a sanity check, not a measurement
}
