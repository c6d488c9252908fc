#include <sys/socket.h>

#include <set>

#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::closing;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;
using testing::ScriptedServer;

TEST_CASE("ws close: close() sends 1000, waits for the answer, tells onWebSocketClose once, then onClose") {
  Scene scene;
  const auto client = scene.opened();
  client->close();
  CHECK(client->getStatus() == TcpConnection::STATUS_CLOSING);
  CHECK(scene.events == Lines{});
  CHECK(client->send("too late") == false);
  client->close();
  client->close(3000, "again");
  scene.until("close");
  CHECK(scene.events == Lines{"wsclose 1000 ", "close"});
  CHECK(scene.server.sent(Opcode::Close) == Lines{closing(1000)});
  CHECK(scene.server.sent(Opcode::Text) == Lines{});
  CHECK(client->getStatus() == TcpConnection::STATUS_CLOSED);
}

TEST_CASE("ws close: close(code, reason) sends both; the peer's are told") {
  Scene scene;
  scene.server.answersClose = false;
  const auto client = scene.opened();
  client->close(4001, "b\xc3\xa4h");
  scene.until([&] { return scene.server.frames.size() == 1; });
  CHECK(scene.server.sent(Opcode::Close) == Lines{closing(4001, "b\xc3\xa4h")});
  CHECK(scene.events == Lines{});
  scene.server.sendClose(closing(1001, "mine"));
  scene.server.peer->close();
  scene.until("close");
  CHECK(scene.events == Lines{"wsclose 1001 mine", "close"});
}

TEST_CASE("ws close: a reason of any length fits: it is cut at 123 bytes, between characters") {
  Scene scene;
  const auto client = scene.opened();
  client->close(1000, std::string(122, 'a') + "\xc3\xa4");
  scene.until("close");
  CHECK(scene.server.sent(Opcode::Close) == Lines{closing(1000, std::string(122, 'a'))});
}

TEST_CASE("ws close: codes that must not be sent throw and change nothing (RFC 6455 section 7.4)") {
  Scene scene;
  const auto client = scene.opened();
  CHECK_THROWS_AS(client->close(0, "x"), std::invalid_argument);
  CHECK_THROWS_AS(client->close(0), std::invalid_argument);
  CHECK_THROWS_AS(client->close((1L << 32) + 1000), std::invalid_argument);
  for (const int code : {-1, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536 + 1000}) {
    CAPTURE(code);
    CHECK_THROWS_AS(client->close(code), std::invalid_argument);
  }
  CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  CHECK(client->send("still here") == true);
  scene.until([&] { return scene.server.frames.size() == 1; });
}

TEST_CASE("ws close: the codes at the ends of what may be sent are sent") {
  for (const int code : {1000, 1003, 1007, 1014, 3000, 4999}) {
    CAPTURE(code);
    Scene scene;
    scene.opened()->close(code);
    scene.until("close");
    CHECK(scene.events == Lines{"wsclose " + std::to_string(code) + " ", "close"});
    CHECK(scene.server.closeCode() == code);
  }
}

TEST_CASE("ws close: close(code) on a connection that is no websocket throws std::logic_error") {
  Scene scene;
  const auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(scene.server.worker, "text"));
  CHECK_THROWS_AS(client->close(1000), std::logic_error);
}

TEST_CASE("ws close: close(text) sends the text, then closes; close(nullptr) and json as well") {
  Scene scene;
  SUBCASE("text") {
    scene.opened()->close("last words");
    scene.until("close");
    CHECK(scene.server.sent(Opcode::Text) == Lines{"last words"});
  }
  SUBCASE("nullptr") {
    scene.opened()->close(nullptr);
    scene.until("close");
    CHECK(scene.server.sent(Opcode::Text) == Lines{});
  }
  SUBCASE("json") {
    scene.opened()->close(nlohmann::json{{"bye", 1}});
    scene.until("close");
    CHECK(scene.server.sent(Opcode::Text) == Lines{R"({"bye":1})"});
  }
  CHECK(scene.server.frames.back().opcode == Opcode::Close);
  CHECK(scene.events == Lines{"wsclose 1000 ", "close"});
}

TEST_CASE("ws close: everything sent before close() arrives before the close frame") {
  Scene scene;
  const auto client = scene.opened();
  client->maxSendBufferSize = 64 << 20;
  const std::string big(8 << 20, 'a');
  CHECK(client->send(big) == nullptr);
  client->send("behind");
  client->close(1000);
  scene.until("close");
  REQUIRE(scene.server.frames.size() == 3);
  CHECK(scene.server.frames[0].payload == big);
  CHECK(scene.server.frames[1].payload == "behind");
  CHECK(scene.server.frames[2].code() == 1000);
  CHECK(scene.events == Lines{"wsclose 1000 ", "close"});
}

TEST_CASE("ws close: the peer's close is answered with its code (RFC 6455 section 5.5.1)") {
  struct Case {
    std::string payload, told, answered;
  };
  const std::vector<Case> cases{
      {closing(1000), "wsclose 1000 ", closing(1000)},
      {closing(1001, "going away"), "wsclose 1001 going away", closing(1001)},
      {closing(4999, "\xe2\x82\xac"), "wsclose 4999 \xe2\x82\xac", closing(4999)},
      {closing(1012, std::string(123, 'r')), "wsclose 1012 " + std::string(123, 'r'), closing(1012)},
      {"", "wsclose 1005 ", ""},
  };
  for (const auto& [payload, told, answered] : cases) {
    const std::string which = told;  // clang 14 captures no structured binding
    CAPTURE(which);
    Scene scene;
    const auto client = scene.opened();
    scene.server.sendClose(payload);
    scene.until("close");
    CHECK(scene.events == Lines{told, "close"});
    CHECK(scene.server.sent(Opcode::Close) == Lines{answered});
  }
}

TEST_CASE(
    "ws close: messages behind the peer's close frame are not delivered; ours before the answer are sent") {
  Scene scene;
  const auto client = scene.opened();
  client->onMessage = [&](auto connection, auto data) {
    scene.events.push_back("message " + std::string(data));
    connection->send("answer");
  };
  scene.server.write(frame(Opcode::Text, "one") + frame(Opcode::Close, closing(1000)) +
                     frame(Opcode::Text, "two") + frame(Opcode::Ping, "p"));
  scene.until("close");
  CHECK(scene.events == Lines{"message one", "wsclose 1000 ", "close"});
  REQUIRE(scene.server.frames.size() == 2);
  CHECK(scene.server.frames[0].payload == "answer");
  CHECK(scene.server.frames[1].code() == 1000);
}

TEST_CASE("ws close: both sides closing at once is one close each") {
  Scene scene;
  const auto client = scene.opened();
  client->close(3001);
  scene.server.sendClose(closing(3002, "server"));
  scene.until("close");
  CHECK(scene.events == Lines{"wsclose 3002 server", "close"});
  CHECK(scene.server.sent(Opcode::Close) == Lines{closing(3001)});
}

TEST_CASE("ws close: while our close is unanswered, what arrives is dropped, however much it is") {
  Scene scene;
  scene.server.answersClose = false;
  const auto client = scene.opened();
  client->close();
  scene.until([&] { return scene.server.frames.size() == 1; });
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += frame(Opcode::Text, "dropped") + frame(Opcode::Ping, "p");
  scene.server.write(flood + frame(Opcode::Close, closing(1000)));
  scene.server.peer->close();
  scene.until("close");
  CHECK(scene.events == Lines{"wsclose 1000 ", "close"});
  CHECK(scene.server.frames.size() == 1);
}

TEST_CASE("ws close: a peer that never answers is given up after websocketCloseTimeout, as 1006") {
  Scene scene;
  scene.server.answersClose = false;
  const auto client = scene.opened();
  client->websocketCloseTimeout = 0.05f;
  client->close();
  scene.until("close");
  CHECK(scene.events == Lines{"wsclose 1006 the peer did not answer the close frame", "close"});
}

TEST_CASE("ws close: a peer that never reads is given up as well, with a full send buffer") {
  Scene scene;
  const auto client = scene.opened();
  scene.server.peer->pauseRecv();
  client->websocketCloseTimeout = 0.05f;
  client->maxSendBufferSize = 64 << 20;
  client->send(std::string(16 << 20, 'a'));
  client->close();
  scene.until("close");
  CHECK(scene.find("wsclose") == "wsclose 1006 the peer did not answer the close frame");
  CHECK(scene.events.size() == 2);
}

TEST_CASE("ws close: a peer that answers and never ends the TCP connection is given up after lingerTimeout") {
  Scene scene;
  scene.server.answersClose = false;
  const auto client = scene.opened();
  client->lingerTimeout = 0.05;
  scene.server.sendClose(closing(1000));
  scene.until("close");
  CHECK(scene.events == Lines{"wsclose 1000 ", "close"});
  CHECK(scene.server.closeCode() == 1000);
}

TEST_CASE("ws close: lost without a close frame is 1006 with the cause") {
  Scene scene;
  const auto client = scene.opened();
  SUBCASE("the peer closes the socket") {
    scene.server.peer->close();
  }
  SUBCASE("in the middle of a message") {
    scene.server.write(frame(Opcode::Text, "half", false));
    scene.server.peer->close();
  }
  SUBCASE("a reset") {
    const linger hard{1, 0};
    setsockopt(scene.server.peer->getSocket(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    scene.server.peer->destroy();
  }
  SUBCASE("only the peer's sending ends, while much waits for it and it does not read") {
    scene.server.peer->pauseRecv();
    client->maxSendBufferSize = 64 << 20;
    client->send(std::string(16 << 20, 'a'));
    shutdown(scene.server.peer->getSocket(), SHUT_WR);
  }
  scene.until("close");
  REQUIRE(scene.events.size() == 2);
  CHECK(scene.events[0].starts_with("wsclose 1006 "));
  CHECK(scene.events[0].size() > std::string("wsclose 1006 ").size());
  CHECK(scene.events[1] == "close");
}

TEST_CASE("ws close: lost after our close frame and before theirs is 1006") {
  Scene scene;
  scene.server.answersClose = false;
  const auto client = scene.opened();
  client->close();
  scene.until([&] { return scene.server.frames.size() == 1; });
  scene.server.peer->close();
  scene.until("close");
  REQUIRE(scene.events.size() == 2);
  CHECK(scene.events[0].starts_with("wsclose 1006 "));
}

TEST_CASE("ws close: destroy() tells 1006, then onClose, before it returns; once") {
  Scene scene;
  const auto client = scene.opened();
  client->destroy();
  CHECK(scene.events == Lines{"wsclose 1006 ", "close"});
  client->destroy();
  client->close();
  client->close(1000);
  CHECK(client->send("x") == false);
  CHECK(scene.events.size() == 2);
  scene.until([&] { return scene.server.closed == 1; });
  CHECK(scene.server.closeCode() == 0);
}

TEST_CASE("ws close: destroy() during the closing handshake ends it at once") {
  Scene scene;
  scene.server.answersClose = false;
  const auto client = scene.opened();
  client->close();
  client->destroy();
  CHECK(scene.events == Lines{"wsclose 1006 ", "close"});
}

TEST_CASE("ws close: end() sends what is queued and closes the socket") {
  Scene scene;
  const auto client = scene.opened();
  client->send("last");
  client->end();
  scene.until([&] { return scene.server.closed == 1; });
  scene.until("close");
  CHECK(scene.server.sent(Opcode::Text) == Lines{"last"});
  CHECK(scene.count("wsclose") == 1);
  CHECK(scene.events.back() == "close");
}

TEST_CASE("ws close: onClose reconnects after every way to end, each time with a fresh handshake") {
  Scene scene;
  const auto client = scene.client();
  Lines keys;
  client->onWebSocketConnect = [&](auto, const auto&) {
    keys.push_back(scene.server.header("Sec-WebSocket-Key"));
    scene.events.push_back("open");
  };
  client->onClose = [&](auto connection) {
    scene.events.push_back("close");
    if (scene.count("close") < 6) connection->reConnect(scene.count("close") % 2 * 0.01);
  };
  client->connect();
  scene.until("open");
  const std::vector<std::function<void()>> ways{
      [&] { client->close(); },
      [&] { client->destroy(); },
      [&] { scene.server.peer->close(); },
      [&] { scene.server.sendClose(closing(1000)); },
      [&] { scene.server.write("\x83"); },
      [&] { client->close(4000, "enough"); },
  };
  for (std::size_t i = 0; i < ways.size(); ++i) {
    CAPTURE(i);
    ways[i]();
    scene.until("close", static_cast<int>(i) + 1);
    if (i + 1 == ways.size()) break;
    scene.until("open", static_cast<int>(i) + 2);
    scene.server.sendText("hello");
    scene.until("message hello", static_cast<int>(i) + 1);
  }
  CHECK(scene.count("wsclose") == 6);
  CHECK(scene.count("close") == 6);
  CHECK(scene.count("error") == 0);
  CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == 6);
  CHECK(client->getStatus() == TcpConnection::STATUS_CLOSED);
  CHECK_FALSE(client->onClose);
}

TEST_CASE("ws close: close() and destroy() cancel a reconnect that waits, without another onClose") {
  for (const bool isDestroyed : {false, true}) {
    CAPTURE(isDestroyed);
    Scene scene;
    const auto client = scene.client();
    client->onClose = [&](auto connection) {
      scene.events.push_back("close");
      connection->reConnect(0.05);
    };
    client->connect();
    scene.until("open");
    scene.server.peer->close();
    scene.until("close");
    isDestroyed ? client->destroy() : client->close();
    bool isLater = false;
    Timer::add(
        0.1, [&] { isLater = true; }, {}, false);
    scene.until([&] { return isLater; });
    CHECK(scene.server.accepted == 1);
    CHECK(scene.count("close") == 1);
  }
}
