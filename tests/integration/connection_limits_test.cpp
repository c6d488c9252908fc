/// How many connections a worker takes: in all, and from one address.

#include <string>
#include <thread>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"
#include "support/temporary_folder.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::LoopFixture;
using testing::RawSocket;

namespace {

/// A connected socket from any address of the loopback network.
RawSocket dial(const Worker& worker, const char* from = "127.0.0.1") {
  RawSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  REQUIRE(::inet_pton(AF_INET, from, &here.sin_addr) == 1);
  REQUIRE(::bind(socket.fd(), reinterpret_cast<sockaddr*>(&here), sizeof here) == 0);
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(static_cast<std::uint16_t>(worker.getListenPort()));
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket.fd(), reinterpret_cast<sockaddr*>(&there), sizeof there) == 0);
  return socket;
}

/// Whether the other side has closed it.
bool isRefused(RawSocket& socket) {
  socket.receive();
  return socket.isAtEnd();
}

/// Counts what a worker's callbacks are called for.
struct Counted {
  int connected = 0;
  int closed = 0;
  void watch(Worker& worker) {
    worker.onConnect = [this] { ++connected; };
    worker.onClose = [this] { ++closed; };
  }
};

std::size_t countOf(const std::string& text, std::string_view word) {
  std::size_t times = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++times;
  return times;
}

}  // namespace

TEST_CASE("limits: one more than maxConnections is closed at once, told to nobody, and logged once") {
  Counted counted;
  LoopFixture fixture;
  const testing::Ticker ticker;
  CapturedStderr output;
  const auto worker = testing::listenOn("text");
  counted.watch(*worker);
  worker->maxConnections = 3;
  std::vector<RawSocket> inside, outside;
  for (int i = 0; i < 3; ++i) inside.push_back(dial(*worker));
  fixture.runUntil([&] { return counted.connected == 3; });
  for (int i = 0; i < 20; ++i) outside.push_back(dial(*worker));
  for (auto& socket : outside) CHECK(fixture.runUntil([&] { return isRefused(socket); }));
  CHECK(worker->refusedConnections == 20);
  CHECK(worker->connections.size() == 3);
  CHECK(TcpConnection::connections.size() == 3);
  CHECK(counted.connected == 3);
  CHECK(counted.closed == 0);
  CHECK(countOf(output.text(), "maxConnections is reached") == 1);
  for (auto& socket : inside) CHECK_FALSE(isRefused(socket));

  inside.pop_back();
  fixture.runUntil([&] { return counted.closed == 1; });
  inside.push_back(dial(*worker));
  fixture.runUntil([&] { return counted.connected == 4; });
  CHECK(worker->refusedConnections == 20);
}

TEST_CASE("limits: maxConnectionsPerIp counts each address by itself, and what has gone no longer") {
  Counted counted;
  LoopFixture fixture;
  const testing::Ticker ticker;
  CapturedStderr output;
  const auto worker = testing::listenOn("tcp");
  counted.watch(*worker);
  worker->maxConnectionsPerIp = 2;
  std::vector<RawSocket> sockets;
  for (const char* from : {"127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3"}) {
    sockets.push_back(dial(*worker, from));
  }
  fixture.runUntil([&] { return counted.connected == 5; });
  RawSocket third = dial(*worker, "127.0.0.2");
  CHECK(fixture.runUntil([&] { return isRefused(third); }));
  CHECK(output.text().find("127.0.0.2 is refused, maxConnectionsPerIp is reached") != std::string::npos);
  sockets[2].close();
  fixture.runUntil([&] { return counted.closed == 1; });
  sockets.push_back(dial(*worker, "127.0.0.2"));
  fixture.runUntil([&] { return counted.connected == 6; });
  RawSocket again = dial(*worker, "127.0.0.2");
  CHECK(fixture.runUntil([&] { return isRefused(again); }));
  CHECK(worker->refusedConnections == 2);
}

TEST_CASE("limits: assigned while the worker runs, they count those that are there and end nobody") {
  Counted counted;
  LoopFixture fixture;
  const testing::Ticker ticker;
  CapturedStderr output;
  const auto worker = testing::listenOn("tcp");
  counted.watch(*worker);
  std::vector<RawSocket> sockets;
  for (int i = 0; i < 5; ++i) sockets.push_back(dial(*worker));
  fixture.runUntil([&] { return counted.connected == 5; });
  struct Step {
    std::size_t total, perIp;
    bool refused;
  };
  const Step steps[] = {{0, 3, true},  {5, 0, true}, {6, 6, false}, {6, 6, true},
                        {0, 0, false}, {0, 7, true}, {9, 8, false}};
  std::uint64_t refusals = 0;
  int connected = 5;
  for (const auto& step : steps) {
    CAPTURE(step.total);
    CAPTURE(step.perIp);
    worker->maxConnections = step.total;
    worker->maxConnectionsPerIp = step.perIp;
    sockets.push_back(dial(*worker));
    refusals += step.refused;
    connected += !step.refused;
    fixture.runUntil(
        [&] { return worker->refusedConnections == refusals && counted.connected == connected; });
    CHECK(isRefused(sockets.back()) == step.refused);
  }
  CHECK(counted.closed == 0);
}

TEST_CASE("limits: closed by the application inside onConnect, a connection frees its place at once") {
  int connected = 0;
  LoopFixture fixture;
  const auto worker = testing::listenOn("tcp");
  worker->maxConnections = 1;
  worker->maxConnectionsPerIp = 1;
  worker->onConnect = [&](auto connection) {
    ++connected;
    connection->close();
  };
  std::vector<RawSocket> sockets;
  for (int i = 0; i < 10; ++i) sockets.push_back(dial(*worker));
  fixture.runUntil([&] { return connected == 10; });
  CHECK(worker->refusedConnections == 0);
}

TEST_CASE("limits: IPv6 counts by address; a unix socket has none and is only limited in all") {
  int closed = 0;
  LoopFixture fixture;
  CapturedStderr output;
  SUBCASE("IPv6") {
    const auto worker = std::make_shared<Worker>("tcp://[::1]:0");
    worker->maxConnectionsPerIp = 1;
    worker->listen();
    std::vector<AsyncTcpConnectionPtr> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(
          std::make_shared<AsyncTcpConnection>("tcp://[::1]:" + std::to_string(worker->getListenPort())));
      clients.back()->onClose = [&] { ++closed; };
      clients.back()->connect();
    }
    fixture.runUntil([&] { return closed == 2; });
    CHECK(worker->refusedConnections == 2);
    CHECK(worker->connections.size() == 1);
  }
  SUBCASE("unix") {
    const testing::TemporaryFolder folder;
    const std::string path = folder.path + "/limits.sock";
    const auto worker = std::make_shared<Worker>("unix://" + path);
    worker->maxConnectionsPerIp = 1;
    worker->maxConnections = 3;
    worker->listen();
    std::vector<AsyncTcpConnectionPtr> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(std::make_shared<AsyncTcpConnection>("unix://" + path));
      clients.back()->onClose = [&] { ++closed; };
      clients.back()->connect();
    }
    fixture.runUntil([&] { return closed == 1; });
    CHECK(worker->connections.size() == 3);
    CHECK(output.text().find("a unix socket is refused, maxConnections") != std::string::npos);
    worker->stop();
  }
}

TEST_CASE("limits: each worker, and each thread's, has its own; kept over unlisten() and a second start") {
  CapturedStderr output;
  const auto inOneThread = [] {
    Worker worker("tcp://127.0.0.1:0");
    worker.maxConnections = 1;
    worker.maxConnectionsPerIp = 1;
    for (int round = 1; round <= 2; ++round) {
      LoopFixture fixture;
      const testing::Ticker ticker;
      const auto other = testing::listenOn("tcp");
      RawSocket first = dial(worker), second = dial(worker), elsewhere = dial(*other);
      fixture.runUntil([&] { return isRefused(second); });
      fixture.runUntil([&] { return other->connections.size() == 1; });
      CHECK_FALSE(isRefused(first));
      CHECK(worker.connections.size() == 1);
      worker.unlisten();
      worker.listen();
      RawSocket third = dial(worker);
      fixture.runUntil([&] { return isRefused(third); });
      CHECK(worker.refusedConnections == static_cast<std::uint64_t>(2 * round));
    }
  };
  std::thread elsewhere(inOneThread);
  inOneThread();
  elsewhere.join();
}
