/// A websocket:// worker against clients that we did not write: Python's
/// `websockets`, Node's `ws` and curl. See clients/ws_client.py for what they do.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <workerman/workerman.h>

#include "support/child_process.h"
#include "support/deadline.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::ChildProcess;
namespace Http = Workerman::Protocols::Http;

namespace {

const std::vector<std::string> kPeers{"python", "node"};

/// The worker, on a thread of its own: a world of its own.
class Server {
 public:
  Server() {
    std::promise<int> port;
    auto listening = port.get_future();
    thread_ = std::thread([this, &port] { run(port); });
    port_ = listening.get();
  }
  ~Server() {
    Worker::post(loop_, [] { Worker::stopAll(); });
    thread_.join();
  }

  int port() const { return port_; }

  /// Waits for an event; a failed check if it does not come.
  void waitFor(const std::string& event) {
    std::unique_lock lock(mutex_);
    const auto isThere = [&] { return std::find(events_.begin(), events_.end(), event) != events_.end(); };
    const bool came = changed_.wait_for(lock, std::chrono::duration<double>(testing::kHangSeconds), isThere);
    std::string all;
    for (const auto& each : events_) all += each + "\n";
    CHECK_MESSAGE(came, "no '", event, "' among: ", all);
  }

 private:
  void note(std::string event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    changed_.notify_all();
  }

  void run(std::promise<int>& port) {
    Worker worker("websocket://127.0.0.1:0");
    worker.onWebSocketConnect = [](auto connection, Http::Request& request) { decide(connection, request); };
    worker.onWebSocketConnected = [](auto connection, Http::Request& request) {
      if (request.path() == "/bye") connection->close(4001, "go away");
      if (request.path() == "/headers") {
        connection->send("/headers " + std::string(request.queryString()) + " " +
                         std::string(request.header("x-name", "?")) + " " +
                         std::string(request.header("origin", "?")));
      }
    };
    worker.onMessage = [](TcpConnectionPtr connection, std::string_view data) {
      connection->websocketType = connection->websocketMessageType;
      if (connection->context.get<std::string>("path", "") == "/drop") return connection->destroy();
      connection->send(data);
    };
    worker.onWebSocketPong = [](TcpConnectionPtr connection) {
      const int pongs = connection->context.get<int>("pongs", 0) + 1;
      connection->context["pongs"] = pongs;
      if (pongs == 3) connection->send("three pongs");
    };
    worker.onWebSocketClose = [this](auto, int code, std::string reason) {
      note("close " + std::to_string(code) + (reason.empty() ? "" : " " + reason));
    };
    Worker::embed();
    loop_ = Worker::getEventLoop()->uvLoop();
    port.set_value(worker.getListenPort());
    Worker::runLoop();
  }

  static void decide(const TcpConnectionPtr& connection, const Http::Request& request) {
    const std::string path(request.path());
    connection->context["path"] = path;
    connection->maxSendBufferSize = 64 << 20;
    if (path == "/secret")
      connection->close(Http::Response(401, {{"WWW-Authenticate", "Basic"}}, "who are you?"));
    if (path == "/pings") connection->websocketPingInterval = 0.05f;
    if (path == "/headers") {
      connection->headers = {{"Set-Cookie", "name=" + std::string(request.header("x-name", "?"))}};
    }
    if (request.header("Sec-WebSocket-Protocol", "").find("chat") != std::string_view::npos) {
      connection->websocketServerProtocol = "chat";
    }
  }

  std::thread thread_;
  uv_loop_t* loop_ = nullptr;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

/// Plays a scenario; a failed check that shows what it said unless it ends well.
void play(const std::string& kind, const Server& server, const std::string& scenario) {
  const bool isPython = kind == "python";
  const std::string program = isPython ? PEER_PYTHON : PEER_NODE;
  const std::string package =
      isPython ? "python3-websockets" : "node-ws (or the npm module ws in build/node)";
  REQUIRE_MESSAGE((!program.empty() && ::access(program.c_str(), X_OK) == 0), kind,
                  " is not installed: the interop tests need ", package);
  ChildProcess client("/usr/bin/env",
                      {std::string("NODE_PATH=") + PEER_NODE_PATH, program,
                       std::string(PEER_CLIENTS) + (isPython ? "/ws_client.py" : "/ws_client.js"),
                       std::to_string(server.port()), scenario});
  const int status = client.wait();
  CHECK_MESSAGE((status == 0 && client.text() == "ok\n"), kind, " ", scenario, ": ", client.text());
}

}  // namespace

TEST_CASE("interop server: text and binary of every length, fragments, bursts, 10 MiB, a hundred at once") {
  for (const auto& kind : kPeers) {
    Server server;
    for (const char* scenario : {"echo", "fragments", "burst", "large", "many"}) {
      CAPTURE(scenario);
      play(kind, server, scenario);
    }
    server.waitFor("close 1000");
  }
}

TEST_CASE("interop server: pings both ways") {
  for (const auto& kind : kPeers) {
    Server server;
    play(kind, server, "ping");
    play(kind, server, "pinged");
  }
}

TEST_CASE("interop server: closes with codes from either side, and 1009 for what is too long") {
  for (const auto& kind : kPeers) {
    Server server;
    play(kind, server, "close");
    server.waitFor("close 3001 done here");
    play(kind, server, "bye");
    server.waitFor("close 4001 go away");
    play(kind, server, "too_big");
    server.waitFor("close 1009 message is longer than maxPackageSize");
  }
}

TEST_CASE("interop server: a connection lost on either side is 1006 on the other") {
  for (const auto& kind : kPeers) {
    Server server;
    play(kind, server, "drop");
    server.waitFor("close 1006 the peer closed the connection");
    play(kind, server, "dropped");
  }
}

TEST_CASE("interop server: sub-protocols, headers both ways, and a refusal with 401") {
  for (const auto& kind : kPeers) {
    Server server;
    for (const char* scenario : {"subprotocol", "headers", "refused"}) play(kind, server, scenario);
  }
}

TEST_CASE("interop server: curl on the websocket's port reads why it is refused; the worker serves on") {
  Server server;
  const std::string url = "http://127.0.0.1:" + std::to_string(server.port()) + "/";
  struct Case {
    std::vector<std::string> options;
    const char* status;
    const char* body;
  };
  const Case cases[] = {
      {{}, "HTTP/1.1 426 Upgrade Required\r\n", "no \"Upgrade: websocket\"\n"},
      {{"--http1.0"}, "HTTP/1.1 400 Bad Request\r\n", "needs HTTP/1.1\n"},
      {{"--data", std::string(100000, 'x')}, "HTTP/1.1 405 Method Not Allowed\r\n", "a GET request\n"},
      {{"--header", "X: " + std::string(20000, 'x')}, "HTTP/1.1 431 ", "the head is too long\n"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.status);
    std::vector<std::string> arguments{"curl", "--silent", "--show-error", "--include", "--max-time", "10"};
    arguments.insert(arguments.end(), each.options.begin(), each.options.end());
    arguments.push_back(url);
    ChildProcess curl("/usr/bin/env", arguments);
    CHECK(curl.wait() == 0);
    CHECK_MESSAGE(curl.text().find(each.status) != std::string::npos, curl.text());
    CHECK_MESSAGE(curl.text().ends_with(each.body), curl.text());
  }
  play("python", server, "ping");
}
