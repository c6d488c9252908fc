// What takes a websocket more than its share of a turn of the loop, counted in turns.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "session_fixture.h"
#include "support/deflate.h"

using namespace SessionTest;

namespace {

constexpr int kMostTurns = 10'000;
constexpr std::size_t kLong = 10 << 20;

/// A server's websocket that has agreed on compression, and a polite one beside it.
struct Scene {
  LoopFixture loop;
  testing::DeflateOptionsGuard options;
  End busy{Role::Server};
  End polite{Role::Server};
  std::size_t received = 0;
  int messages = 0;
  bool isRight = true;

  Scene() {
    polite.open();
    busy.connection->websocketDeflate = true;
    std::string request = kRequest;
    request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    busy.connection->arrive(request);
    CHECK(busy.journal == "open ");
    CHECK(busy.wire->out.find("permessage-deflate") != std::string::npos);
    busy.journal.clear();
    busy.connection->onMessage = [this](const TcpConnectionPtr&, std::string_view data) {
      ++messages;
      received += data.size();
      isRight = isRight && data.find_first_not_of('a') == std::string_view::npos;
    };
  }
  /// A frame with a message that becomes `size` bytes when it is inflated.
  std::string compressed(std::size_t size) const {
    return busy.frame(0xc1, testing::packed(std::string(size, 'a')));
  }
  /// Turns until so many messages are there; the polite one is served in each.
  int turnsUntil(int wanted) {
    int turns = 0;
    while (messages < wanted && turns < kMostTurns) {
      polite.journal.clear();
      polite.connection->arrive(polite.frame(0x81, "ping"));
      CHECK(polite.journal == "message:ping ");
      turn();
      ++turns;
    }
    return turns;
  }
  void turn() {
    loop.turn();
    busy.connection->settle();
  }
};

}  // namespace

TEST_CASE(
    "websocket turns: a long message is inflated over several turns, and others are served in between") {
  Scene scene;
  scene.busy.connection->arrive(scene.compressed(kLong) + scene.compressed(10));
  CHECK(scene.messages == 0);
  const int turns = scene.turnsUntil(2);
  CHECK(scene.messages == 2);
  CHECK(scene.received == kLong + 10);
  CHECK(scene.isRight);
  // A turn inflates no more than this, and what one step of inflating gives.
  CHECK(turns >= static_cast<int>(kLong / Workerman::Connection::Input::kOutput / 2));
}

TEST_CASE("websocket turns: many messages of some size share the limit of a long one") {
  Scene scene;
  constexpr int kMessages = 100;
  std::string bytes;
  for (int i = 0; i < kMessages; ++i) bytes += scene.compressed(100'000);
  scene.busy.connection->arrive(bytes);
  const int first = scene.messages;
  CHECK(first <= 4);
  const int turns = scene.turnsUntil(kMessages);
  CHECK(scene.messages == kMessages);
  CHECK(scene.received == kMessages * 100'000u);
  CHECK(turns >= kMessages / 8);
}

TEST_CASE("websocket turns: pausing, and ending, in the middle of a message that is being inflated") {
  Scene scene;
  scene.busy.connection->arrive(scene.compressed(kLong) + scene.compressed(10));
  scene.turn();
  SUBCASE("paused and resumed") {
    scene.busy.connection->pauseRecv();
    for (int i = 0; i < 200; ++i) scene.turn();
    CHECK(scene.messages == 0);
    scene.busy.connection->resumeRecv();
    scene.turnsUntil(2);
    CHECK(scene.received == kLong + 10);
  }
  SUBCASE("paused while the peer ends: the messages that came before are not lost") {
    scene.busy.connection->pauseRecv();
    scene.busy.wire->isInEnded = true;
    for (int i = 0; i < 5; ++i) scene.turn();
    scene.busy.connection->resumeRecv();
    scene.turnsUntil(2);
    CHECK(scene.received == kLong + 10);
    scene.turn();
    CHECK(scene.busy.journal == "goodbye:1006 close ");
  }
  SUBCASE("the peer ends: behind the messages") {
    scene.busy.wire->isInEnded = true;
    scene.turnsUntil(2);
    CHECK(scene.received == kLong + 10);
    scene.turn();
    CHECK(scene.busy.journal == "goodbye:1006 close ");
  }
  SUBCASE("destroyed") {
    scene.busy.connection->destroy();
    for (int i = 0; i < 5; ++i) scene.turn();
    CHECK(scene.messages == 0);
    CHECK(scene.busy.journal == "goodbye:1006 close ");
  }
  SUBCASE("closed: the answer to the good-bye is read behind it") {
    scene.busy.connection->close();
    scene.busy.connection->arrive(scene.busy.frame(0x88, std::string("\x03\xe8", 2)));
    for (int i = 0; i < 5; ++i) scene.turn();
    scene.busy.wire->isInEnded = true;
    scene.turn();
    CHECK(scene.messages == 0);
    CHECK(scene.busy.journal == "goodbye:1000 close ");
  }
}

TEST_CASE("websocket turns: paused in the middle of the last message, with nothing behind it but the end") {
  Scene scene;
  scene.busy.connection->arrive(scene.compressed(kLong));
  scene.turn();
  scene.busy.connection->pauseRecv();
  scene.busy.wire->isInEnded = true;
  for (int i = 0; i < 5; ++i) scene.turn();
  scene.busy.connection->resumeRecv();
  scene.turnsUntil(1);
  CHECK(scene.received == kLong);
  scene.turn();
  CHECK(scene.busy.journal == "goodbye:1006 close ");
}

TEST_CASE("websocket turns: a message that grows beyond maxPackageSize is refused") {
  Scene scene;
  scene.busy.connection->maxPackageSize = 1 << 20;
  scene.busy.connection->arrive(scene.compressed((1 << 20) + 1));
  for (int i = 0; i < 100 && scene.busy.journal.empty(); ++i) scene.turn();
  CHECK(scene.messages == 0);
  CHECK(scene.busy.journal == "goodbye:1009 ");
}

TEST_CASE("websocket turns: empty fragments, pings and tiny messages take a turn's share like any message") {
  constexpr int kFrames = 3000;
  constexpr int kShare = 9 * static_cast<int>(Workerman::Connection::Input::kLook);
  const struct {
    unsigned first, next, last;
    const char* name;
  } cases[] = {{0x01, 0x00, 0x80, "fragments"}, {0x89, 0x89, 0x81, "pings"}, {0x8a, 0x8a, 0x81, "pongs"}};
  for (const auto& each : cases) {
    CAPTURE(each.name);
    Scene scene;
    std::string bytes = scene.busy.frame(each.first, "");
    for (int i = 0; i < kFrames; ++i) bytes += scene.busy.frame(each.next, "");
    scene.busy.connection->arrive(bytes + scene.busy.frame(each.last, ""));
    CHECK(scene.messages == 0);
    const int turns = scene.turnsUntil(1);
    CHECK(scene.messages == 1);
    CHECK(turns >= kFrames / kShare);
  }
}
