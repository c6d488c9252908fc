#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;
using testing::ScriptedServer;

namespace {

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

/// One onError(CONNECT_FAIL) that names the cause, then onClose, and nothing else.
void checkRefused(Scene& scene, const std::string& cause) {
  scene.until("close");
  scene.fixture.turn(3);
  CAPTURE(scene.events);
  REQUIRE(scene.events.size() == 3);
  CHECK(scene.events[0] == "connect");
  CHECK(scene.events[1].starts_with("error 1 connect 127.0.0.1:"));
  CHECK(scene.events[1].find(cause) != std::string::npos);
  CHECK(scene.events[2] == "close");
}

}  // namespace

TEST_CASE("ws handshake: each wrong answer is one onError(CONNECT_FAIL) naming it, then onClose") {
  using Answer = std::function<std::string(const std::string&)>;
  struct Case {
    std::string wrong;
    Answer answer;
    std::string cause;
  };
  const auto but = [](const char* what, const char* with) -> Answer {
    return [=](const std::string& key) { return replaced(ScriptedServer::accepting(key), what, with); };
  };
  const auto plus = [](const char* header) -> Answer {
    return [=](const std::string& key) { return ScriptedServer::accepting(key, header); };
  };
  const auto plain = [](std::string text) -> Answer { return [=](const std::string&) { return text; }; };
  const std::vector<Case> cases{
      {"200", plain("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "server answered 200 OK"},
      {"301", plain("HTTP/1.1 301 Moved\r\nLocation: ws://other/\r\n\r\n"),
       "301 Moved (Location: ws://other/)"},
      {"401", plain("HTTP/1.1 401 Unauthorized\r\n\r\n"), "401 Unauthorized"},
      {"no reason phrase", plain("HTTP/1.1 503 \r\n\r\n"), "server answered 503"},
      {"no accept", but("Sec-WebSocket-Accept", "X-Other"), "no Sec-WebSocket-Accept"},
      {"another key's accept", [](auto&) { return ScriptedServer::accepting("dGhlIHNhbXBsZSBub25jZQ=="); },
       "does not match the key"},
      {"two accepts", plus("Sec-WebSocket-Accept: x\r\n"), "more than one Sec-WebSocket-Accept"},
      {"no Upgrade", but("Upgrade: websocket", "X: y"), "no \"Upgrade: websocket\""},
      {"another Upgrade", but("Upgrade: websocket", "Upgrade: h2c"), "no \"Upgrade: websocket\""},
      {"no Connection", but("Connection: Upgrade", "X: y"), "no \"Connection: Upgrade\""},
      {"Connection: close", but("Connection: Upgrade", "Connection: close"), "no \"Connection: Upgrade\""},
      {"a sub-protocol", plus("Sec-WebSocket-Protocol: chat\r\n"),
       "sub-protocol \"chat\", which was not offered"},
      {"an extension", plus("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
       "extension \"permessage-deflate\", which was not offered"},
      {"HTTP/1.0", but("HTTP/1.1", "HTTP/1.0"), "HTTP/1.0"},
      {"garbage", plain("SSH-2.0-OpenSSH_9.2\r\n"), "bad websocket handshake"},
      {"zeros", plain(std::string(100, '\0')), "bad websocket handshake"},
      {"a bad header", but("Upgrade: websocket", "Upgrade websocket"), "bad websocket handshake"},
      {"a folded header", plus("A: b\r\n c\r\n"), "bad websocket handshake"},
  };
  for (const auto& [wrong, answer, cause] : cases) {
    const std::string which = wrong;  // clang 14 captures no structured binding
    CAPTURE(which);
    Scene scene;
    scene.server.answer = answer;
    scene.client()->connect();
    checkRefused(scene, cause);
  }
}

TEST_CASE("ws handshake: a head without end is refused at its limit") {
  Scene scene;
  std::string endless;
  SUBCASE("one long header") {
    endless = "X: " + std::string(1000000, 'a');
  }
  SUBCASE("many headers") {
    for (int i = 0; i < 50000; ++i) endless += "A: b\r\n";
  }
  scene.server.answer = [&](const std::string& key) {
    const std::string whole = ScriptedServer::accepting(key);
    return whole.substr(0, whole.size() - 2) + endless;
  };
  scene.client()->connect();
  checkRefused(scene, "bad websocket handshake");
}

TEST_CASE("ws handshake: what follows a refused answer is not taken for frames") {
  Scene scene;
  scene.server.answer = [](const std::string&) { return "HTTP/1.1 403 Forbidden\r\n\r\n"; };
  scene.server.behindAnswer = frame(Opcode::Text, "no");
  scene.client()->connect();
  checkRefused(scene, "403 Forbidden");
}

TEST_CASE("ws handshake: a server that closes before its answer is whole") {
  Scene scene;
  SUBCASE("half an answer") {
    scene.server.answer = [](const std::string& key) { return ScriptedServer::accepting(key).substr(0, 40); };
  }
  SUBCASE("no answer") {
    scene.server.answer = [](const std::string&) { return std::string(); };
  }
  const auto client = scene.client();
  client->connect();
  scene.until([&] { return !scene.server.header("Sec-WebSocket-Key").starts_with("("); });
  scene.server.peer->close();
  checkRefused(scene, "closed");
}

TEST_CASE(
    "ws handshake: a server that never answers is given up after connectTimeout, which names the stage") {
  Scene scene;
  scene.server.answer = [](const std::string&) { return "HTTP/1.1 101 Switching Protocols\r\n"; };
  const auto client = scene.client();
  client->connectTimeout = 0.5;
  client->connect();
  checkRefused(scene, "timed out while waiting for the upgrade");
}

TEST_CASE("ws handshake: single bytes do not extend connectTimeout") {
  Scene scene;
  scene.server.answer = [](const std::string&) { return "HTTP/1.1 101 Switching Protocols\r\nX: "; };
  const auto client = scene.client();
  client->connectTimeout = 0.5;
  client->connect();
  const int drip = Timer::add(0.01, [&] {
    if (scene.server.peer) scene.server.write("a");
  });
  checkRefused(scene, "timed out while waiting for the upgrade");
  Timer::del(drip);
}

TEST_CASE("ws handshake: the time limit ends with the upgrade") {
  Scene scene;
  const auto client = scene.client();
  client->connectTimeout = 0.4;
  client->connect();
  scene.until("open");
  bool isLater = false;
  Timer::add(
      0.5, [&] { isLater = true; }, {}, false);
  scene.until([&] { return isLater; });
  CHECK(scene.events == Lines{"connect", "open"});
}

TEST_CASE("ws handshake: reConnect() in onError takes the place of onClose, with a fresh handshake") {
  Scene scene;
  int answers = 0;
  scene.server.answer = [&](const std::string& key) {
    return ++answers == 1 ? "HTTP/1.1 503 Busy\r\n\r\n" : ScriptedServer::accepting(key);
  };
  const auto client = scene.client();
  client->onError = [&](auto connection, int code, std::string_view) {
    scene.events.push_back("error " + std::to_string(code));
    connection->reConnect(0.01);
  };
  client->send("kept?");
  client->connect();
  scene.until("open");
  CHECK(scene.events == Lines{"connect", "error 1", "connect", "open"});
  CHECK(scene.server.accepted == 2);
  CHECK(client->send("hello") == true);
  scene.until([&] { return scene.server.frames.size() >= 1; });
  CHECK(scene.server.sent(Opcode::Text).back() == "hello");
}

TEST_CASE("ws handshake: closing while the upgrade is awaited ends with onClose alone") {
  Scene scene;
  scene.server.answer = [](const std::string&) { return std::string(); };
  const auto client = scene.client();
  client->connect();
  scene.until([&] { return !scene.server.header("Sec-WebSocket-Key").starts_with("("); });
  SUBCASE("close()") {
    client->close();
  }
  SUBCASE("close(code)") {
    client->close(1001, "bye");
  }
  SUBCASE("destroy()") {
    client->destroy();
  }
  scene.until("close");
  CHECK(scene.events == Lines{"connect", "close"});
  scene.until([&] { return scene.server.closed == 1; });
}

TEST_CASE("ws handshake: interim answers are bounded in number and bytes, and what follows them counts") {
  Scene scene;
  std::string answers;
  std::string cause;
  SUBCASE("too many") {
    for (int i = 0; i < 33; ++i) answers += "HTTP/1.1 102 Processing\r\n\r\n";
    cause = "too many interim answers";
  }
  SUBCASE("too long, together") {
    for (int i = 0; i < 5; ++i)
      answers += "HTTP/1.1 103 Early Hints\r\nX: " + std::string(4000, 'x') + "\r\n\r\n";
    cause = "the head is too long";
  }
  SUBCASE("a refusal behind one") {
    answers = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n";
    cause = "server answered 403 Forbidden";
  }
  SUBCASE("garbage behind one") {
    answers = "HTTP/1.1 100 Continue\r\n\r\n\x81\x02hi";
    cause = "the answer is not HTTP/1.x";
  }
  scene.server.answer = [&](const std::string&) { return answers; };
  scene.client()->connect();
  checkRefused(scene, cause);
}
