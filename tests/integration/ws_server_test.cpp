#include <string>
#include <vector>

#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
namespace Http = Workerman::Protocols::Http;
using testing::LoopFixture;

namespace {

/// Sends raw bytes to a worker and collects what comes back until it closes.
struct RawClient {
  explicit RawClient(const Worker& worker, std::string request) {
    connection = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "tcp"));
    connection->onConnect = [request](auto con) { con->send(request); };
    connection->onMessage = [this](auto, auto data) { answer += data; };
    connection->onClose = [this] { isClosed = true; };
    connection->connect();
  }
  std::shared_ptr<AsyncTcpConnection> connection;
  std::string answer;
  bool isClosed = false;
};

const std::string kUpgrade =
    "GET /chat?room=1 HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

}  // namespace

TEST_CASE("websocket server: our client shakes hands, echoes in kind and closes with a code") {
  LoopFixture fixture;
  const auto server = testing::listenOn("websocket");
  std::vector<std::string> seen;
  server->onWebSocketConnect = [&](auto connection, Http::Request& request) {
    seen.push_back("connect " + std::string(request.path()) + " " + std::string(request.queryString()));
    connection->send("early");
  };
  server->onWebSocketConnected = [&](auto connection, const Http::Request& request) {
    seen.push_back("connected " + std::string(request.header("x-name", "?")));
    connection->send("late");
  };
  server->onMessage = [](auto connection, auto data) {
    connection->websocketType = connection->websocketMessageType;
    connection->send(data);
  };
  server->onWebSocketClose = [&](auto, int code, std::string reason) {
    seen.push_back("close " + std::to_string(code) + " " + reason);
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "ws", "/chat?room=1"));
  client->headers = {{"X-Name", "tom"}};
  std::string got;
  int closedWith = 0;
  bool isClosed = false;
  client->onWebSocketConnect = [](auto connection) {
    connection->websocketType = Protocols::Ws::BINARY_TYPE_ARRAYBUFFER;
    connection->send("bytes");
  };
  client->onMessage = [&](auto connection, auto data) {
    got += std::string(data) + (connection->websocketMessageType.isBinary() ? "(binary) " : " ");
    if (data == "bytes") connection->close(4000, "done");
  };
  client->onWebSocketClose = [&](auto, int code) { closedWith = code; };
  client->onClose = [&] { isClosed = true; };
  client->connect();
  fixture.runUntil([&] { return isClosed && server->connections.empty(); });
  CHECK(got == "early late bytes(binary) ");
  CHECK(closedWith == 4000);
  CHECK(seen == std::vector<std::string>{"connect /chat room=1", "connected tom", "close 4000 done"});
}

TEST_CASE("websocket server: a request that is no upgrade gets an answer and the worker survives") {
  struct Case {
    const char* request;
    const char* answer;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n"},
      {"garbage\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
  };
  for (const auto& each : cases) {
    LoopFixture fixture;
    const auto server = testing::listenOn("websocket");
    RawClient client(*server, each.request);
    fixture.runUntil([&] { return client.isClosed && server->connections.empty(); });
    CHECK(client.answer.substr(0, std::string(each.answer).size()) == each.answer);
    CHECK(server->getMainSocket() >= 0);
  }
}

TEST_CASE("websocket server: onWebSocketConnect refuses with close(), or with a response of its own") {
  for (const bool ownAnswer : {false, true}) {
    LoopFixture fixture;
    const auto server = testing::listenOn("websocket");
    bool isConnected = false;
    int closed = 0;
    server->onWebSocketConnect = [&](auto connection, const Http::Request&) {
      if (ownAnswer) {
        connection->close(Http::Response(401, {{"X-Why", "no token"}}, "who?"));
      } else {
        connection->close();
      }
    };
    server->onWebSocketConnected = [&] { isConnected = true; };
    server->onClose = [&] { ++closed; };
    RawClient client(*server, kUpgrade + "\r\n");
    fixture.runUntil([&] { return client.isClosed && closed == 1; });
    CHECK(client.answer.find(ownAnswer ? "HTTP/1.1 401 " : "HTTP/1.1 403 ") == 0);
    CHECK((client.answer.find("X-Why: no token\r\n") != std::string::npos) == ownAnswer);
    CHECK(!isConnected);
  }
}

TEST_CASE("websocket server: the answer carries the connection's headers and the right accept key") {
  LoopFixture fixture;
  const auto server = testing::listenOn("websocket");
  server->onWebSocketConnect = [](auto connection, auto& request) {
    CHECK(request.host(true) == "here");
    connection->headers = {{"Set-Cookie", "a=b"}};
  };
  RawClient client(*server, kUpgrade + "\r\n");
  fixture.runUntil([&] { return client.answer.find("\r\n\r\n") != std::string::npos; });
  CHECK(client.answer.find("HTTP/1.1 101 Switching Protocols\r\n") == 0);
  CHECK(client.answer.find("Set-Cookie: a=b\r\n") != std::string::npos);
  CHECK(client.answer.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != std::string::npos);
}

TEST_CASE("embedding: the documentation's websocket echo on a host's loop") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  {
    Worker worker("websocket://127.0.0.1:0");
    worker.onMessage = [](auto connection, auto data) { connection->send(data); };
    Worker::embed(&loop);
    const int port = worker.getListenPort();
    CHECK(port > 0);
    std::string got;
    auto client = std::make_shared<AsyncTcpConnection>("ws://127.0.0.1:" + std::to_string(port));
    client->onWebSocketConnect = [](auto con) { con->send("hello"); };
    client->onMessage = [&](auto, std::string data) {
      got = data;
      Worker::stopAll();
    };
    client->connect();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(got == "hello");
  }
  CHECK(uv_loop_close(&loop) == 0);
}
