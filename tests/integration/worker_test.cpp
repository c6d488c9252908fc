// A worker from its start to its end: accepting, its connections, its callbacks.

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::LoopFixture;

namespace {

std::shared_ptr<AsyncTcpConnection> clientOf(const Worker& worker, const std::string& scheme = "text") {
  return std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, scheme));
}

/// Writes each event's name down.
using Seen = std::vector<std::string>;

}  // namespace

TEST_CASE("worker: its names, port and socket, before, while and after it listens") {
  Worker worker("text://127.0.0.1:0");
  CHECK(worker.getSocketName() == "text://127.0.0.1:0");
  CHECK(Worker().getSocketName() == "none");
  CHECK(worker.name == "none");
  CHECK(worker.getListenPort() == 0);
  CHECK(worker.getMainSocket() == -1);
  CHECK(Worker::getAllWorkers() == std::vector<Worker*>{&worker});
  LoopFixture fixture;
  CHECK(worker.getListenPort() > 0);
  CHECK(worker.getMainSocket() >= 0);
  CHECK(worker.protocol == "text");
  CHECK(worker.transport == "tcp");
  CHECK(Worker::getStatus() == Worker::STATUS_RUNNING);
  CHECK(Worker::getEventLoop() == Worker::globalEvent);
  Worker::stopAll();
  CHECK(Worker::getStatus() == Worker::STATUS_SHUTDOWN);
  CHECK(worker.getMainSocket() == -1);
  CHECK(worker.getListenPort() == 0);
}

TEST_CASE("worker: the order of its life") {
  Seen events;
  Worker worker("text://127.0.0.1:0");
  worker.onWorkerStart = [&](Worker* started) {
    CHECK(started == &worker);
    CHECK(started->getListenPort() > 0);
    events.push_back("start");
  };
  worker.onConnect = [&](TcpConnectionPtr connection) {
    CHECK(connection->worker == &worker);
    events.push_back("connect");
  };
  worker.onMessage = [&](auto, auto data) { events.push_back("message " + std::string(data)); };
  worker.onClose = [&](TcpConnectionPtr connection) {
    CHECK(connection->worker == &worker);
    CHECK(worker.connections.size() == 1);
    CHECK(worker.connections.find(connection->id)->second == connection);
    events.push_back("close");
  };
  worker.onWorkerStop = [&](Worker* stopped) {
    CHECK(stopped->connections.size() == 1);
    CHECK(stopped->stopping);
    events.push_back("stop");
  };
  LoopFixture fixture;
  auto client = clientOf(worker);
  client->send("hi");
  client->connect();
  fixture.runUntil([&] { return events.size() == 3; });
  Worker::stopAll();
  fixture.runUntil([&] { return events.size() == 5; });
  CHECK(events == Seen{"start", "connect", "message hi", "stop", "close"});
  CHECK(worker.connections.size() == 0);
}

TEST_CASE("worker: nothing is accepted until onWorkerStart returns") {
  bool hasStarted = false, cameTooSoon = false;
  int accepted = 0;
  Worker worker("tcp://127.0.0.1:0");
  worker.onConnect = [&] {
    cameTooSoon = cameTooSoon || !hasStarted;
    ++accepted;
  };
  worker.onWorkerStart = [&] {
    auto client = clientOf(worker, "tcp");
    client->connect();
    Timer::sleep(0.02);
    hasStarted = true;
  };
  LoopFixture fixture;
  fixture.runUntil([&] { return accepted == 1; });
  CHECK_FALSE(cameTooSoon);
}

TEST_CASE("worker: pauseAccept leaves callers waiting until resumeAccept, also from onWorkerStart on") {
  int accepted = 0;
  bool isConnected = false;
  Worker worker("tcp://127.0.0.1:0");
  worker.onWorkerStart = [](Worker* started) { started->pauseAccept(); };
  worker.onConnect = [&] { ++accepted; };
  LoopFixture fixture;
  auto client = clientOf(worker, "tcp");
  client->onConnect = [&](auto) { isConnected = true; };
  client->connect();
  fixture.runUntil([&] { return isConnected; });
  fixture.turn(20);
  CHECK(accepted == 0);
  CHECK(worker.connections.size() == 0);
  worker.resumeAccept();
  worker.resumeAccept();
  fixture.runUntil([&] { return accepted == 1; });
  worker.pauseAccept();
  worker.pauseAccept();
  isConnected = false;
  client->reConnect();
  fixture.runUntil([&] { return isConnected; });
  fixture.turn(20);
  CHECK(accepted == 1);
  worker.resumeAccept();
  fixture.runUntil([&] { return accepted == 2; });
}

TEST_CASE("worker: a connection has the callbacks of its accept; its own assignments concern only itself") {
  Seen events;
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  const auto note = [&](const std::string& text) {
    return [&events, text](auto, auto data) { events.push_back(text + " " + std::string(data)); };
  };
  worker->onMessage = note("first");
  auto one = clientOf(*worker);
  one->connect();
  fixture.runUntil([&] { return worker->connections.size() == 1; });
  const auto accepted = worker->connections.begin()->second;
  worker->onMessage = note("second");
  auto two = clientOf(*worker);
  two->connect();
  fixture.runUntil([&] { return worker->connections.size() == 2; });
  const auto say = [&](AsyncTcpConnection& client, const char* text) {
    const std::size_t before = events.size();
    client.send(text);
    fixture.runUntil([&] { return events.size() > before; });
  };
  say(*one, "a");
  say(*two, "b");
  accepted->onMessage = note("own");
  say(*one, "c");
  say(*two, "d");
  CHECK(events == Seen{"first a", "second b", "own c", "second d"});
  // nullptr silences it, without falling back.
  accepted->onMessage = nullptr;
  one->send("e");
  fixture.runUntil([&] { return accepted->bytesRead == 6; });
  CHECK(events.size() == 4);
  worker->onMessage = nullptr;
  say(*two, "f");
  CHECK(events.back() == "second f");
}

TEST_CASE("worker: connections are listed by id, and closing any of them inside the loop is safe") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  const auto other = testing::listenOn("text");
  std::vector<std::shared_ptr<AsyncTcpConnection>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(clientOf(i == 4 ? *other : *worker));
    clients.back()->connect();
  }
  fixture.runUntil([&] { return worker->connections.size() == 4 && other->connections.size() == 1; });
  CHECK(TcpConnection::connections.size() == 10);
  std::vector<std::int64_t> ids;
  for (auto& [id, connection] : worker->connections) {
    CHECK(connection->id == id);
    CHECK(connection->worker == worker.get());
    ids.push_back(id);
  }
  CHECK(std::is_sorted(ids.begin(), ids.end()));
  REQUIRE(ids.size() == 4);
  CHECK(worker->connections.at(ids[2])->id == ids[2]);
  CHECK(worker->connections.find(other->connections.begin()->first) == worker->connections.end());
  CHECK_THROWS_AS(worker->connections.at(0), std::out_of_range);
  int met = 0;
  for (auto& [id, connection] : worker->connections) {
    ++met;
    if (id == ids[0]) worker->connections.at(ids[1])->destroy();
    connection->close();
  }
  CHECK(met == 3);
  CHECK(worker->connections.empty());
  CHECK(other->connections.size() == 1);
}

TEST_CASE("worker: one made in a callback lives while it listens or any of its connections does") {
  std::weak_ptr<Worker> watched;
  int closed = 0;
  int port = 0;
  LoopFixture fixture;
  Timer::delay(0, [&] {
    auto inner = std::make_shared<Worker>("text://127.0.0.1:0");
    inner->onMessage = [](auto connection, auto data) {
      if (data == "unlisten") connection->worker->unlisten();
      connection->send(data);
    };
    inner->onClose = [&](auto connection) {
      CHECK(connection->worker != nullptr);
      CHECK(connection->worker->getSocketName() == "text://127.0.0.1:0");
      ++closed;
    };
    inner->listen();
    port = inner->getListenPort();
    watched = inner;
  });
  fixture.runUntil([&] { return port > 0; });
  REQUIRE_FALSE(watched.expired());
  CHECK(Worker::getAllWorkers().size() == 1);
  std::string answer;
  auto client = std::make_shared<AsyncTcpConnection>("text://127.0.0.1:" + std::to_string(port));
  client->onMessage = [&](auto, auto data) { answer = data; };
  client->send("unlisten");
  client->connect();
  fixture.runUntil([&] { return answer == "unlisten"; });
  CHECK_FALSE(watched.expired());
  CHECK(watched.lock()->getListenPort() == 0);
  client->send("more");
  fixture.runUntil([&] { return answer == "more"; });
  client->close();
  fixture.runUntil([&] { return closed == 1; });
  CHECK(watched.expired());
  CHECK(Worker::getAllWorkers().empty());
}

TEST_CASE("worker: unlisten and listen again inside onConnect") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  int accepted = 0;
  worker->onConnect = [&](auto connection) {
    ++accepted;
    connection->worker->unlisten();
    connection->worker->listen();
  };
  for (int i = 0; i < 3; ++i) {
    auto client = clientOf(*worker);
    client->connect();
    fixture.runUntil([&] { return accepted == i + 1; });
  }
  CHECK(worker->getListenPort() > 0);
  worker->onConnect = [&](auto connection) {
    ++accepted;
    connection->worker->stop();
  };
  clientOf(*worker)->connect();
  fixture.runUntil([&] { return accepted == 4; });
  CHECK(worker->getListenPort() == 0);
  CHECK(worker->connections.empty());
}

TEST_CASE("worker: one that is destroyed with connections closes them; those it leaves behind are nobody's") {
  LoopFixture fixture;
  int closed = 0;
  auto worker = std::make_unique<Worker>("text://127.0.0.1:0");
  worker->onClose = [&](auto connection) {
    ++closed;
    if (closed > 1) return;
    worker.reset();
    CHECK(connection->worker == nullptr);
  };
  worker->listen();
  std::vector<std::shared_ptr<AsyncTcpConnection>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(clientOf(*worker));
    clients.back()->connect();
  }
  fixture.runUntil([&] { return worker->connections.size() == 3; });
  worker->connections.begin()->second->close();
  CHECK(worker == nullptr);
  CHECK(closed == 3);
  CHECK(Worker::getAllWorkers().empty());
}

TEST_CASE("worker: destroyed before it ran it is forgotten, with a warning") {
  { LoopFixture fixture; }
  CapturedStderr output;
  { Worker worker("text://127.0.0.1:5678"); }
  CHECK(output.text() == "a Worker for text://127.0.0.1:5678 is destroyed before it ran: it is forgotten\n");
  { Worker withoutSocket; }
  {
    Worker worker("text://127.0.0.1:0");
    LoopFixture fixture;
  }
  CHECK(Worker::getAllWorkers().empty());
  const std::string said = output.text();
  CHECK(std::count(said.begin(), said.end(), '\n') == 1);
}
