#include <memory>
#include <string>
#include <vector>

#include "support/wire_echo.h"

/// How a server's websockets end: closing handshakes that it begins, peers that
/// do not answer, vanish or read nothing, and pings (RFC 6455 section 7).

using namespace Workerman;
using namespace Workerman::Connection;
using namespace testing;

namespace {

/// A worker with one websocket, and the plain socket that is its peer.
struct Line {
  Words events;
  TcpConnectionPtr ours;
  LoopFixture fixture;
  Ticker ticker;
  std::shared_ptr<Worker> worker = listenOn("websocket");
  WirePeer peer;

  explicit Line(const std::function<void(Worker&)>& prepare = nullptr) {
    worker->onConnect = [this](auto connection) { ours = connection; };
    worker->onMessage = [this](auto, std::string data) { events.push_back("message " + data); };
    worker->onWebSocketClose = [this](auto, int code, std::string reason) {
      events.push_back("wsclose " + std::to_string(code) + " " + reason);
    };
    worker->onError = [this](auto, int code) { events.push_back("error " + std::to_string(code)); };
    worker->onClose = [this] { events.push_back("close"); };
    worker->onWebSocketPong = [this](auto, std::string data) { events.push_back("pong " + data); };
    if (prepare) prepare(*worker);
    peer = WirePeer(connectRaw(worker->getListenPort()), Role::Client);
    peer.offer(upgradeRequest());
    std::string head;
    until([&] {
      if (head.empty()) head = peer.takeHead();
      return !head.empty();
    });
  }
  bool until(const std::function<bool()>& done) {
    return fixture.runUntil([&] { return peer.collect(), done(); });
  }
  bool has(const std::string& event) const { return std::count(events.begin(), events.end(), event) > 0; }
  void send(const Frame& frame) { peer.offer(frame.bytes(Role::Client)); }
};

}  // namespace

TEST_CASE(
    "websocket server: close(code, reason) is sent; the answer is told, and the server ends the connection") {
  Line line;
  line.ours->close(4001, "enough");
  CHECK(line.ours->send("too late") == false);
  line.until([&] { return line.peer.hasClose; });
  CHECK(line.peer.closePayload == goodbye(4001, "enough").payload);
  CHECK(line.events == Words{});
  line.send(text("still arriving"));
  line.send(ping("unanswered"));
  line.send(goodbye(4002, "mine"));
  line.until([&] { return line.peer.isAtEnd(); });
  line.peer.socket().close();
  line.until([&] { return line.has("close"); });
  CHECK(line.events == Words{"wsclose 4002 mine", "close"});
  CHECK(line.peer.words.size() == 1);
}

TEST_CASE("websocket server: close() is 1000, close(text) says it first") {
  for (const bool hasText : {false, true}) {
    Line line;
    if (hasText) {
      line.ours->close("last words");
    } else {
      line.ours->close();
    }
    line.until([&] { return line.peer.hasClose; });
    CHECK(line.peer.closeCode() == 1000);
    CHECK(line.peer.words.front() == (hasText ? "text:last words" : wordFor(goodbye(1000))));
  }
}

TEST_CASE("websocket server: a peer that does not answer the close frame is given up: 1006") {
  Line line;
  line.ours->websocketCloseTimeout = 0.1f;
  line.ours->close(1000);
  line.until([&] { return line.has("close"); });
  CHECK(line.events == Words{"wsclose 1006 the peer did not answer the close frame", "close"});
}

TEST_CASE(
    "websocket server: a peer that answers and keeps the TCP connection open is given up after "
    "lingerTimeout") {
  Line line;
  line.ours->lingerTimeout = 0.1;
  line.send(goodbye(1000));
  line.until([&] { return line.has("close"); });
  CHECK(line.events == Words{"wsclose 1000 ", "close"});
  CHECK(line.until([&] { return line.peer.isAtEnd(); }));
}

TEST_CASE("websocket server: a peer that closes and reads nothing cannot keep what is queued for it") {
  for (const bool breaksRules : {false, true}) {
    CAPTURE(breaksRules);
    Line line;
    line.ours->websocketCloseTimeout = 0.1f;
    line.ours->maxSendBufferSize = 64 << 20;
    CHECK(line.ours->send(std::string(32 << 20, 'x')) == nullptr);
    line.send(breaksRules ? wireFrame(0xFF, "x") : goodbye(1000));
    CHECK(line.fixture.runUntil([&] { return line.has("close"); }));
    CHECK(line.events.size() == 2);
  }
}

TEST_CASE("websocket server: a peer that reads slowly gets all of it, and the close frame, after any time") {
  for (const bool theyClose : {false, true}) {
    CAPTURE(theyClose);
    Line line;
    line.ours->websocketCloseTimeout = 0.3f;
    line.ours->lingerTimeout = 5;
    line.ours->maxSendBufferSize = 64 << 20;
    const std::string big(12 << 20, 'x');
    CHECK(line.ours->send(big) == nullptr);
    if (theyClose) {
      line.send(goodbye(1000));
    } else {
      line.ours->close(1000);
    }
    // A piece every few milliseconds: in all that takes several times the limit.
    std::size_t got = 0;
    const int reads = Timer::add(0.01, [&] { got += line.peer.socket().receive(1 << 16).size(); });
    const std::size_t wanted =
        wireFrame(0x81, big).bytes(Role::Server).size() + goodbye(1000).bytes(Role::Server).size();
    CHECK(line.fixture.runUntil([&] { return got == wanted; }));
    Timer::del(reads);
    if (!theyClose) line.send(goodbye(1000));
    line.until([&] { return line.peer.isAtEnd(); });
    line.peer.socket().close();
    line.until([&] { return line.has("close"); });
    CHECK(line.events == Words{"wsclose 1000 ", "close"});
  }
}

TEST_CASE("websocket server: both sides closing at once is one close each") {
  Line line;
  line.send(goodbye(4004));
  line.ours->close(4003);
  line.until([&] { return line.peer.isAtEnd(); });
  line.peer.socket().close();
  line.until([&] { return line.has("close"); });
  CHECK(line.events == Words{"wsclose 4004 ", "close"});
  CHECK(line.peer.words == Words{wordFor(goodbye(4003))});
}

TEST_CASE(
    "websocket server: a peer that vanishes is 1006 with the cause: by FIN, by reset, inside a message, "
    "while closing") {
  struct Case {
    const char* what;
    bool resets;
    bool inMessage;
    bool weClose;
  };
  for (const auto& each :
       {Case{"FIN", false, false, false}, Case{"reset", true, false, false},
        Case{"FIN inside a message", false, true, false}, Case{"reset inside a message", true, true, false},
        Case{"FIN while closing", false, false, true}, Case{"reset while closing", true, true, true}}) {
    CAPTURE(each.what);
    Line line;
    if (each.inMessage) line.send(textStart("half"));
    if (each.weClose) line.ours->close(1000);
    line.fixture.turn(3);
    line.peer.collect();
    if (each.resets) {
      line.peer.socket().reset();
    } else {
      line.peer.socket().close();
    }
    line.fixture.runUntil([&] { return line.has("close"); });
    REQUIRE(line.events.size() == 2);
    CHECK(line.events[0].starts_with("wsclose 1006 "));
    CHECK(line.events[0].size() > std::string("wsclose 1006 ").size());
    CHECK(line.worker->connections.empty());
  }
}

TEST_CASE(
    "websocket server: worker.stop() says 1001 to those that are open and cuts those that shake hands") {
  Line line;
  WirePeer half(connectRaw(line.worker->getListenPort()), Role::Client);
  half.offer("GET / HT");
  line.until([&] { return line.worker->connections.size() == 2; });
  line.worker->stop(false);
  line.until([&] { return line.peer.hasClose; });
  CHECK(line.peer.closeCode() == 1001);
  line.send(goodbye(1001));
  line.until([&] { return line.peer.isAtEnd(); });
  line.peer.socket().close();
  line.until([&] { return line.worker->connections.empty(); });
}

TEST_CASE(
    "websocket server: websocketPingInterval pings; pongs reach onWebSocketPong; without one it is 1006") {
  Line line([](Worker& worker) {
    worker.onWebSocketConnect = [](auto connection) {
      connection->websocketPingInterval = 0.05f;
      connection->websocketPongTimeout = 0.6f;
    };
  });
  for (std::size_t i = 1; i <= 3; ++i) {
    line.until([&] { return line.peer.words.size() >= i; });
    line.send(pong(""));
    line.until(
        [&] { return std::count(line.events.begin(), line.events.end(), "pong ") >= static_cast<long>(i); });
  }
  CHECK(line.peer.words[0] == "ping:");
  line.events.clear();
  line.until([&] { return line.has("close"); });
  CHECK(line.events == Words{"wsclose 1006 no pong in time", "close"});
}

TEST_CASE("websocket server: a late pong, or a long message on its way, keeps a peer that is alive") {
  Line line([](Worker& worker) {
    worker.onWebSocketConnect = [](auto connection) {
      connection->websocketPingInterval = 0.05f;
      connection->websocketPongTimeout = 0.4f;
    };
  });
  const std::string message = text(std::string(100000, 'x')).bytes(Role::Client);
  std::size_t at = 0;
  const int drip =
      Timer::add(0.01, [&] { at += line.peer.offer(std::string_view(message).substr(at, 1000)); });
  line.until([&] { return at == message.size() || line.has("close"); });
  Timer::del(drip);
  line.send(pong(""));
  line.until([&] { return line.has("pong "); });
  CHECK_FALSE(line.has("close"));
}
