// The websocket server goes on with a request that somebody else has read.

#include "protocols/websocket/server.h"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "connection/protocol_registry.h"
#include "protocols/http/head_parser.h"
#include "protocols/http/request.h"
#include "protocols/http/response.h"
#include "session_fixture.h"
#include "support/heads.h"

using namespace SessionTest;
using FrameTest::message;
using Workerman::Connection::detail::Link;
using Workerman::Connection::detail::requireProtocol;
using Workerman::Protocols::detail::WebsocketServer;
using Workerman::Protocols::Http::Request;
using Workerman::Protocols::Http::Response;

namespace {

const WebsocketServer& server() {
  return dynamic_cast<const WebsocketServer&>(*requireProtocol("websocket"));
}

/// Heads of requests, each a message.
struct ServerTestHeads {
  static std::size_t input(std::string_view buffer) {
    const std::size_t end = buffer.find("\r\n\r\n");
    return end == std::string_view::npos ? 0 : end + 4;
  }
  static std::string_view decode(std::string_view package) { return package; }
  static std::string encode(std::string_view data) { return std::string(data); }
};

/// A connection whose first message is a request, which is handed over to the websocket.
struct Scene {
  LoopFixture loop;
  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  std::shared_ptr<MemoryConnection> connection;
  std::string journal;
  bool isAccepted = false;

  Scene() {
    Workerman::Protocols::add<ServerTestHeads>("ServerTestHeads");
    connection = MemoryConnection::make(wire, "ServerTestHeads");
    connection->onMessage = [this](const TcpConnectionPtr& self, std::string_view data) {
      if (self->protocol == "websocket") {
        journal += "message:" + std::string(data) + " ";
        self->send(data);
        return;
      }
      Request request(testing::requestHead(std::string(data)));
      request.connection = self;
      isAccepted = server().accept(Link::of(*self), request);
    };
    connection->onWebSocketConnect = [this](const TcpConnectionPtr&, const Request& request) {
      CHECK(request.connection == connection);
      journal += "connect:" + std::string(request.path()) + " ";
    };
    connection->onWebSocketConnected = [this] { journal += "connected "; };
    connection->onWebSocketClose = [this](const TcpConnectionPtr&, int code, std::string_view) {
      journal += "goodbye:" + std::to_string(code) + " ";
    };
    connection->onClose = [this] { journal += "close "; };
  }
  ~Scene() { connection->destroy(); }

  std::string status() const { return wire->out.substr(0, 12); }
  /// What was answered is the end: the peer reads it and ends as well.
  void expectEnd() {
    CHECK_FALSE(isAccepted);
    CHECK(wire->isOutEnded);
    wire->isInEnded = true;
    connection->arrive(FrameTest::frame("ignored"));
    CHECK(journal.ends_with("close "));
    CHECK(journal.find("message") == std::string::npos);
    CHECK(wire->isClosed);
  }
};

std::string withoutKey() {
  std::string request = kRequest;
  const std::size_t at = request.find("Sec-WebSocket-Key");
  return request.erase(at, request.find("\r\n", at) + 2 - at);
}

}  // namespace

TEST_CASE(
    "websocket server: accepts a request that was read before, with frames behind it in the same read") {
  for (const std::size_t most : {1u, 7u, 10'000u}) {
    CAPTURE(most);
    Scene scene;
    scene.wire->readMost = most;
    scene.connection->arrive(kRequest + FrameTest::frame("one") + FrameTest::frame("two"));
    CHECK(scene.isAccepted);
    CHECK(scene.journal == "connect:/ connected message:one message:two ");
    CHECK(scene.status() == "HTTP/1.1 101");
    const std::size_t head = scene.wire->out.find("\r\n\r\n") + 4;
    CHECK(FrameTest::eventsOf(Role::Client, scene.wire->out.substr(head)) ==
          std::vector{message("one"), message("two")});
    CHECK(scene.connection->protocol == "websocket");
    scene.connection->arrive(FrameTest::frame("", {0x88}));
    CHECK(scene.journal.ends_with("goodbye:1005 "));
  }
}

TEST_CASE("websocket server: onWebSocketConnect refuses a request that was read before") {
  Scene scene;
  SUBCASE("by closing") {
    scene.connection->onWebSocketConnect = [](const TcpConnectionPtr& self) { self->close(); };
    scene.connection->arrive(kRequest + FrameTest::frame("behind"));
    CHECK(scene.status() == "HTTP/1.1 403");
  }
  SUBCASE("with an answer of its own") {
    scene.connection->onWebSocketConnect = [](const TcpConnectionPtr& self) {
      self->close(Response(401, {}, "who are you?"));
    };
    scene.connection->arrive(kRequest + FrameTest::frame("behind"));
    CHECK(scene.status() == "HTTP/1.1 401");
    CHECK(scene.wire->out.ends_with("who are you?"));
  }
  scene.expectEnd();
}

TEST_CASE("websocket server: a request that is no handshake is answered and ends") {
  const struct {
    std::string request;
    const char* status;
  } cases[] = {
      {withoutKey(), "HTTP/1.1 400"},
      {"POST" + kRequest.substr(3), "HTTP/1.1 405"},
      {"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "HTTP/1.1 426"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.request);
    Scene scene;
    scene.connection->arrive(each.request);
    CHECK(scene.status() == each.status);
    CHECK(scene.journal == "");
    scene.expectEnd();
  }
}

TEST_CASE("websocket server: destroyed in onWebSocketConnect, nothing is answered") {
  Scene scene;
  scene.connection->onWebSocketConnect = [](const TcpConnectionPtr& self) { self->destroy(); };
  scene.connection->arrive(kRequest);
  CHECK_FALSE(scene.isAccepted);
  CHECK(scene.wire->out == "");
  CHECK(scene.journal == "close ");
}

TEST_CASE("websocket server: where onMessage takes no text, accept() says so and changes nothing") {
  struct Number {};
  Scene scene;
  const auto connection = MemoryConnection::make(scene.wire);
  connection->onMessage = [](const TcpConnectionPtr&, const Number&) {};
  Request request(testing::requestHead(kRequest));
  request.connection = connection;
  CHECK_THROWS_AS(server().accept(connection->link(), request), std::runtime_error);
  CHECK(connection->protocol.empty());
  CHECK(scene.wire->out == "");
  connection->destroy();
}
