#include <sys/socket.h>

#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::closing;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;
using testing::ScriptedServer;
using Workerman::Protocols::Ws;

TEST_CASE(
    "ws sending: a reader that stalls fills the buffer: onBufferFull, drop with SEND_FAIL, onBufferDrain") {
  Scene scene;
  const auto client = scene.opened();
  client->onBufferFull = [&](auto) { scene.events.push_back("full"); };
  client->onBufferDrain = [&](auto) { scene.events.push_back("drain"); };
  client->maxSendBufferSize = 100000;
  scene.server.peer->pauseRecv();
  std::size_t accepted = 0;
  while (scene.events.empty() && accepted < 10000) {
    CHECK_FALSE(client->send(std::string(50000, 'a')) == false);
    ++accepted;
  }
  CHECK(scene.events == Lines{"full"});
  CHECK(client->getSendBufferQueueSize() >= 100000);
  CHECK(client->send("dropped") == false);
  CHECK(scene.events == Lines{"full", "error 2 send buffer full and drop package"});
  scene.server.peer->resumeRecv();
  scene.until("drain");
  CHECK(client->getSendBufferQueueSize() == 0);
  CHECK(client->send("again") == true);
  scene.until([&] { return scene.server.frames.size() == accepted + 1; });
  CHECK(scene.server.frames.back().payload == "again");
}

TEST_CASE("ws sending: a buffer that was full before the upgrade tells when it is empty") {
  Scene scene;
  const auto client = scene.client();
  client->onBufferFull = [&](auto) { scene.events.push_back("full"); };
  client->onBufferDrain = [&](auto) { scene.events.push_back("drain"); };
  client->maxSendBufferSize = 1000;
  client->connect();
  client->send(std::string(2000, 'a'));
  scene.until("drain");
  CHECK(scene.events == Lines{"full", "connect", "open", "drain"});
  CHECK(client->bufferIsEmpty());
}

TEST_CASE("ws sending: sends of one callback leave together and count at once") {
  Scene scene;
  const auto client = scene.opened();
  client->onMessage = [](auto connection, auto) {
    const auto before = connection->bytesWritten;
    for (int i = 0; i < 10; ++i) CHECK(connection->send("ten bytes.") == true);
    CHECK(connection->getSendBufferQueueSize() == 0);
    CHECK(connection->bytesWritten == before + 10 * (2 + 4 + 10));
  };
  int reads = 0;
  auto receive = scene.server.peer->bytesRead;
  scene.server.onFrame = [&](const auto&) {
    reads += scene.server.peer->bytesRead != receive;
    receive = scene.server.peer->bytesRead;
  };
  scene.server.sendText("go");
  scene.until([&] { return scene.server.frames.size() == 10; });
  CHECK(reads == 1);
}

TEST_CASE("ws sending: corked bytes leave before destroy() closes the socket") {
  Scene scene;
  const auto client = scene.opened();
  client->onMessage = [](auto connection, auto) {
    connection->send("last words");
    connection->destroy();
  };
  scene.server.sendText("go");
  scene.until([&] { return scene.server.closed == 1; });
  CHECK(scene.server.sent(Opcode::Text) == Lines{"last words"});
}

TEST_CASE("ws sending: a compressed type sends plain frames where compression was not negotiated") {
  Scene scene;
  const auto client = scene.opened();
  client->websocketType = WebsocketType::BINARY_TYPE_BLOB_DEFLATE;
  client->send("text");
  client->websocketType = WebsocketType::BINARY_TYPE_ARRAYBUFFER_DEFLATE;
  client->send("binary");
  scene.until([&] { return scene.server.frames.size() == 2; });
  CHECK(scene.server.sent(Opcode::Text) == Lines{"text"});
  CHECK(scene.server.sent(Opcode::Binary) == Lines{"binary"});
}

TEST_CASE("ws sending: a server that resets right behind its 101 while much waits to be sent") {
  for (const bool isRenewed : {false, true}) {
    CAPTURE(isRenewed);
    Scene scene;
    const auto client = scene.client();
    client->websocketPingInterval = 10;
    client->maxSendBufferSize = 1 << 20;
    if (isRenewed) {
      client->onClose = [&](auto connection) {
        scene.events.push_back("close");
        if (scene.count("close") == 1) connection->reConnect(0.01);
      };
    }
    scene.server.onAnswered = [&] {
      if (scene.server.requests > 1) return;
      const linger hard{1, 0};
      setsockopt(scene.server.peer->getSocket(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      scene.server.peer->destroy();
    };
    client->send(std::string(100000, 'a'));
    client->connect();
    scene.until("close");
    // Nothing of the old connection comes after its onClose.
    const Lines ended = scene.events;
    CHECK(ended.back() == "close");
    scene.fixture.turn(3);
    if (!isRenewed) {
      CHECK(scene.events == ended);
      CHECK_FALSE(client->onMessage);
    } else {
      scene.until([&] { return scene.server.requests == 2; });
      scene.until("connect", 2);
      scene.server.onAnswered = nullptr;
      scene.until([&] { return scene.events.back() == "open"; });
      CHECK(scene.events[ended.size()] == "connect");
      CHECK(scene.events[ended.size() + 1] == "open");
      CHECK(scene.events.size() == ended.size() + 2);
      client->destroy();
    }
  }
}

TEST_CASE("ws sending: a connection that we paused ourselves does not miss its pongs") {
  Scene scene;
  const auto client = scene.client();
  client->websocketPingInterval = 0.02f;
  client->websocketPongTimeout = 0.5f;
  client->connect();
  scene.until("pong");
  client->pauseRecv();
  const std::size_t pings = scene.server.sent(Opcode::Ping).size();
  scene.until([&] { return scene.server.sent(Opcode::Ping).size() >= pings + 40; });
  CHECK(scene.count("wsclose") == 0);
  client->resumeRecv();
  const int pongs = scene.count("pong");
  scene.until("pong", pongs + 4);
  CHECK(scene.count("wsclose") == 0);
  // It is watched again from here on.
  scene.server.answersPing = false;
  scene.until("wsclose 1006 no pong in time");
}

TEST_CASE("ws sending: close() of a paused connection finds the close frame that came before") {
  Scene scene;
  const auto client = scene.opened();
  client->onMessage = [&](auto connection, auto) {
    scene.events.push_back("message");
    connection->pauseRecv();
  };
  scene.server.write(frame(Opcode::Text, "one") + frame(Opcode::Text, "two") +
                     frame(Opcode::Close, closing(4000, "bye")));
  scene.until("message");
  scene.fixture.turn(3);
  client->close();
  scene.until("close");
  CHECK(scene.events == Lines{"message", "wsclose 4000 bye", "close"});
  CHECK(scene.server.sent(Opcode::Close) == Lines{closing(1000)});
}
