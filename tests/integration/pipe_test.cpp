#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <memory>
#include <string>
#include <utility>

#include "../support/loop_fixture.h"
#include "../support/raw_peer.h"

using testing::LoopFixture;
using testing::RawListener;
using testing::RawSocket;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;
using Workerman::Connection::TcpConnectionPtr;

namespace {

/// A TCP proxy between two plain sockets.
struct Proxy {
  LoopFixture loop;
  testing::Ticker ticker;
  RawListener target;
  std::shared_ptr<Workerman::Worker> worker = testing::listenOn("tcp");
  RawSocket client;
  RawSocket server;
  TcpConnectionPtr inside;
  AsyncTcpConnectionPtr outside;
  int closed = 0;

  Proxy() {
    worker->onConnect = [this](auto connection) {
      inside = connection;
      outside = std::make_shared<AsyncTcpConnection>(target.address());
      connection->pipe(outside);
      outside->pipe(connection);
      outside->connect();
    };
  }
  ~Proxy() {
    inside = nullptr;
    outside = nullptr;
  }

  void connectClient() {
    client = RawSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(worker->getListenPort()));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(client.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    REQUIRE(::fcntl(client.fd(), F_SETFL, O_NONBLOCK) == 0);
  }
  void connect() {
    connectClient();
    loop.runUntil([this] { return target.acceptInto(server); });
  }
  /// Reads until the peer's FIN.
  std::string untilEnd(RawSocket& socket) {
    std::string all;
    loop.runUntil([&] { return all += socket.receiveAll(), socket.isAtEnd(); });
    return all;
  }
  std::string untilSize(RawSocket& socket, std::size_t size) {
    std::string all;
    loop.runUntil([&] { return (all += socket.receiveAll()).size() >= size; });
    return all;
  }
  bool bothClosed() const {
    return inside->getStatus() == AsyncTcpConnection::STATUS_CLOSED &&
           outside->getStatus() == AsyncTcpConnection::STATUS_CLOSED;
  }
};

}  // namespace

TEST_CASE("pipe: the end of one direction is passed on, and the other goes on") {
  Proxy proxy;
  proxy.connect();
  RawSocket& first = proxy.client;
  RawSocket& second = proxy.server;
  const auto exchange = [&](RawSocket& early, RawSocket& late) {
    early.send("request");
    early.shutdownWrite();
    CHECK(proxy.untilEnd(late) == "request");
    CHECK(proxy.inside->getStatus() == AsyncTcpConnection::STATUS_ESTABLISHED);
    late.send("long ");
    CHECK(proxy.untilSize(early, 5) == "long ");
    late.send("answer");
    late.close();
    CHECK(proxy.untilEnd(early) == "answer");
    proxy.loop.runUntil([&] { return proxy.bothClosed(); });
  };
  SUBCASE("the client ends first") {
    exchange(first, second);
  }
  SUBCASE("the target ends first") {
    exchange(second, first);
  }
}

TEST_CASE("pipe: the end that comes before the target is connected is not forgotten") {
  Proxy proxy;
  proxy.connectClient();
  proxy.client.send("quick");
  proxy.client.shutdownWrite();
  proxy.loop.runUntil([&] { return proxy.target.acceptInto(proxy.server); });
  CHECK(proxy.untilEnd(proxy.server) == "quick");
  proxy.server.send("still here");
  CHECK(proxy.untilSize(proxy.client, 10) == "still here");
  proxy.server.shutdownWrite();
  CHECK(proxy.untilEnd(proxy.client).empty());
  proxy.loop.runUntil([&] { return proxy.bothClosed(); });
}

TEST_CASE("pipe: the end follows all that is queued, also past a slow reader") {
  Proxy proxy;
  proxy.connect();
  constexpr std::size_t kTotal = 24 * 1024 * 1024;
  auto source = std::make_shared<AsyncTcpConnection>(testing::addressOf(*proxy.worker, "tcp"));
  RawSocket sink;
  source->maxSendBufferSize = 2 * kTotal;
  source->lingerTimeout = 30;
  source->onConnect = [](auto connection) { connection->end(std::string(kTotal, 'p')); };
  source->connect();
  proxy.loop.runUntil([&] {
    return proxy.target.acceptInto(sink) &&
           proxy.outside->getSendBufferQueueSize() >= proxy.outside->maxSendBufferSize;
  });
  CHECK(proxy.untilEnd(sink).size() == kTotal);
}

TEST_CASE("pipe: a reset of either end closes both") {
  Proxy proxy;
  proxy.connect();
  SUBCASE("the client") {
    proxy.client.reset();
    proxy.untilEnd(proxy.server);
  }
  SUBCASE("the target, which has ended before") {
    proxy.server.shutdownWrite();
    proxy.untilEnd(proxy.client);
    proxy.server.reset();
    // What the client still sends meets nobody.
    proxy.client.send("into nothing");
  }
  proxy.loop.runUntil([&] { return proxy.bothClosed(); });
}

TEST_CASE("pipe: in one direction only, the end closes the target, as in PHP") {
  LoopFixture loop;
  const testing::Ticker ticker;
  RawListener target;
  RawSocket server;
  const auto worker = testing::listenOn("tcp");
  worker->onConnect = [&](auto connection) {
    auto onwards = std::make_shared<AsyncTcpConnection>(target.address());
    connection->pipe(onwards);
    onwards->connect();
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "tcp"));
  client->onConnect = [](auto connection) { connection->end("all"); };
  client->connect();
  std::string got;
  loop.runUntil([&] { return target.acceptInto(server) && (got += server.receiveAll(), server.isAtEnd()); });
  CHECK(got == "all");
}

TEST_CASE("pipe: nothing is read for a target that is gone") {
  Proxy proxy;
  proxy.connect();
  // The application has taken the closing into its own hands.
  proxy.outside->onClose = nullptr;
  proxy.server.reset();
  proxy.loop.runUntil([&] { return proxy.outside->getStatus() == AsyncTcpConnection::STATUS_CLOSED; });
  proxy.client.send("for nobody");
  CHECK(proxy.untilEnd(proxy.client).empty());
}
