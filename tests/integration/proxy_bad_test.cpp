// Clients behind proxies that behave badly at each step of their handshake: they stall, leave, reset,
// drip, answer something else or too much.

#include <string>
#include <vector>

#include "support/deadline.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::Journal;
using testing::LoopFixture;
using testing::RawListener;
using testing::RawSocket;
using namespace std::string_literals;

namespace {

enum class Kind { Socks, SocksWithLogin, Http };

/// What a proxy answers to each request of a handshake that succeeds, and what is awaited before.
struct Step {
  std::string answer;
  std::string awaited;
};

std::vector<Step> stepsOf(Kind kind) {
  const Step method{"\x05\x00"s, "the SOCKS5 proxy's choice of a method"};
  const Step login{"\x01\x00"s, "the SOCKS5 proxy's answer to the login"};
  const Step reply{"\x05\x00\x00\x03\x05"s + "bound" + "\x00\x50"s,
                   "the SOCKS5 proxy's answer to the connect request"};
  switch (kind) {
    case Kind::Socks:
      return {method, reply};
    case Kind::SocksWithLogin:
      return {{"\x05\x02"s, method.awaited}, login, reply};
    case Kind::Http:
      break;
  }
  return {{"HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n", "the HTTP proxy's answer"}};
}

/// A client on its way through a proxy that is this test.
class Scene {
 public:
  explicit Scene(Kind kind, const std::string& target = "tcp://example.com:80") {
    client = std::make_shared<AsyncTcpConnection>(target);
    const std::string where = "127.0.0.1:" + std::to_string(listener_.port());
    (kind == Kind::Http ? client->proxyHttp : client->proxySocks5) = where;
    if (kind == Kind::SocksWithLogin)
      client->proxySocks5Username = "tom", client->proxySocks5Password = "secret";
    journal.record(*client);
  }
  ~Scene() { client->destroy(); }

  void start() {
    client->connect();
    fixture.runUntil([&] { return listener_.acceptInto(proxy); });
  }
  /// Waits for a request, then answers.
  void answer(const std::string& bytes) {
    awaitRequest();
    proxy.send(bytes);
  }
  void awaitRequest() {
    std::string got;
    fixture.runUntil([&] { return !(got += proxy.receiveAll()).empty(); });
    asked += got;
  }
  void checkFailed(const std::string& cause) {
    fixture.runUntil([&] { return journal.has("close"); });
    CHECK(journal.text == "error:1 close ");
    CHECK_MESSAGE(journal.error.find(cause) != std::string::npos, journal.error);
    fixture.turn(2);
    CHECK(client.use_count() == 1);
  }

  Journal journal;
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawSocket proxy;
  std::string asked;
  AsyncTcpConnectionPtr client;

 private:
  RawListener listener_;
};

/// Calls `test(scene, what is awaited, a part of the answer)` once for every step of every handshake,
/// with the steps before it done.
template <class Test>
void atEachStep(const Test& test, double timeout = testing::kHangSeconds) {
  for (const Kind kind : {Kind::Socks, Kind::SocksWithLogin, Kind::Http}) {
    const auto steps = stepsOf(kind);
    for (std::size_t bad = 0; bad < steps.size(); ++bad) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(bad);
      Scene scene(kind);
      scene.client->connectTimeout = timeout;
      scene.start();
      for (std::size_t i = 0; i < bad; ++i) scene.answer(steps[i].answer);
      test(scene, steps[bad].awaited, steps[bad].answer);
    }
  }
}

}  // namespace

TEST_CASE(
    "bad proxy: one that stalls at any step, before its answer or inside it, runs into connectTimeout") {
  for (const bool isHalf : {false, true}) {
    atEachStep(
        [&](Scene& scene, const std::string& awaited, const std::string& answer) {
          if (isHalf) scene.answer(answer.substr(0, answer.size() - 1));
          scene.checkFailed("timed out while waiting for " + awaited);
        },
        0.4);
  }
}

TEST_CASE("bad proxy: behind it connectTimeout goes on, and names TLS and the upgrade as well") {
  for (const std::string target : {"ssl://example.com:443", "wss://example.com", "ws://example.com"}) {
    for (const Kind kind : {Kind::SocksWithLogin, Kind::Http}) {
      CAPTURE(target);
      Scene scene(kind, target);
      scene.client->connectTimeout = 0.5;
      scene.start();
      for (const auto& step : stepsOf(kind)) scene.answer(step.answer);
      scene.fixture.runUntil([&] { return scene.journal.has("close"); });
      const std::string stage =
          target.starts_with("ws:") ? "waiting for the upgrade" : "waiting for the TLS handshake";
      CHECK_MESSAGE(scene.journal.error.find("timed out while " + stage) != std::string::npos,
                    scene.journal.error);
      const std::string port = target.starts_with("ws:") ? "\x00\x50"s : "\x01\xbb"s;
      if (kind != Kind::Http) CHECK(scene.asked.find("example.com" + port) != std::string::npos);
    }
  }
}

TEST_CASE("bad proxy: one that leaves at any step is named with the step") {
  for (const bool isHalf : {false, true}) {
    atEachStep([&](Scene& scene, const std::string& awaited, const std::string& answer) {
      scene.awaitRequest();
      if (isHalf) scene.proxy.send(answer.substr(0, 1));
      scene.proxy.close();
      scene.checkFailed("the proxy closed the connection while waiting for " + awaited);
    });
  }
}

TEST_CASE("bad proxy: one that resets at any step") {
  atEachStep([&](Scene& scene, const std::string& awaited, const std::string&) {
    scene.awaitRequest();
    scene.proxy.reset();
    scene.checkFailed("Connection reset by peer while waiting for " + awaited);
  });
}

TEST_CASE("bad proxy: garbage at any step") {
  atEachStep([&](Scene& scene, const std::string&, const std::string&) {
    scene.answer("\x15\x03\x01\x00\x02\x02\x16"s);
    scene.checkFailed("roxy");
    CHECK(scene.journal.error.find("timed out") == std::string::npos);
  });
}

TEST_CASE("bad proxy: an endless answer ends at its limit") {
  Scene scene(Kind::Http);
  scene.start();
  scene.answer("HTTP/1.1 200 OK\r\nX: ");
  const std::string more(4096, 'x');
  const int flood = Timer::add(0.001, [&] {
    if (!scene.journal.has("close"))
      static_cast<void>(::send(scene.proxy.fd(), more.data(), more.size(), MSG_NOSIGNAL));
  });
  scene.checkFailed("its answer has more than 16384 bytes");
  Timer::del(flood);
}

TEST_CASE("bad proxy: bytes that drip do not extend connectTimeout, and are good enough otherwise") {
  for (const Kind kind : {Kind::Socks, Kind::SocksWithLogin, Kind::Http}) {
    for (const bool isTooSlow : {false, true}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(isTooSlow);
      Scene scene(kind, "text://example.com:80");
      scene.client->connectTimeout = isTooSlow ? 0.15 : testing::kHangSeconds;
      scene.start();
      for (const auto& step : stepsOf(kind)) {
        scene.awaitRequest();
        for (const char byte : step.answer) {
          static_cast<void>(::send(scene.proxy.fd(), &byte, 1, MSG_NOSIGNAL));
          double seconds = isTooSlow ? 0.03 : 0.002;
          bool isTime = false;
          Timer::delay(seconds, [&] { isTime = true; });
          scene.fixture.runUntil([&] { return isTime || scene.journal.has("close"); });
          if (!isTime) break;
        }
        if (scene.journal.has("close")) break;
      }
      if (isTooSlow) {
        scene.checkFailed("timed out while waiting for ");
        continue;
      }
      scene.proxy.send("he");
      scene.proxy.send("llo\n");
      scene.fixture.runUntil([&] { return scene.journal.has("message:hello"); });
      CHECK(scene.journal.text == "connect message:hello ");
    }
  }
}

TEST_CASE("bad proxy: answers that come before they are asked for count when their turn has come") {
  for (const Kind kind : {Kind::Socks, Kind::SocksWithLogin}) {
    Scene scene(kind, "text://example.com:80");
    scene.start();
    std::string all;
    for (const auto& step : stepsOf(kind)) all += step.answer;
    scene.proxy.send(all + "hello\n");
    scene.fixture.runUntil([&] { return scene.journal.has("message:hello"); });
    CHECK(scene.client->bytesRead == 6);
  }
}

TEST_CASE("proxy: an IPv6 target is sent as an address, in brackets where HTTP wants them") {
  struct Case {
    Kind kind;
    std::string target, request;
  };
  const Case cases[] = {
      {Kind::Socks, "tcp://[2001:db8::7]:443",
       "\x05\x01\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07\x01\xbb"s},
      {Kind::Socks, "tcp://192.0.2.1:443", "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"s},
      {Kind::Http, "tcp://[2001:db8::7]:443",
       "CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n"},
      {Kind::Http, "tcp://[2001:db8::7]", "CONNECT [2001:db8::7]:80 HTTP/1.1\r\nHost: [2001:db8::7]:80\r\n"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.target);
    Scene scene(each.kind, each.target);
    scene.start();
    if (each.kind != Kind::Http) scene.answer("\x05\x00"s);
    scene.asked.clear();
    scene.awaitRequest();
    CHECK(scene.asked.substr(0, each.request.size()) == each.request);
  }
}
