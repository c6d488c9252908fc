#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::LoopFixture;

TEST_CASE("text: a client and a server on one loop exchange a line and close") {
  LoopFixture fixture;
  const auto server = testing::listenOn("text");
  std::string got, answered;
  int closed = 0;
  server->onMessage = [&](auto connection, auto data) {
    got = data;
    connection->send("hello " + std::string(data));
  };
  server->onClose = [&](auto) { ++closed; };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "text"));
  client->onConnect = [](auto connection) { connection->send("tom"); };
  client->onMessage = [&](auto connection, auto data) {
    answered = data;
    connection->close();
  };
  client->onClose = [&](auto) { ++closed; };
  client->connect();
  fixture.runUntil([&] { return closed == 2; });
  CHECK(got == "tom");
  CHECK(answered == "hello tom");
  CHECK(server->connections.size() == 0);
}
