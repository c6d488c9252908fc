#include <algorithm>
#include <string>
#include <vector>

#include "support/wire_echo.h"

/// onWebSocketConnect on a server: what the application decides before the
/// answer, and what the client is sent for it.

using namespace Workerman;
using namespace Workerman::Connection;
using namespace testing;
namespace Http = Workerman::Protocols::Http;

namespace {

/// Asks a worker to upgrade; the whole answer, until its end or the switch.
struct Ask {
  std::string answer;
  bool isOpen = false;
  WirePeer peer;

  Ask(LoopFixture& fixture, const Worker& worker, const std::string& fields = "") {
    const Ticker ticker;
    peer = WirePeer(connectRaw(worker.getListenPort()), Role::Client);
    peer.offer(upgradeRequest(fields));
    fixture.runUntil([&] {
      peer.collect();
      if (!isOpen && peer.bytes().starts_with("HTTP/1.1 101 ")) {
        answer = peer.takeHead();
        isOpen = !answer.empty();
      }
      return isOpen || peer.isAtEnd();
    });
    if (!isOpen) answer = peer.bytes();
  }
  bool has(const std::string& line) const { return answer.find(line + "\r\n") != std::string::npos; }
};

}  // namespace

TEST_CASE("websocket server: onWebSocketConnect sees the whole request, whatever it declares it as") {
  std::string seen;
  std::vector<std::string> cookies;
  LoopFixture fixture;
  const auto worker = listenOn("websocket");
  worker->onWebSocketConnect = [&](TcpConnectionPtr connection, const Http::Request& request) {
    seen = std::string(request.method()) + " " + std::string(request.uri()) + " " +
           std::string(request.protocolVersion());
    CHECK(request.path() == "/chat");
    CHECK(request.queryString() == "room=1");
    CHECK(request.connection == connection);
    CHECK(request.header("no-such") == std::nullopt);
    for (const auto& [name, value] : request.header()) {
      if (name == "Cookie") cookies.push_back(value);
    }
  };
  const Ask ask(fixture, *worker, "Cookie: a=b\r\nCookie: c=d\r\n");
  CHECK(ask.isOpen);
  CHECK(seen == "GET /chat?room=1 1.1");
  CHECK(cookies == std::vector<std::string>{"a=b", "c=d"});
}

TEST_CASE("websocket server: headers and the sub-protocol that the application sets are in the answer") {
  LoopFixture fixture;
  const auto worker = listenOn("websocket");
  worker->onWebSocketConnect = [](auto connection, auto& request) {
    const std::string offered(request.header("Sec-WebSocket-Protocol", ""));
    if (offered.find("chat.v2") != std::string::npos) connection->websocketServerProtocol = "chat.v2";
    connection->headers = {{"Set-Cookie", "a=b"}, {"Set-Cookie", "c=d"}, {"Server", "mine"}};
  };
  const Ask ask(fixture, *worker, "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n");
  CHECK(ask.isOpen);
  CHECK(ask.has("Sec-WebSocket-Protocol: chat.v2"));
  CHECK(ask.has("Set-Cookie: a=b"));
  CHECK(ask.has("Set-Cookie: c=d"));
  CHECK(ask.has("Server: mine"));
  const Ask without(fixture, *worker);
  CHECK(without.isOpen);
  CHECK_FALSE(without.has("Sec-WebSocket-Protocol: chat.v2"));
}

TEST_CASE("websocket server: the sub-protocol may also be set as a header, as in PHP") {
  LoopFixture fixture;
  const auto worker = listenOn("websocket");
  worker->onWebSocketConnect = [](auto connection, auto&) {
    connection->headers = {{"Sec-WebSocket-Protocol", "mqtt"}};
  };
  const Ask ask(fixture, *worker, "Sec-WebSocket-Protocol: mqtt\r\n");
  CHECK(ask.isOpen);
  CHECK(ask.has("Sec-WebSocket-Protocol: mqtt"));
}

TEST_CASE("websocket server: refusals carry the status, headers and body that the application gives") {
  struct Case {
    const char* what;
    std::function<void(TcpConnectionPtr)> act;
    std::string line, contains;
  };
  const Case cases[] = {
      {"close()", [](auto c) { c->close(); }, "HTTP/1.1 403 Forbidden", "refused"},
      {"close(code, reason)", [](auto c) { c->close(1008, "not you"); }, "HTTP/1.1 403 Forbidden", "not you"},
      {"a response",
       [](auto c) {
         c->close(Http::Response(401, {{"WWW-Authenticate", "Basic"}}, "who?"));
       },
       "HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic\r\n"},
      {"its body",
       [](auto c) {
         c->close(Http::Response(429, {{"Retry-After", "5"}}, "later"));
       },
       "HTTP/1.1 429 Too Many Requests", "\r\n\r\nlater"},
      {"a redirect",
       [](auto c) {
         c->close(Http::Response(302, {{"Location", "/there"}}));
       },
       "HTTP/1.1 302 Found", "Location: /there\r\n"},
      {"a large body", [](auto c) { c->close(Http::Response(503, {}, std::string(300000, 'x'))); },
       "HTTP/1.1 503 Service Unavailable", "Content-Length: 300000\r\n"},
      {"twice",
       [](auto c) {
         c->close(Http::Response(404));
         c->close(Http::Response(500));
         c->close();
       },
       "HTTP/1.1 404 Not Found", "Connection: close\r\n"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.what);
    int closed = 0, opened = 0, told = 0;
    std::vector<std::string> messages;
    LoopFixture fixture;
    const auto worker = listenOn("websocket");
    worker->onWebSocketConnect = [&](TcpConnectionPtr connection, Http::Request&) {
      static_cast<void>(connection->send("never sent"));
      each.act(connection);
      CHECK(connection->send("nor this") == false);
    };
    worker->onWebSocketConnected = [&] { ++opened; };
    worker->onWebSocketClose = [&] { ++told; };
    worker->onMessage = [&](auto, std::string data) { messages.push_back(data); };
    worker->onClose = [&] { ++closed; };
    Ask ask(fixture, *worker);
    CHECK_MESSAGE(ask.answer.starts_with(each.line + "\r\n"), ask.answer.substr(0, 300));
    CHECK(ask.answer.find(each.contains) != std::string::npos);
    CHECK(ask.has("Connection: close"));
    CHECK(ask.answer.find("never sent") == std::string::npos);
    CHECK(std::count(ask.answer.begin(), ask.answer.end(), '\n') < 12);
    ask.peer.offer(text("taken for a frame?").bytes(Role::Client));
    ask.peer.socket().close();
    fixture.runUntil([&] { return closed == 1; });
    CHECK(opened == 0);
    CHECK(told == 0);
    CHECK(messages.empty());
  }
}

TEST_CASE("websocket server: destroy() in onWebSocketConnect sends nothing") {
  int closed = 0;
  LoopFixture fixture;
  const auto worker = listenOn("websocket");
  worker->onWebSocketConnect = [](auto connection, auto&) { connection->destroy(); };
  worker->onClose = [&] { ++closed; };
  const Ask ask(fixture, *worker);
  CHECK(ask.answer.empty());
  CHECK(closed == 1);
}

TEST_CASE("websocket server: an exception in a callback goes to errorHandler and the connection lives on") {
  for (const bool afterwards : {false, true}) {
    std::string error;
    LoopFixture fixture;
    const auto worker = listenOn("websocket");
    worker->onConnect = [&](auto connection) {
      connection->errorHandler = [&](const std::exception& e) { error = e.what(); };
    };
    const auto fail = [](auto, Http::Request&) { throw std::runtime_error("no database"); };
    if (afterwards) {
      worker->onWebSocketConnected = fail;
    } else {
      worker->onWebSocketConnect = fail;
    }
    const Ask ask(fixture, *worker);
    CHECK(ask.isOpen);
    CHECK(error == "no database");
  }
}

TEST_CASE("websocket server: an answer that could not be sent is 500, and the cause goes to errorHandler") {
  for (const std::string& value :
       {std::string("a\r\nX: injected"), std::string("a\nb"), std::string("a\0b", 3)}) {
    std::string error;
    LoopFixture fixture;
    const auto worker = listenOn("websocket");
    worker->onConnect = [&](auto connection) {
      connection->errorHandler = [&](const std::exception& e) { error = e.what(); };
    };
    worker->onWebSocketConnect = [&](auto connection, auto&) { connection->headers = {{"X-Mine", value}}; };
    const Ask ask(fixture, *worker);
    CHECK(ask.answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    CHECK(ask.answer.find("injected") == std::string::npos);
    CHECK(error.find("X-Mine") != std::string::npos);
  }
}

TEST_CASE("websocket server: what is sent before the answer leaves behind it, in order and as it was typed") {
  LoopFixture fixture;
  const Ticker ticker;
  const auto worker = listenOn("websocket");
  worker->onConnect = [](auto connection) { CHECK(connection->send("zero") == nullptr); };
  worker->onWebSocketConnect = [](auto connection, auto&) {
    CHECK(connection->send("one") == nullptr);
    connection->websocketType = Protocols::Websocket::BINARY_TYPE_ARRAYBUFFER;
    CHECK(connection->send("two") == nullptr);
  };
  worker->onWebSocketConnected = [](auto connection) { CHECK(connection->send("three") == true); };
  Ask ask(fixture, *worker);
  fixture.runUntil([&] { return ask.peer.collect(), ask.peer.words.size() == 4; });
  CHECK(ask.peer.words == Words{"text:zero", "text:one", "binary:two", "binary:three"});
}

TEST_CASE("websocket server: who expects a 100 gets it before the 101 (RFC 9110 section 7.8)") {
  LoopFixture fixture;
  const auto worker = listenOn("websocket");
  bool refuses = false;
  const auto decide = [&](auto connection) {
    if (refuses) connection->close(Http::Response(403));
  };
  bool isAsked = false;
  SUBCASE("nobody is asked") {}
  SUBCASE("the application decides") {
    isAsked = true;
    worker->onWebSocketConnect = decide;
  }
  const Ticker ticker;
  WirePeer peer(connectRaw(worker->getListenPort()), Role::Client);
  peer.offer(upgradeRequest("Expect: 100-Continue\r\n"));
  fixture.runUntil([&] { return peer.collect(), peer.bytes().find("HTTP/1.1 101 ") != std::string::npos; });
  CHECK(peer.bytes().starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n"));
  if (!isAsked) return;
  refuses = true;
  const Ask refused(fixture, *worker, "Expect: 100-continue\r\n");
  CHECK(refused.answer.starts_with("HTTP/1.1 403 "));
}
