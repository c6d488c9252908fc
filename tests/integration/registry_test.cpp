// worker->connections, TcpConnection::connections and the counters.

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::LoopFixture;

namespace {

/// A worker and several clients, all connected.
struct Crowd {
  LoopFixture fixture;
  std::shared_ptr<Worker> server = testing::listenOn("text");
  std::vector<AsyncTcpConnectionPtr> clients;

  explicit Crowd(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      clients.push_back(std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "text")));
      clients.back()->connect();
    }
    fixture.runUntil([&] {
      for (const auto& client : clients) {
        if (client->getStatus() != TcpConnection::STATUS_ESTABLISHED) return false;
      }
      return server->connections.size() == size;
    });
  }
  ~Crowd() {
    for (const auto& client : clients) client->destroy();
  }
};

}  // namespace

TEST_CASE("connections: by ascending id; size, find, at, contains") {
  Crowd crowd(5);
  CHECK(TcpConnection::connections.size() == 10);
  CHECK(crowd.server->connections.size() == 5);
  std::vector<std::int64_t> all, own;
  for (auto& [id, connection] : TcpConnection::connections) {
    CHECK(connection->id == id);
    all.push_back(id);
  }
  for (auto& [id, connection] : crowd.server->connections) {
    CHECK(connection->worker == crowd.server.get());
    own.push_back(id);
  }
  CHECK(all.size() == 10);
  CHECK(std::is_sorted(all.begin(), all.end()));
  CHECK(own.size() == 5);
  CHECK(std::is_sorted(own.begin(), own.end()));
  CHECK(crowd.server->connections.at(own[2])->id == own[2]);
  CHECK(crowd.server->connections.find(own[2])->second->id == own[2]);
  const auto clientId = crowd.clients[0]->id;
  CHECK(TcpConnection::connections.at(clientId) == crowd.clients[0]);
  CHECK(crowd.server->connections.find(clientId) == crowd.server->connections.end());
  CHECK_FALSE(crowd.server->connections.contains(clientId));
  CHECK(crowd.server->connections.count(own[0]) == 1);
  CHECK_THROWS_AS(crowd.server->connections.at(clientId), std::out_of_range);
  CHECK_FALSE(crowd.server->connections.empty());
}

TEST_CASE("connections: closing any while iterating is safe") {
  for (const char* how : {"this one", "the next", "the one before", "all", "half at the end"}) {
    CAPTURE(std::string(how));
    Crowd crowd(6);
    std::vector<std::int64_t> ids;
    for (auto& [id, connection] : crowd.server->connections) ids.push_back(id);
    const std::string which = how;
    std::vector<std::int64_t> met;
    for (auto& [id, connection] : crowd.server->connections) {
      met.push_back(id);
      const auto at = std::find(ids.begin(), ids.end(), id);
      if (which == "this one") connection->close();
      if (which == "the next" && at + 1 != ids.end()) crowd.server->connections.at(*(at + 1))->destroy();
      if (which == "the one before" && at != ids.begin()) crowd.server->connections.at(*(at - 1))->destroy();
      if (which == "all") {
        for (auto& [inner, each] : crowd.server->connections) each->destroy();
      }
      if (which == "half at the end" && at - ids.begin() >= 3) connection->end();
    }
    CHECK(met.size() == (which == "the next" ? 3 : which == "all" ? 1 : 6));
    const std::size_t left = which == "this one" || which == "all" ? 0
                             : which == "the next"                 ? 3
                             : which == "the one before"           ? 1
                                                                   : 6;
    CHECK(crowd.server->connections.size() == left);
  }
}

TEST_CASE("connections: ids are never used again, and survive a reconnect") {
  Crowd crowd(2);
  const auto first = crowd.clients[0]->id;
  const auto second = crowd.clients[1]->id;
  CHECK(second > first);
  crowd.clients[0]->reConnect();
  crowd.fixture.runUntil([&] { return crowd.clients[0]->getStatus() == TcpConnection::STATUS_ESTABLISHED; });
  CHECK(crowd.clients[0]->id == first);
  const AsyncTcpConnection later("tcp://127.0.0.1:1");
  CHECK(later.id > second);
}

TEST_CASE("connections: one that the user renumbers is still taken out") {
  Crowd crowd(1);
  crowd.clients[0]->id = 123456;
  crowd.clients[0]->close();
  crowd.fixture.runUntil([&] { return crowd.server->connections.size() == 0; });
  CHECK(TcpConnection::connections.size() == 0);
}

TEST_CASE("connections: a broadcast reaches everyone") {
  Crowd crowd(20);
  int got = 0;
  for (const auto& client : crowd.clients) {
    client->onMessage = [&](auto, auto data) { got += data == "to all"; };
  }
  for (auto& [id, connection] : crowd.server->connections) CHECK(connection->send("to all") == true);
  crowd.fixture.runUntil([&] { return got == 20; });
}

TEST_CASE("connections: callbacks of the worker are a snapshot taken at accept") {
  Crowd crowd(1);
  int old = 0, now = 0;
  crowd.server->onMessage = [&] { ++now; };
  for (auto& [id, connection] : crowd.server->connections) connection->onMessage = [&] { ++old; };
  crowd.clients[0]->send("x");
  crowd.fixture.runUntil([&] { return old == 1; });
  for (auto& [id, connection] : crowd.server->connections) connection->onMessage = nullptr;
  crowd.clients[0]->send("y");
  auto late = std::make_shared<AsyncTcpConnection>(testing::addressOf(*crowd.server, "text"));
  late->connect();
  late->send("z");
  crowd.fixture.runUntil([&] { return now == 1; });
  CHECK(old == 1);
  late->destroy();
}

TEST_CASE("statistics: connections, requests, failed sends, exceptions") {
  const auto before = TcpConnection::statistics;
  {
    Crowd crowd(3);
    CHECK(TcpConnection::statistics.connection_count == before.connection_count + 6);
    int handled = 0, got = 0;
    for (auto& [id, connection] : crowd.server->connections) {
      connection->errorHandler = [&](const std::exception& e) {
        handled += std::string(e.what()) == "on purpose";
      };
      connection->onMessage = [&] {
        ++got;
        throw std::runtime_error("on purpose");
      };
    }
    crowd.clients[0]->send("a");
    crowd.clients[1]->send("b");
    crowd.fixture.runUntil([&] { return got == 2; });
    CHECK(handled == 2);
    CHECK(TcpConnection::statistics.total_request == before.total_request + 2);
    CHECK(TcpConnection::statistics.throw_exception == before.throw_exception + 2);
    CHECK(&AsyncTcpConnection::statistics == &ConnectionInterface::statistics);
  }
  CHECK(TcpConnection::statistics.connection_count == before.connection_count);
}
