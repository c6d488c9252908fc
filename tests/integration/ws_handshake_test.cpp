#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;
using testing::ScriptedServer;

namespace {

bool hasIpv6() {
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool isThere = fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) close(fd);
  return isThere;
}

}  // namespace

TEST_CASE(
    "ws handshake: the request is what RFC 6455 section 4.1 asks for, the user's headers in order behind "
    "it") {
  Scene scene;
  const auto client = scene.client("/chat/room?name=tom&x=%20");
  client->headers = {{"Cookie", "a=b; c=d"}, {"OtherKey", "values"}, {"otherkey", "again"}};
  client->websocketOrigin = "http://example.com";
  client->websocketClientProtocol = "chat, superchat";
  client->connect();
  scene.until("open");

  const std::string host = "127.0.0.1:" + std::to_string(scene.server.worker.getListenPort());
  const std::string key = scene.server.header("Sec-WebSocket-Key");
  CHECK(scene.server.request ==
        "GET /chat/room?name=tom&x=%20 HTTP/1.1\r\nHost: " + host +
            "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://example.com\r\n"
            "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
            key + "\r\nCookie: a=b; c=d\r\nOtherKey: values\r\notherkey: again\r\n");
  CHECK(key.size() == 24);
  CHECK(key.ends_with("=="));
}

TEST_CASE("ws handshake: each connection has a key of its own (RFC 6455 section 4.1)") {
  Scene scene;
  const auto client = scene.client();
  std::vector<std::string> keys;
  client->onWebSocketConnect = [&](auto connection, const auto&) {
    keys.push_back(scene.server.header("Sec-WebSocket-Key"));
    connection->destroy();
  };
  client->onClose = [&](auto connection) {
    if (keys.size() < 3) connection->reConnect();
  };
  client->connect();
  scene.until([&] { return keys.size() == 3; });
  REQUIRE(keys.size() == 3);
  CHECK(keys[0] != keys[1]);
  CHECK(keys[1] != keys[2]);
  CHECK(keys[0] != keys[2]);
}

TEST_CASE("ws handshake: Host is the address's host and port, or the user's own") {
  Scene scene;
  const std::string port = std::to_string(scene.server.worker.getListenPort());
  auto client = scene.recorded("ws://localhost:" + port);
  SUBCASE("a name") {
    client->connect();
    scene.until("open");
    CHECK(scene.server.header("Host") == "localhost:" + port);
    CHECK(scene.server.request.starts_with("GET / HTTP/1.1\r\n"));
  }
  SUBCASE("the user's wins and stands once (walkor/workerman#374)") {
    client->headers = {{"host", "example.org"}};
    client->connect();
    scene.until("open");
    CHECK(scene.server.header("Host") == "example.org");
    CHECK(scene.server.request.find("localhost") == std::string::npos);
    CHECK(scene.server.request.find("host: example.org") == std::string::npos);
  }
}

TEST_CASE("ws handshake: an IPv6 literal is in brackets in Host") {
  if (!hasIpv6()) {
    MESSAGE("not tested: this machine has no IPv6");
    return;
  }
  ScriptedServer server("tcp://[::1]:0");
  bool isOpen = false;
  testing::LoopFixture fixture;
  const std::string host = "[::1]:" + std::to_string(server.worker.getListenPort());
  const auto client = std::make_shared<AsyncTcpConnection>("ws://" + host + "/p");
  client->onWebSocketConnect = [&](auto, const auto&) { isOpen = true; };
  client->connect();
  fixture.runUntil([&] { return isOpen; });
  CHECK(server.header("Host") == host);
  CHECK(client->getRemoteAddress() == host);
}

TEST_CASE("ws handshake: what cannot be sent is refused by connect(), by name") {
  Scene scene;
  struct Case {
    std::string wrong;
    std::function<void(AsyncTcpConnection&)> set;
    std::string named;
  };
  const std::vector<Case> cases{
      {"LF in a value",
       [](auto& c) {
         c.headers = {{"Cookie", "a\nX: y"}};
       },
       "Cookie"},
      {"CR in a value",
       [](auto& c) {
         c.headers = {{"Cookie", "a\r"}};
       },
       "Cookie"},
      {"NUL in a value",
       [](auto& c) {
         c.headers = {{"Cookie", std::string("a\0b", 3)}};
       },
       "Cookie"},
      {"LF in a name",
       [](auto& c) {
         c.headers = {{"Coo\nkie", "a"}};
       },
       "header name"},
      {"a name with a space",
       [](auto& c) {
         c.headers = {{"Coo kie", "a"}};
       },
       "Coo kie"},
      {"an empty name",
       [](auto& c) {
         c.headers = {{"", "a"}};
       },
       "header name"},
      {"our key",
       [](auto& c) {
         c.headers = {{"sec-websocket-key", "a"}};
       },
       "sec-websocket-key"},
      {"two hosts",
       [](auto& c) {
         c.headers = {{"Host", "a"}, {"host", "b"}};
       },
       "Host"},
      {"CRLF in the origin", [](auto& c) { c.websocketOrigin = "http://a\r\nX: y"; }, "origin"},
      {"CRLF in the sub-protocol", [](auto& c) { c.websocketClientProtocol = "a\r\nX: y"; }, "sub-protocol"},
  };
  for (const auto& [wrong, set, named] : cases) {
    const std::string which = wrong;  // clang 14 captures no structured binding
    CAPTURE(which);
    const auto client = scene.client();
    set(*client);
    std::string what = "(nothing)";
    try {
      client->connect();
    } catch (const std::invalid_argument& e) {
      what = e.what();
    }
    CHECK_MESSAGE(what.find(named) != std::string::npos, what);
    CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
  }
  for (const std::string& path :
       {std::string("/a\r\nX: y"), std::string("/a\nb"), std::string("/a b"), std::string("/a\0b", 4)}) {
    CAPTURE(path);
    CHECK_THROWS_AS(scene.client(path)->connect(), std::invalid_argument);
  }
  scene.fixture.turn(3);
  CHECK(scene.server.accepted == 0);
  CHECK(scene.events == Lines{});
}

TEST_CASE("ws handshake: a header made unsafe in onConnect fails the connection instead of the request") {
  Scene scene;
  const auto client = scene.client();
  client->onConnect = [](auto connection) { connection->headers = {{"A", "b\r\nX: y"}}; };
  client->connect();
  scene.until("close");
  REQUIRE(scene.events.size() == 2);
  CHECK(scene.events[0].starts_with("error 1 "));
  CHECK(scene.events[0].find("header A contains CR, LF or NUL") != std::string::npos);
  CHECK(scene.server.request.empty());
}

TEST_CASE("ws handshake: the sub-protocol that the server chose is told") {
  Scene scene;
  scene.server.answer = [](const std::string& key) {
    return ScriptedServer::accepting(key, "Sec-WebSocket-Protocol: superchat\r\n");
  };
  const auto client = scene.client();
  SUBCASE("offered by the property") {
    client->websocketClientProtocol = "chat, superchat";
  }
  SUBCASE("offered by a header of one's own") {
    client->headers = {{"Sec-WebSocket-Protocol", "superchat"}};
  }
  CHECK(client->websocketServerProtocol == nullptr);
  std::string chosen;
  client->onWebSocketConnect = [&](auto connection, const auto&) {
    chosen = connection->websocketServerProtocol;
    scene.events.push_back("open");
  };
  client->connect();
  scene.until("open");
  CHECK(chosen == "superchat");
}

TEST_CASE("ws handshake: the response prints as its head: status line, headers, empty line") {
  Scene scene;
  scene.server.answer = [](const std::string& key) {
    return ScriptedServer::accepting(key, "X-Order: 1\r\nx-order: 2\r\n");
  };
  std::ostringstream printed;
  int status = 0;
  std::string upgrade;
  const auto client = scene.client();
  client->onWebSocketConnect = [&](AsyncTcpConnectionPtr, const auto& response) {
    printed << response;
    status = response.getStatusCode();
    upgrade = response.getHeader("UPGRADE").value_or("");
    scene.events.push_back("open");
  };
  client->connect();
  scene.until("open");
  CHECK(printed.str() == scene.server.answer(scene.server.header("Sec-WebSocket-Key")));
  CHECK(status == 101);
  CHECK(upgrade == "websocket");
}

TEST_CASE("ws handshake: an answer that comes byte by byte is understood") {
  Scene scene;
  scene.server.answer = [](const std::string&) { return std::string(); };
  const auto client = scene.client();
  client->connect();
  scene.until([&] { return !scene.server.header("Sec-WebSocket-Key").starts_with("("); });
  const std::string answer = ScriptedServer::accepting(scene.server.header("Sec-WebSocket-Key"));
  scene.feed(client, answer.substr(0, answer.size() - 1), 1);
  CHECK(scene.events == Lines{"connect"});
  scene.server.write(answer.substr(answer.size() - 1) + frame(Opcode::Text, "at once"));
  scene.until("message");
  CHECK(scene.events == Lines{"connect", "open", "message at once"});
}

TEST_CASE(
    "ws handshake: frames in the same read as the 101 are delivered at once, after onWebSocketConnect") {
  Scene scene;
  scene.server.behindAnswer =
      frame(Opcode::Text, "one") + frame(Opcode::Binary, "two") + frame(Opcode::Text, "thr").substr(0, 3);
  const auto client = scene.client();
  client->connect();
  scene.until("message", 2);
  CHECK(scene.events == Lines{"connect", "open", "message one", "message two"});
  scene.server.write("hr");
  scene.until("message", 3);
  CHECK(scene.events.back() == "message thr");
}

TEST_CASE(
    "ws handshake: what is sent early leaves in order, after the request and before onWebSocketConnect's") {
  Scene scene;
  const auto client = scene.client();
  CHECK(client->send("before connect") == nullptr);
  client->onConnect = [&](auto connection) {
    CHECK(connection->send("in onConnect") == nullptr);
    CHECK(connection->getSendBufferQueueSize() > 0);
  };
  client->onWebSocketConnect = [](auto connection, const auto&) {
    CHECK(connection->send("in onWebSocketConnect") == true);
    CHECK(connection->getSendBufferQueueSize() == 0);
  };
  client->connect();
  CHECK(client->send("while connecting") == nullptr);
  scene.until([&] { return scene.server.frames.size() >= 4; });
  CHECK(scene.server.sent(Opcode::Text) ==
        Lines{"before connect", "while connecting", "in onConnect", "in onWebSocketConnect"});
}

TEST_CASE("ws handshake: the send buffer's limit holds while the upgrade is awaited") {
  Scene scene;
  const auto client = scene.client();
  client->maxSendBufferSize = 100;
  client->onBufferFull = [&](auto) { scene.events.push_back("full"); };
  client->connect();
  CHECK(client->send(std::string(50, 'a')) == nullptr);
  CHECK(scene.events == Lines{});
  CHECK(client->send(std::string(60, 'b')) == nullptr);
  CHECK(scene.events == Lines{"full"});
  CHECK(client->send("c") == false);
  CHECK(scene.events == Lines{"full", "error 2 send buffer full and drop package"});
  CHECK(client->getSendBufferQueueSize() == 50 + 60 + 2 * 6);
  scene.until([&] { return scene.server.frames.size() == 2; });
  CHECK(client->send("d") == true);
  scene.until([&] { return scene.server.frames.size() == 3; });
  CHECK(scene.server.sent(Opcode::Text) == Lines{std::string(50, 'a'), std::string(60, 'b'), "d"});
}

TEST_CASE("ws handshake: interim answers before the 101 are skipped (RFC 9110 section 15.2)") {
  const std::string interim =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n";
  Scene scene;
  SUBCASE("in one piece with the answer") {
    scene.server.answer = [&](const std::string& key) { return interim + ScriptedServer::accepting(key); };
    scene.server.behindAnswer = frame(Opcode::Text, "hi");
    const auto client = scene.client();
    client->connect();
    scene.until("message");
    CHECK(scene.events == Lines{"connect", "open", "message hi"});
  }
  SUBCASE("byte by byte") {
    scene.server.answer = [](const std::string&) { return std::string(); };
    const auto client = scene.client();
    client->connect();
    scene.until([&] { return scene.server.requests == 1; });
    const std::string all = interim + ScriptedServer::accepting(scene.server.header("Sec-WebSocket-Key"));
    for (const char byte : all) {
      CHECK_FALSE(scene.has("open"));
      scene.server.write({&byte, 1});
      scene.fixture.turn(2);
    }
    scene.until("open");
    CHECK(scene.events == Lines{"connect", "open"});
  }
  SUBCASE("as many as are allowed") {
    scene.server.answer = [](const std::string& key) {
      std::string many;
      for (int i = 0; i < 32; ++i) many += "HTTP/1.1 102 Processing\r\n\r\n";
      return many + ScriptedServer::accepting(key);
    };
    scene.client()->connect();
    scene.until("open");
    CHECK(scene.events == Lines{"connect", "open"});
  }
}

TEST_CASE("ws handshake: the user's path leaves percent-encoded where RFC 3986 wants it") {
  Scene scene;
  const auto client = scene.client("/h\xC3\xB6/{id}?q=\"a|b\"&p=100%");
  client->connect();
  scene.until("open");
  CHECK(scene.server.request.starts_with("GET /h%C3%B6/%7Bid%7D?q=%22a%7Cb%22&p=100%25 HTTP/1.1\r\n"));
  CHECK(client->getRemoteURI() == "/h\xC3\xB6/{id}?q=\"a|b\"&p=100%");
}
