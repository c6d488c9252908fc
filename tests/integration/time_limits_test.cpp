/// How long a worker waits: for bytes, and for a websocket's opening handshake.

#include <chrono>
#include <string>
#include <vector>

#include "support/loop_fixture.h"
#include "support/wire_echo.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::connectRaw;
using testing::LoopFixture;
using testing::RawSocket;
using testing::Role;
using testing::WirePeer;

namespace {

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A websocket's plain client, whose handshake is done.
WirePeer openWebsocket(LoopFixture& fixture, const Worker& worker) {
  WirePeer peer(connectRaw(worker.getListenPort()), Role::Client);
  peer.offer(testing::upgradeRequest());
  std::string head;
  fixture.runUntil([&] {
    peer.collect();
    if (head.empty()) head = peer.takeHead();
    return !head.empty();
  });
  return peer;
}

}  // namespace

TEST_CASE("idle: a raw connection without a byte in either direction is destroyed; onClose runs") {
  std::string log;
  LoopFixture fixture;
  const auto worker = testing::listenOn("tcp");
  worker->idleTimeout = 0.2;
  worker->onConnect = [&] { log += "connect "; };
  worker->onError = [&] { log += "error "; };
  worker->onClose = [&] { log += "close "; };
  const RawSocket peer = connectRaw(worker->getListenPort());
  const auto begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return log == "connect close "; });
  CHECK(secondsSince(begin) >= 0.19);
  CHECK(worker->connections.empty());
}

TEST_CASE("idle: bytes in either direction keep a connection, each by itself") {
  std::vector<std::int64_t> closed;
  std::vector<TcpConnectionPtr> ours;
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = testing::listenOn("tcp");
  worker->idleTimeout = 0.5;
  worker->onClose = [&](auto connection) { closed.push_back(connection->id); };
  worker->onConnect = [&](auto connection) { ours.push_back(connection); };
  RawSocket sends = connectRaw(worker->getListenPort());
  fixture.runUntil([&] { return ours.size() == 1; });
  RawSocket receives = connectRaw(worker->getListenPort());
  fixture.runUntil([&] { return ours.size() == 2; });
  RawSocket silent = connectRaw(worker->getListenPort());
  fixture.runUntil([&] { return ours.size() == 3; });
  const int timer = Timer::add(0.02, [&] {
    sends.send("x");
    ours[1]->send("y");
  });
  const auto begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return secondsSince(begin) > 1.2; });
  Timer::del(timer);
  CHECK(closed == std::vector<std::int64_t>{ours[2]->id});
  fixture.runUntil([&] { return closed.size() == 3; });
}

TEST_CASE("idle: a websocket is told 1001; if it does not answer, the closing handshake's limit ends it") {
  for (const bool answers : {true, false}) {
    CAPTURE(answers);
    int code = 0;
    bool isClosed = false;
    LoopFixture fixture;
    const testing::Ticker ticker;
    const auto worker = testing::listenOn("websocket");
    worker->onConnect = [](auto connection) { connection->websocketCloseTimeout = 0.1f; };
    worker->onWebSocketClose = [&](auto, int told) { code = told; };
    worker->onClose = [&] { isClosed = true; };
    WirePeer peer = openWebsocket(fixture, *worker);
    worker->idleTimeout = 0.2;
    // A limit that is set later is found by the next connection that is accepted.
    const RawSocket another = connectRaw(worker->getListenPort());
    fixture.runUntil([&] { return peer.collect(), peer.hasClose; });
    CHECK(peer.closeCode() == 1001);
    if (answers) peer.offer(testing::goodbye(1001).bytes(Role::Client));
    fixture.runUntil([&] { return peer.collect(), peer.isAtEnd(); });
    peer.socket().close();
    fixture.runUntil([&] { return isClosed; });
    CHECK(code == (answers ? 1001 : 1006));
  }
}

TEST_CASE("idle: pings keep a websocket whose peer answers them") {
  bool isClosed = false;
  LoopFixture fixture;
  const auto worker = testing::listenOn("websocket");
  worker->idleTimeout = 0.5;
  worker->onConnect = [](auto connection) { connection->websocketPingInterval = 0.05f; };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "ws"));
  client->onClose = [&] { isClosed = true; };
  client->connect();
  const testing::Ticker ticker;
  const auto begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return isClosed || secondsSince(begin) > 1.2; });
  CHECK_FALSE(isClosed);
}

TEST_CASE("idle: a peer that reads nothing cannot hold a connection that is closing") {
  bool isClosed = false;
  LoopFixture fixture;
  const auto worker = testing::listenOn("tcp");
  worker->idleTimeout = 0.2;
  worker->onClose = [&] { isClosed = true; };
  worker->onConnect = [](auto connection) {
    connection->maxSendBufferSize = 64 << 20;
    connection->send(std::string(32 << 20, 'x'));
    connection->close();
    CHECK(connection->getStatus() == TcpConnection::STATUS_CLOSING);
  };
  const RawSocket peer = connectRaw(worker->getListenPort());
  fixture.runUntil([&] { return isClosed; });
}

TEST_CASE("idle: the limit may change, and go, while connections wait") {
  int closed = 0;
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = testing::listenOn("tcp");
  worker->onClose = [&] { ++closed; };
  worker->idleTimeout = 0.4;
  const RawSocket first = connectRaw(worker->getListenPort());
  fixture.runUntil([&] { return worker->connections.size() == 1; });
  worker->idleTimeout = 0;
  auto begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return secondsSince(begin) > 0.6; });
  CHECK(closed == 0);
  worker->idleTimeout = 0.2;
  const RawSocket second = connectRaw(worker->getListenPort());
  begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return closed == 2; });
  // The first one's wait begins anew: what it was idle before the limit went does not count.
  CHECK(secondsSince(begin) >= 0.19);
}

TEST_CASE("idle: onClose may destroy the worker, or stop everything") {
  for (const bool stopsAll : {false, true}) {
    CAPTURE(stopsAll);
    int closed = 0;
    LoopFixture fixture;
    auto worker = std::make_unique<Worker>("tcp://127.0.0.1:0");
    worker->listen();
    worker->idleTimeout = 0.05;
    worker->onClose = [&] {
      if (++closed > 1) return;
      if (stopsAll) {
        Worker::stopAll();
      } else {
        worker.reset();
      }
    };
    std::vector<RawSocket> peers;
    for (int i = 0; i < 5; ++i) peers.push_back(connectRaw(worker->getListenPort()));
    fixture.runUntil([&] { return closed == 5; });
    CHECK(TcpConnection::connections.empty());
  }
}

TEST_CASE("handshake limit: 408 with Connection: close for a silent, a slow and a half done client") {
  const std::string request = testing::upgradeRequest();
  struct Case {
    const char* what;
    std::string begins;
    bool drips;
  };
  const Case cases[] = {
      {"silent", "", false},
      {"half a request", request.substr(0, request.size() / 2), false},
      {"a byte now and then", "", true},
  };
  for (const auto& each : cases) {
    CAPTURE(each.what);
    bool isConnected = false, isClosed = false, isTold = false;
    LoopFixture fixture;
    const auto worker = testing::listenOn("websocket");
    worker->handshakeTimeout = 0.3;
    worker->onWebSocketConnect = [&] { isConnected = true; };
    worker->onWebSocketClose = [&] { isTold = true; };
    std::string errors;
    worker->onError = [&](auto, int code, auto message) {
      CHECK_FALSE(isClosed);
      errors += std::to_string(code) + ":" + std::string(message);
    };
    worker->onClose = [&] { isClosed = true; };
    WirePeer peer(connectRaw(worker->getListenPort()), Role::Client);
    peer.offer(each.begins);
    std::size_t at = 0;
    const testing::Ticker ticker;
    const int drip = Timer::add(0.02, [&] {
      if (each.drips && !peer.isAtEnd()) peer.offer(request.substr(at++, 1));
    });
    const auto begin = std::chrono::steady_clock::now();
    fixture.runUntil([&] { return peer.collect(), peer.isAtEnd(); });
    CHECK(secondsSince(begin) >= 0.29);
    Timer::del(drip);
    CHECK(peer.bytes().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    CHECK(peer.bytes().find("Connection: close\r\n") != std::string::npos);
    CHECK(peer.bytes().find("took too long") != std::string::npos);
    peer.socket().close();
    fixture.runUntil([&] { return isClosed; });
    CHECK_FALSE(isConnected);
    CHECK_FALSE(isTold);
    CHECK(errors == "1:timed out while waiting for the websocket handshake");
  }
}

TEST_CASE("handshake limit: onError may destroy the connection, or the worker") {
  for (const bool takesWorker : {false, true}) {
    CAPTURE(takesWorker);
    int closed = 0;
    LoopFixture fixture;
    const testing::Ticker ticker;
    auto worker = std::make_unique<Worker>("websocket://127.0.0.1:0");
    worker->listen();
    worker->handshakeTimeout = 0.05;
    worker->onClose = [&] { ++closed; };
    worker->onError = [&](auto connection) {
      if (takesWorker) return worker.reset();
      connection->destroy();
    };
    std::vector<RawSocket> peers;
    for (int i = 0; i < 3; ++i) peers.push_back(connectRaw(worker->getListenPort()));
    fixture.runUntil([&] { return closed == 3; });
    for (auto& peer : peers) {
      fixture.runUntil([&] { return peer.receiveAll(), peer.isAtEnd(); });
    }
  }
}

TEST_CASE("handshake limit: an open websocket, one that has gone, and a raw connection are left alone") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = testing::listenOn("websocket");
  const auto raw = testing::listenOn("tcp");
  worker->handshakeTimeout = raw->handshakeTimeout = 0.2;
  WirePeer open = openWebsocket(fixture, *worker);
  RawSocket gone = connectRaw(worker->getListenPort());
  RawSocket plain = connectRaw(raw->getListenPort());
  fixture.runUntil([&] { return worker->connections.size() == 2 && raw->connections.size() == 1; });
  gone.close();
  std::vector<RawSocket> late;
  const auto begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return secondsSince(begin) > 0.1; });
  late.push_back(connectRaw(worker->getListenPort()));
  const auto lateBegin = std::chrono::steady_clock::now();
  std::string answer;
  fixture.runUntil([&] { return (answer += late[0].receiveAll()).starts_with("HTTP/1.1 408 "); });
  CHECK(secondsSince(lateBegin) >= 0.19);  // its own deadline, not that of the one that has gone
  late.clear();
  fixture.runUntil([&] { return worker->connections.size() == 1; });
  CHECK(raw->connections.size() == 1);
  open.offer(testing::ping("still").bytes(Role::Client));
  fixture.runUntil([&] { return open.collect(), !open.words.empty(); });
  CHECK(open.words == testing::Words{"pong:still"});
}

TEST_CASE("handshake limit: many that shake hands and few that do not, and the limit set to 0") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = testing::listenOn("websocket");
  worker->handshakeTimeout = 0.4;
  std::vector<RawSocket> silent;
  std::vector<WirePeer> open;
  for (int i = 0; i < 300; ++i) {
    if (i % 100 == 0) silent.push_back(connectRaw(worker->getListenPort()));
    open.push_back(openWebsocket(fixture, *worker));
  }
  fixture.runUntil([&] { return worker->connections.size() == 300; });
  for (auto& socket : silent) CHECK(socket.receiveAll().starts_with("HTTP/1.1 408 "));
  silent.clear();
  fixture.runUntil([&] { return worker->connections.size() == 300; });

  const RawSocket waiting = connectRaw(worker->getListenPort());
  fixture.runUntil([&] { return worker->connections.size() == 301; });
  worker->handshakeTimeout = 0;
  const auto begin = std::chrono::steady_clock::now();
  fixture.runUntil([&] { return secondsSince(begin) > 0.6; });
  CHECK(worker->connections.size() == 301);
}
