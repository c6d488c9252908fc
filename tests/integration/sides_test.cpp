// A protocol used by the side that does not speak it is refused at once, by a sentence that names the right
// one.

#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "../support/loop_fixture.h"

using testing::LoopFixture;
using Workerman::SocketContext;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

namespace {

/// A protocol of one's own, which says nothing about sides.
struct Both {
  static std::size_t input(std::string_view buffer) { return buffer.size(); }
  static std::string_view decode(std::string_view package) { return package; }
  static std::string_view encode(std::string_view data) { return data; }
};

}  // namespace

TEST_CASE("sides: a client of websocket:// is refused when it is made, and so is one that is assigned") {
  LoopFixture fixture;
  for (const char* scheme : {"websocket", "Websocket"}) {
    CHECK_THROWS_WITH_AS(
        AsyncTcpConnection(std::string(scheme) + "://127.0.0.1:1"),
        "AsyncTcpConnection: websocket:// is spoken by servers; an AsyncTcpConnection connects to ws://",
        std::invalid_argument);
  }
  const auto connection = std::make_shared<AsyncTcpConnection>("tcp://127.0.0.1:1");
  connection->protocol = "websocket";
  CHECK_THROWS_WITH_AS(connection->connect(), doctest::Contains("connects to ws://"), std::invalid_argument);
  CHECK(connection.use_count() == 1);
  connection->protocol = "ws";
  connection->connect();
  connection->destroy();
}

TEST_CASE("sides: a worker of ws:// or wss:// is refused when it listens, and so is one that is assigned") {
  LoopFixture fixture;
  for (const std::string scheme : {"ws", "Ws"}) {
    const auto worker = std::make_shared<Worker>(scheme + "://127.0.0.1:0");
    const std::string text = "cannot listen on " + scheme +
                             "://127.0.0.1:0: ws:// is spoken by clients; a Worker listens on websocket://";
    CHECK_THROWS_WITH_AS(worker->listen(), text.c_str(), std::runtime_error);
    CHECK(worker->getMainSocket() == -1);
  }
  const auto secured = std::make_shared<Worker>("wss://127.0.0.1:0");
  CHECK_THROWS_WITH_AS(secured->listen(), doctest::Contains("websocket:// with transport = \"ssl\""),
                       std::runtime_error);
  const auto assigned = std::make_shared<Worker>("tcp://127.0.0.1:0");
  assigned->protocol = "ws";
  CHECK_THROWS_WITH_AS(assigned->listen(), doctest::Contains("a Worker listens on websocket://"),
                       std::runtime_error);
  assigned->protocol = "websocket";
  assigned->listen();
  CHECK(assigned->getListenPort() > 0);
}

TEST_CASE("sides: text, frame and one's own protocols serve both") {
  Workerman::Protocols::add<Both>("BothSides");
  LoopFixture fixture;
  for (const std::string scheme : {"text", "frame", "BothSides"}) {
    CAPTURE(scheme);
    const auto worker = testing::listenOn(scheme);
    std::string got;
    worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
    const auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, scheme));
    client->onMessage = [&](auto, std::string_view data) { got = data; };
    client->send("hello");
    client->connect();
    fixture.runUntil([&] { return got == "hello"; });
    client->destroy();
  }
}
