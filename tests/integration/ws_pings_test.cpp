#include <sys/socket.h>

#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::closing;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;

TEST_CASE("ws pings: websocketPingInterval sends them; pongs keep the connection and reach onWebSocketPong") {
  Scene scene;
  const auto client = scene.client();
  client->websocketPingInterval = 0.02f;
  client->websocketPongTimeout = 0.5f;
  client->connect();
  scene.until("pong", 30);  // longer than the limit
  CHECK(scene.server.sent(Opcode::Ping).size() >= 30);
  CHECK(scene.server.sent(Opcode::Ping).front().empty());
  CHECK(scene.count("wsclose") == 0);
  CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
}

TEST_CASE("ws pings: none are sent without an interval, nor before the upgrade") {
  Scene scene;
  bool isLater = false;
  const auto client = scene.client();
  SUBCASE("without an interval") {
    client->connect();
  }
  SUBCASE("before the upgrade") {
    scene.server.answer = [](const std::string&) { return std::string(); };
    client->websocketPingInterval = 0.01f;
    client->connect();
  }
  Timer::add(
      0.06, [&] { isLater = true; }, {}, false);
  scene.until([&] { return isLater; });
  CHECK(scene.server.frames.empty());
  CHECK(scene.count("error") == 0);
  CHECK(scene.count("close") == 0);
}

TEST_CASE(
    "ws pings: a ping without a pong within websocketPongTimeout is a lost connection that reconnects") {
  Scene scene;
  scene.server.answersPing = false;
  const auto client = scene.client();
  client->websocketPingInterval = 0.03f;
  SUBCASE("the interval, by default") {}
  SUBCASE("a limit of its own") {
    client->websocketPongTimeout = 0.01f;
  }
  client->onClose = [&](auto connection) {
    scene.events.push_back("close");
    if (scene.count("close") == 1) connection->reConnect(0.01);
  };
  client->connect();
  scene.until("close", 2);
  CHECK(scene.events == Lines{"connect", "open", "wsclose 1006 no pong in time", "close", "connect", "open",
                              "wsclose 1006 no pong in time", "close"});
  CHECK(scene.server.accepted == 2);
}

TEST_CASE("ws pings: a limit longer than the interval waits for the pong through several pings") {
  Scene scene;
  scene.server.answersPing = false;
  const auto client = scene.client();
  client->websocketPingInterval = 0.01f;
  client->websocketPongTimeout = 0.5f;
  client->connect();
  scene.until("close");
  CHECK(scene.server.sent(Opcode::Ping).size() >= 4);
  CHECK(scene.find("wsclose") == "wsclose 1006 no pong in time");
}

TEST_CASE("ws pings: websocketPongTimeout 0 never gives up") {
  Scene scene;
  scene.server.answersPing = false;
  const auto client = scene.client();
  client->websocketPingInterval = 0.01f;
  client->websocketPongTimeout = 0;
  client->connect();
  scene.until([&] { return scene.server.sent(Opcode::Ping).size() >= 8; });
  CHECK(scene.events == Lines{"connect", "open"});
}

TEST_CASE("ws pings: a pong that comes late, but in time, is enough") {
  Scene scene;
  scene.server.answersPing = false;
  int pings = 0;
  scene.server.onFrame = [&](const auto& got) {
    if (got.opcode == Opcode::Ping && ++pings % 2 == 0) scene.server.write(frame(Opcode::Pong));
  };
  const auto client = scene.client();
  client->websocketPingInterval = 0.02f;
  client->websocketPongTimeout = 1;
  client->connect();
  scene.until("pong", 4);
  CHECK(scene.count("wsclose") == 0);
}

TEST_CASE("ws pings: the peer's ping is answered with its payload, whatever its length") {
  Scene scene;
  const auto client = scene.opened();
  const Lines payloads{"", "p", std::string(125, 'x'), std::string("\0\xff", 2)};
  for (const auto& payload : payloads) scene.server.write(frame(Opcode::Ping, payload));
  scene.until([&] { return scene.server.frames.size() == 4; });
  CHECK(scene.server.sent(Opcode::Pong) == payloads);
  for (const auto& each : scene.server.frames) CHECK(each.mask != 0);
}

TEST_CASE(
    "ws pings: with onWebSocketPing set, a send() inside it is the pong; without one the pong goes by "
    "itself") {
  Scene scene;
  const auto client = scene.opened();
  client->onWebSocketPing = [&](auto connection, std::string payload) {
    scene.events.push_back("ping " + payload);
    if (payload == "answer me") CHECK(connection->send("mine") == true);
  };
  scene.server.write(frame(Opcode::Ping, "answer me") + frame(Opcode::Ping, "yourself"));
  scene.until([&] { return scene.server.frames.size() == 2; });
  CHECK(scene.events == Lines{"ping answer me", "ping yourself"});
  CHECK(scene.server.sent(Opcode::Pong) == Lines{"mine", "yourself"});
  CHECK(client->send("a message again") == true);
  scene.until([&] { return scene.server.sent(Opcode::Text).size() == 1; });
}

TEST_CASE("ws pings: in onWebSocketPing only the first send is the pong, and only if a pong can carry it") {
  Scene scene;
  const auto client = scene.opened();
  SUBCASE("a second send") {
    client->onWebSocketPing = [](auto connection, auto) {
      connection->send("pong");
      connection->send("message");
    };
    scene.server.write(frame(Opcode::Ping, "p"));
    scene.until([&] { return scene.server.frames.size() == 2; });
    CHECK(scene.server.sent(Opcode::Pong) == Lines{"pong"});
    CHECK(scene.server.sent(Opcode::Text) == Lines{"message"});
  }
  SUBCASE("126 bytes") {
    client->onWebSocketPing = [](auto connection, auto) { connection->send(std::string(126, 'a')); };
    scene.server.write(frame(Opcode::Ping, "p"));
    scene.until([&] { return scene.server.frames.size() == 2; });
    CHECK(scene.server.sent(Opcode::Text) == Lines{std::string(126, 'a')});
    CHECK(scene.server.sent(Opcode::Pong) == Lines{"p"});
  }
}

TEST_CASE("ws pings: a flood of pings from a peer that does not read stays within the send buffer's limit") {
  Scene scene;
  const auto client = scene.opened();
  client->maxSendBufferSize = 64 * 1024;
  int size = 4096;
  setsockopt(client->getSocket(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  scene.server.peer->pauseRecv();
  scene.server.peer->maxSendBufferSize = 1 << 20;
  std::string pings;
  for (int i = 0; i < 500; ++i) pings += frame(Opcode::Ping, std::string(125, 'p'));
  std::size_t mostQueued = 0;
  std::int64_t written = 0;
  scene.until([&] {
    if (scene.server.peer->getSendBufferQueueSize() == 0) {
      scene.server.write(pings);
      written += static_cast<std::int64_t>(pings.size());
    }
    mostQueued = std::max(mostQueued, client->getSendBufferQueueSize());
    return written > (32 << 20);
  });
  CHECK(mostQueued > 60 * 1024);
  CHECK(mostQueued < 64 * 1024 + 1000);
  CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  // Once it reads again, the last ping is answered.
  scene.server.write(frame(Opcode::Ping, "the last"));
  const auto before = client->bytesRead;
  scene.until([&] { return scene.server.peer->getSendBufferQueueSize() == 0 && client->bytesRead > before; });
  scene.fixture.turn(3);
  scene.server.peer->resumeRecv();
  scene.until([&] {
    const auto pongs = scene.server.sent(Opcode::Pong);
    return !pongs.empty() && pongs.back() == "the last";
  });
  CHECK(scene.count("error") == 0);
}

TEST_CASE("ws pings: pongs are not dropped for a full buffer that is not theirs (uWebSockets#1876)") {
  Scene scene;
  const auto client = scene.opened();
  client->maxSendBufferSize = 1 << 20;
  scene.server.peer->pauseRecv();
  client->send(std::string(16 << 20, 'a'));
  CHECK(client->send("dropped") == false);
  CHECK(scene.events == Lines{"error 2 send buffer full and drop package"});
  scene.server.write(frame(Opcode::Ping, "still there?"));
  const auto before = client->bytesRead;
  scene.until([&] { return client->bytesRead > before; });
  scene.server.peer->resumeRecv();
  scene.until([&] { return scene.server.sent(Opcode::Pong) == Lines{"still there?"}; });
}
