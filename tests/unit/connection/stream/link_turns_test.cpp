// A connection's share of a turn of the loop, without a socket and without a clock.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/memory_transport.h"

using namespace Workerman::Connection;
using testing::LoopFixture;
using testing::MemoryConnection;
using testing::Wire;

namespace {

constexpr int kMessages = 3000;
/// No turn gives more messages than this, however fast they are.
constexpr int kShare = 9 * static_cast<int>(Input::kLook);

/// A peer that sends a lot of tiny messages in one read, "0" to "2999".
struct Flood {
  Flood() {
    connection->onMessage = [this](const TcpConnectionPtr&, std::string_view data) {
      isInOrder = isInOrder && data == std::to_string(count);
      ++count;
      if (onCount) onCount();
    };
    connection->onClose = [this] { ++closed; };
    for (int i = 0; i < kMessages; ++i) wire->in += std::to_string(i) + "\n";
  }
  ~Flood() { connection->destroy(); }

  /// What one more turn brings.
  int turn() {
    const int before = count;
    loop.turn();
    connection->settle();
    return count - before;
  }

  LoopFixture loop;
  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  std::shared_ptr<MemoryConnection> connection = MemoryConnection::make(wire, "text");
  int count = 0;
  int closed = 0;
  bool isInOrder = true;
  std::function<void()> onCount;
};

}  // namespace

TEST_CASE("link turns: a flood of tiny messages is delivered in several turns, in order") {
  Flood flood;
  flood.connection->settle();
  CHECK(flood.count > 0);
  CHECK(flood.count <= kShare);
  CHECK(flood.connection->link().isInputHeld());
  CHECK_FALSE(flood.connection->link().isPaused());
  int turns = 1;
  int most = 0;
  while (flood.count < kMessages && turns < kMessages) {
    most = std::max(most, flood.turn());
    ++turns;
  }
  CHECK(flood.count == kMessages);
  CHECK(flood.isInOrder);
  CHECK(most <= kShare);
  CHECK(turns >= kMessages / kShare);
  CHECK(flood.connection->getRecvBufferQueueSize() == 0);
  CHECK_FALSE(flood.connection->link().isInputHeld());
}

TEST_CASE("link turns: another connection is served in between") {
  Flood flood;
  const auto wire = std::make_shared<Wire>();
  const auto polite = MemoryConnection::make(wire, "text");
  std::vector<int> servedAt;
  polite->onMessage = [&] { servedAt.push_back(flood.count); };
  flood.connection->settle();
  for (int i = 0; i < 3; ++i) {
    polite->arrive("ping\n");
    flood.turn();
  }
  REQUIRE(servedAt.size() == 3);
  CHECK(servedAt[0] < servedAt[1]);
  CHECK(servedAt[1] < servedAt[2]);
  CHECK(servedAt[2] < kMessages);
  polite->destroy();
}

TEST_CASE("link turns: two floods share the turns") {
  Flood flood;
  const auto wire = std::make_shared<Wire>();
  const auto other = MemoryConnection::make(wire, "text");
  int count = 0;
  other->onMessage = [&] { ++count; };
  wire->in = flood.wire->in;
  other->settle();
  flood.connection->settle();
  for (int i = 0; i < 3; ++i) {
    const int before = count;
    CHECK(flood.turn() > 0);
    CHECK(count > before);
    CHECK(count - before <= kShare);
  }
  other->destroy();
}

TEST_CASE("link turns: what is read waits for the turn, and more is not read before it") {
  Flood flood;
  flood.connection->settle();
  const std::size_t buffered = flood.connection->getRecvBufferQueueSize();
  flood.connection->arrive("3000\n");
  CHECK(flood.wire->in == "3000\n");
  CHECK(flood.connection->getRecvBufferQueueSize() == buffered);
  while (flood.count < kMessages + 1 && flood.turn() != 0) {
  }
  CHECK(flood.count == kMessages + 1);
  CHECK(flood.isInOrder);
}

TEST_CASE("link turns: the peer's end waits behind what is left") {
  Flood flood;
  flood.wire->isInEnded = true;
  flood.connection->settle();
  CHECK(flood.closed == 0);
  while (flood.count < kMessages && flood.turn() != 0) CHECK(flood.count <= kMessages);
  CHECK(flood.count == kMessages);
  CHECK(flood.isInOrder);
  CHECK(flood.closed == 1);
}

TEST_CASE("link turns: pausing between two turns and in the middle of one") {
  Flood flood;
  flood.connection->settle();
  const int first = flood.count;
  flood.connection->pauseRecv();
  for (int i = 0; i < 3; ++i) CHECK(flood.turn() == 0);
  flood.onCount = [&] {
    if (flood.count == first + 10) flood.connection->pauseRecv();
  };
  flood.connection->resumeRecv();
  CHECK(flood.count == first + 10);
  for (int i = 0; i < 3; ++i) CHECK(flood.turn() == 0);
  flood.connection->resumeRecv();
  CHECK(flood.count > first + 10);
  while (flood.count < kMessages && flood.turn() != 0) {
  }
  CHECK(flood.count == kMessages);
  CHECK(flood.isInOrder);
}

TEST_CASE("link turns: pausing and resuming gives no larger share of the turns that follow") {
  Flood flood;
  flood.connection->settle();
  for (int i = 0; i < 3; ++i) {
    flood.connection->pauseRecv();
    flood.connection->resumeRecv();
  }
  const int before = flood.count;
  REQUIRE(before < kMessages - 2 * kShare);
  CHECK(flood.turn() <= kShare);
  CHECK(flood.turn() <= kShare);
  while (flood.count < kMessages && flood.turn() != 0) {
  }
  CHECK(flood.count == kMessages);
  CHECK(flood.isInOrder);
}

TEST_CASE("link turns: nothing is delivered behind a close, in a turn and between turns") {
  const struct {
    const char* name;
    void (*end)(MemoryConnection&);
  } ways[] = {
      {"destroy", [](MemoryConnection& connection) { connection.destroy(); }},
      {"close", [](MemoryConnection& connection) { connection.close(); }},
      {"end", [](MemoryConnection& connection) { connection.end(); }},
  };
  for (const auto& way : ways) {
    for (const bool isInside : {true, false}) {
      CAPTURE(way.name);
      CAPTURE(isInside);
      Flood flood;
      flood.connection->lingerTimeout = 0;
      flood.connection->settle();
      int last = flood.count;
      if (isInside) {
        last += 10;
        flood.onCount = [&] {
          if (flood.count == last) way.end(*flood.connection);
        };
        flood.turn();
      } else {
        way.end(*flood.connection);
      }
      for (int i = 0; i < 3; ++i) flood.turn();
      CHECK(flood.count == last);
      CHECK(flood.closed == 1);
      CHECK(flood.wire->isClosed);
    }
  }
}

TEST_CASE("link turns: a handle is not needed for the next turn, and the loop closes with one waiting") {
  LoopFixture loop;
  const auto wire = std::make_shared<Wire>();
  int count = 0;
  int closed = 0;
  {
    const auto connection = MemoryConnection::make(wire, "text");
    connection->onMessage = [&] { ++count; };
    connection->onClose = [&] { ++closed; };
    for (int i = 0; i < kMessages; ++i) wire->in += "x\n";
    connection->settle();
  }
  const int first = count;
  CHECK(first <= kShare);
  loop.turn();
  CHECK(count > first);
  CHECK(count < kMessages);
  Workerman::Worker::stopAll();
  const int last = count;
  loop.turn();
  CHECK(count == last);
  CHECK(closed == 1);
}

TEST_CASE(
    "link turns: ended while it was paused between two turns, what comes is dropped until the peer ends") {
  Flood flood;
  flood.connection->settle();
  flood.connection->pauseRecv();
  flood.turn();
  const int last = flood.count;
  flood.connection->end();
  flood.connection->arrive("more\n");
  CHECK(flood.wire->in == "");
  flood.wire->isInEnded = true;
  flood.connection->settle();
  CHECK(flood.closed == 1);
  CHECK(flood.count == last);
}
