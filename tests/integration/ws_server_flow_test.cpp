#include <string>
#include <vector>

#include "support/wire_echo.h"

/// Limits of size and buffers on a server's websockets: maxPackageSize, peers
/// that do not read, pongs, pausing, and what a worker's settings do.

using namespace Workerman;
using namespace Workerman::Connection;
using namespace testing;

TEST_CASE(
    "websocket server: exactly maxPackageSize passes, one byte more is 1009, in one frame and in fragments") {
  for (const std::size_t limit : {1u, 125u, 126u, 65535u, 65536u, 100000u}) {
    for (const int over : {-1, 0, 1}) {
      CAPTURE(limit);
      CAPTURE(over);
      LoopFixture fixture;
      EchoUnderTest echo(fixture, Role::Server);
      const std::string payload(limit + static_cast<std::size_t>(over + 1) - 1, 'x');
      const std::size_t half = payload.size() / 2;
      for (const bool isFragmented : {false, true}) {
        echo.open();
        echo.ours->maxPackageSize = limit;
        // Small messages never add up.
        for (int i = 0; i < 3; ++i) echo.send(text("s").bytes(Role::Client));
        const std::string_view bytes = payload;
        echo.send(isFragmented ? textStart(bytes.substr(0, half)).bytes(Role::Client) +
                                     last(bytes.substr(half)).bytes(Role::Client)
                               : text(bytes).bytes(Role::Client));
        if (over == 1) {
          REQUIRE(echo.until([&] { return echo.peer.hasClose; }));
          CHECK(echo.peer.closeCode() == 1009);
          CHECK(echo.peer.words.size() == 4);
        } else {
          REQUIRE(echo.until([&] { return echo.peer.words.size() == 4; }));
          CHECK(echo.peer.words.back() == wordFor(text(payload)));
        }
        echo.peer.socket().close();
        REQUIRE(echo.until([&] { return echo.closed == 1; }));
      }
    }
  }
}

TEST_CASE(
    "websocket server: a peer that does not read fills its buffer, once, and gets all when it reads again") {
  std::string log;
  LoopFixture fixture;
  EchoUnderTest echo(fixture, Role::Server);
  echo.open();
  echo.ours->maxSendBufferSize = 1 << 20;
  echo.ours->onBufferFull = [&] { log += "full "; };
  echo.ours->onBufferDrain = [&] { log += "drain "; };
  echo.ours->onError = [&](auto, int code) { log += "error:" + std::to_string(code) + " "; };
  const std::string piece(100000, 'x');
  std::size_t sent = 0;
  for (; log.empty(); ++sent) REQUIRE_FALSE(echo.ours->send(piece) == false);
  CHECK(log == "full ");
  CHECK(echo.ours->send(piece) == false);
  CHECK(log == "full error:2 ");
  CHECK(echo.ours->getSendBufferQueueSize() < (1 << 20) + piece.size() + 100);
  REQUIRE(echo.until([&] { return echo.peer.words.size() == sent; }));
  REQUIRE(echo.until([&] { return log == "full error:2 drain "; }));
  CHECK(echo.ours->send("again") == true);
  REQUIRE(echo.until([&] { return echo.peer.words.size() == sent + 1; }));
}

TEST_CASE(
    "websocket server: the pong due to a peer with a full buffer is not dropped, and pings do not pile up") {
  LoopFixture fixture;
  EchoUnderTest echo(fixture, Role::Server);
  echo.open();
  echo.ours->maxSendBufferSize = 100000;
  const std::string piece(50000, 'x');
  std::size_t sent = 0;
  while (echo.ours->getSendBufferQueueSize() < 100000) {
    static_cast<void>(echo.ours->send(piece));
    ++sent;
  }
  std::string pings;
  for (int i = 0; i < 5000; ++i) pings += ping("ping " + std::to_string(i)).bytes(Role::Client);
  const auto before = echo.ours->bytesRead;
  for (std::string_view rest = pings; !rest.empty();) {
    rest.remove_prefix(echo.peer.offer(rest));
    fixture.turn();
  }
  for (int i = 0; i < 1000 && echo.ours->bytesRead - before < static_cast<std::int64_t>(pings.size()); ++i)
    fixture.turn();
  CHECK(echo.ours->getSendBufferQueueSize() < 200000);
  REQUIRE(echo.until([&] { return !echo.peer.words.empty() && echo.peer.words.back() == "pong:ping 4999"; }));
  CHECK(echo.peer.words.size() >= sent);
}

TEST_CASE("websocket server: paused, messages wait; the rest is delivered before resumeRecv() returns") {
  std::vector<std::string> got;
  LoopFixture fixture;
  EchoUnderTest echo(fixture, Role::Server);
  echo.open();
  echo.ours->onMessage = [&](auto connection, std::string data) {
    got.push_back(data);
    connection->pauseRecv();
  };
  echo.send(text("one").bytes(Role::Client) + text("two").bytes(Role::Client) +
            ping("p").bytes(Role::Client));
  fixture.turn(5);
  CHECK(got == std::vector<std::string>{"one"});
  echo.ours->resumeRecv();
  CHECK(got == std::vector<std::string>{"one", "two"});
  fixture.turn(3);
  echo.peer.collect();
  CHECK(echo.peer.words == Words{});
  echo.ours->resumeRecv();
  REQUIRE(echo.until([&] { return echo.peer.words == Words{"pong:p"}; }));
}

TEST_CASE("websocket server: onWebSocketPing's first send is the pong; without one it goes by itself") {
  for (const bool answers : {true, false}) {
    std::string seen;
    LoopFixture fixture;
    EchoUnderTest echo(fixture, Role::Server);
    echo.open();
    echo.ours->onWebSocketPing = [&](auto connection, std::string data) {
      seen += data + " ";
      if (answers) {
        connection->send("own " + data);
        connection->send("and a message");
      }
    };
    echo.send(textStart("a").bytes(Role::Client) + ping("p").bytes(Role::Client) +
              last("b").bytes(Role::Client));
    const Words wanted =
        answers ? Words{"pong:own p", "text:and a message", "text:ab"} : Words{"pong:p", "text:ab"};
    REQUIRE(echo.until([&] { return echo.peer.words.size() == wanted.size(); }));
    CHECK(echo.peer.words == wanted);
    CHECK(seen == "p ");
  }
}

TEST_CASE("websocket server: JSON is sent as PHP does, and text of each type in kind") {
  LoopFixture fixture;
  EchoUnderTest echo(fixture, Role::Server);
  echo.open();
  echo.ours->send(nlohmann::json{{"a", 1}});
  echo.ours->send(nlohmann::json("bare"));
  echo.ours->websocketType = Protocols::Websocket::BINARY_TYPE_ARRAYBUFFER;
  echo.ours->send("bytes");

  REQUIRE(echo.until([&] { return echo.peer.words.size() >= 3; }));
  CHECK(echo.peer.words == Words{"text:{\"a\":1}", "text:bare", "binary:bytes"});
}
