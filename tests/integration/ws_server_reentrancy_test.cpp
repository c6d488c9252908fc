#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/wire_echo.h"

/// Each callback of a server's websocket as the place where its connection is
/// closed, its worker stopped or destroyed, everything stopped, or the callback
/// itself replaced.

using namespace Workerman;
using namespace Workerman::Connection;
using namespace testing;

namespace {

const std::vector<std::string> kSlots{"onConnect",
                                      "onWebSocketConnect",
                                      "onWebSocketConnected",
                                      "onMessage",
                                      "onWebSocketPing",
                                      "onWebSocketPong",
                                      "onWebSocketClose",
                                      "onClose",
                                      "onBufferFull",
                                      "onError"};

using Act = std::function<void(TcpConnectionPtr)>;

/// Counts every callback of a worker, and lets one of them act, the first time.
struct Scene {
  std::vector<std::string> events;
  LoopFixture fixture;
  Ticker ticker;
  std::unique_ptr<Worker> worker = std::make_unique<Worker>("websocket://127.0.0.1:0");
  WirePeer peer;

  Scene(const std::string& slot, Act act) {
    const auto on = [this, slot, act, isDone = std::make_shared<bool>()](const std::string& name) {
      return [this, name, acts = name == slot, act, isDone](TcpConnectionPtr connection) {
        events.push_back(name);
        if (acts && !std::exchange(*isDone, true)) act(connection);
      };
    };
    worker->onConnect = on("onConnect");
    worker->onWebSocketConnect = [f = on("onWebSocketConnect")](auto c, auto&) { f(c); };
    worker->onWebSocketConnected = [f = on("onWebSocketConnected")](auto c, auto&) { f(c); };
    worker->onMessage = [f = on("onMessage"), slot](auto c, std::string_view data) {
      f(c);
      // Something that fills the send buffer, and more than fits.
      if ((slot == "onBufferFull" || slot == "onError") && data == "fill") {
        c->maxSendBufferSize = 1000;
        for (int i = 0; i < 400 && c->send(std::string(100000, 'x')) != false; ++i) {
        }
      }
    };
    worker->onWebSocketPing = [f = on("onWebSocketPing")](auto c) { f(c); };
    worker->onWebSocketPong = [f = on("onWebSocketPong")](auto c) { f(c); };
    worker->onWebSocketClose = [f = on("onWebSocketClose")](auto c) { f(c); };
    worker->onClose = on("onClose");
    worker->onBufferFull = on("onBufferFull");
    worker->onError = [f = on("onError")](auto c) { f(c); };
    worker->listen();
    call();
  }

  /// Everything that a peer can say, in one write.
  void call() {
    peer = WirePeer(connectRaw(worker->getListenPort()), Role::Client);
    std::string bytes = upgradeRequest();
    for (const Frame& frame : {text("one"), textStart("a"), ping("p"), last("b"), pong("q"), text("fill"),
                               text("two"), goodbye(1000)}) {
      bytes += frame.bytes(Role::Client);
    }
    REQUIRE(peer.offer(bytes) == bytes.size());
  }
  long count(const std::string& name) const { return std::count(events.begin(), events.end(), name); }
  /// Until nothing is connected any more.
  void finish() {
    fixture.runUntil([&] {
      peer.collect();
      if (count("onClose") != 0 || peer.isAtEnd()) peer.socket().close();
      return !events.empty() && TcpConnection::connections.empty();
    });
  }
};

}  // namespace

TEST_CASE("websocket server re-entrancy: each callback may end its connection, which ends once") {
  const std::vector<std::pair<std::string, Act>> ways{
      {"close()", [](auto c) { c->close(); }},
      {"close(code)", [](auto c) { c->close(4000, "enough"); }},
      {"close(text)", [](auto c) { c->close("last words"); }},
      {"end()", [](auto c) { c->end(); }},
      {"destroy()", [](auto c) { c->destroy(); }},
      {"destroy(), then everything else",
       [](auto c) {
         c->destroy();
         c->destroy();
         c->close(1000);
         CHECK(c->send("x") == false);
         c->pauseRecv();
         c->resumeRecv();
         c->end();
       }},
      {"pauseRecv(), close()",
       [](auto c) {
         c->pauseRecv();
         c->close();
       }},
  };
  for (const auto& slot : kSlots) {
    for (const auto& way : ways) {
      CAPTURE(slot);
      CAPTURE(way.first);
      Scene scene(slot, way.second);
      scene.finish();
      CHECK(scene.count(slot) >= 1);
      CHECK(scene.count("onConnect") == 1);
      CHECK(scene.count("onClose") == 1);
      CHECK(scene.count("onWebSocketClose") <= 1);
      CHECK(scene.events.back() == "onClose");
    }
  }
}

TEST_CASE("websocket server re-entrancy: each callback may stop the worker, destroy it, or stop everything") {
  for (const auto& slot : kSlots) {
    for (const int way : {0, 1, 2, 3}) {
      CAPTURE(slot);
      CAPTURE(way);
      Scene* self = nullptr;
      Scene scene(slot, [&self, way](auto) {
        if (way == 0) self->worker->stop();
        if (way == 1) self->worker->stop(false);
        if (way == 2) self->worker.reset();
        if (way == 3) Worker::stopAll();
      });
      self = &scene;
      scene.finish();
      CHECK(scene.count(slot) >= 1);
      CHECK(scene.count("onClose") == 1);
      CHECK(scene.count("onWebSocketClose") <= 1);
    }
  }
}

TEST_CASE("websocket server re-entrancy: each callback may take all callbacks away while it runs") {
  for (const auto& slot : kSlots) {
    CAPTURE(slot);
    const std::string longText(1000, 'x');
    bool isIntact = false;
    Scene scene(slot, [longText, &isIntact](auto c) {
      c->onConnect = nullptr;
      c->onWebSocketConnect = c->onWebSocketConnected = nullptr;
      c->onMessage = nullptr;
      c->onWebSocketPing = c->onWebSocketPong = nullptr;
      c->onWebSocketClose = c->onError = nullptr;
      c->onBufferFull = nullptr;
      c->onClose = nullptr;
      isIntact = longText == std::string(1000, 'x');
    });
    scene.fixture.runUntil([&] {
      scene.peer.collect();
      if (scene.peer.isAtEnd()) scene.peer.socket().close();
      return isIntact && TcpConnection::connections.empty();
    });
    CHECK(scene.events.back() == slot);
  }
}

TEST_CASE("websocket server re-entrancy: a callback may end the other connections") {
  for (const std::string slot :
       {"onWebSocketConnect", "onMessage", "onWebSocketPing", "onWebSocketClose", "onClose"}) {
    CAPTURE(slot);
    Scene scene(slot, [](auto c) {
      for (const auto& entry : c->worker->connections) {
        if (entry.second != c) entry.second->destroy();
      }
    });
    std::vector<WirePeer> others;
    for (int i = 0; i < 3; ++i) {
      others.push_back(std::move(scene.peer));
      scene.call();
    }
    scene.fixture.runUntil([&] {
      scene.peer.collect();
      for (auto& other : others) other.collect();
      const bool isOver = scene.count("onClose") >= 1;
      if (isOver) others.clear(), scene.peer.socket().close();
      return isOver && scene.worker->connections.empty();
    });
    CHECK(scene.count("onClose") == 4);
  }
}
