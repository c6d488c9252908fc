// How a connection ends, without a socket.

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "connection/listen/connection_limits.h"
#include "support/captured_stderr.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/memory_transport.h"

using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::Journal;
using testing::LoopFixture;
using testing::MemoryConnection;
using testing::Wire;
using Workerman::detail::PollHandle;

namespace {

using Way = void (*)(TcpConnection&);
struct NamedWay {
  const char* name;
  Way run;
};
const NamedWay kClose{"close", [](TcpConnection& connection) { connection.close(); }};
const NamedWay kEnd{"end", [](TcpConnection& connection) { connection.end(); }};
const NamedWay kDestroy{"destroy", [](TcpConnection& connection) { connection.destroy(); }};
const std::vector<NamedWay> kWays{kClose, kEnd, kDestroy};

struct Scene {
  explicit Scene(std::string_view protocol = {}) : connection(MemoryConnection::make(wire, protocol)) {
    journal.record(*connection);
  }
  ~Scene() { connection->destroy(); }

  bool isClosed() const { return connection->getStatus() == TcpConnection::STATUS_CLOSED; }
  /// The peer takes what it gets, and sends no more.
  void finish() {
    wire->room = SIZE_MAX;
    connection->settle();
    wire->isInEnded = true;
    connection->settle();
  }

  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  Journal journal;
  std::shared_ptr<MemoryConnection> connection;
};

unsigned count(const std::string& text, std::string_view word) {
  unsigned found = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++found;
  return found;
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Timers count from the loop's time, which is that of its last look at the clock, in milliseconds.
constexpr double kClockSlack = 0.002;

}  // namespace

TEST_CASE("link closing: close() with nothing queued ends at once") {
  LoopFixture loop;
  Scene scene;
  scene.connection->send("all");
  scene.connection->close();
  CHECK(scene.journal.text == "close ");
  CHECK(scene.wire->out == "all");
  CHECK(scene.wire->isClosed);
  CHECK(scene.isClosed());
  CHECK(scene.journal.captured.expired());
}

TEST_CASE("link closing: close() lets what is queued leave, and reads no more") {
  LoopFixture loop;
  Scene scene;
  scene.wire->room = 1;
  scene.connection->close("all");
  CHECK(scene.connection->getStatus() == TcpConnection::STATUS_CLOSING);
  CHECK(scene.wire->watched == PollHandle::Writable);
  scene.wire->in = "unread";
  scene.wire->room = 1;
  scene.connection->settle();
  CHECK(scene.journal.text == "");
  scene.wire->room = SIZE_MAX;
  scene.connection->settle();
  CHECK(scene.wire->out == "all");
  CHECK(scene.wire->in == "unread");
  CHECK(scene.journal.text == "drain close ");
  CHECK(scene.wire->isClosed);
}

TEST_CASE(
    "link closing: end() sends the end behind what is queued, and drops what comes until the peer ends") {
  LoopFixture loop;
  for (const bool isQueued : {false, true}) {
    CAPTURE(isQueued);
    Scene scene;
    scene.wire->room = isQueued ? 0 : SIZE_MAX;
    scene.connection->end("all");
    CHECK(scene.connection->getStatus() == TcpConnection::STATUS_ENDING);
    CHECK(scene.wire->isOutEnded == !isQueued);
    scene.wire->room = SIZE_MAX;
    scene.connection->arrive("dropped");
    CHECK(scene.wire->in == "");
    CHECK(scene.wire->out == "all");
    CHECK(scene.wire->isOutEnded);
    CHECK_FALSE(scene.wire->isClosed);
    scene.wire->isInEnded = true;
    scene.connection->settle();
    CHECK(scene.journal.text == (isQueued ? "drain close " : "close "));
    CHECK(scene.isClosed());
  }
}

TEST_CASE("link closing: destroy() ends at once, and what is queued is lost") {
  LoopFixture loop;
  Scene scene;
  scene.wire->room = 1;
  scene.connection->send("all");
  scene.connection->destroy();
  CHECK(scene.journal.text == "close ");
  CHECK(scene.wire->out == "a");
  CHECK(scene.wire->isClosed);
  CHECK(scene.connection->bufferIsEmpty());
}

TEST_CASE("link closing: every way to end after every other tells onClose once and gives everything back") {
  LoopFixture loop;
  for (const NamedWay& first : kWays) {
    for (const NamedWay& second : kWays) {
      for (const bool isQueued : {false, true}) {
        CAPTURE(first.name);
        CAPTURE(second.name);
        CAPTURE(isQueued);
        Scene scene;
        scene.wire->room = isQueued ? 0 : SIZE_MAX;
        scene.connection->send("all");
        first.run(*scene.connection);
        second.run(*scene.connection);
        const bool isDestroyed = first.run == kDestroy.run || second.run == kDestroy.run;
        CHECK((scene.isClosed() || !isDestroyed));
        CHECK(scene.connection->send("more") == false);
        scene.finish();
        CHECK(scene.isClosed());
        CHECK(count(scene.journal.text, "close ") == 1);
        CHECK(scene.journal.text.ends_with("close "));
        CHECK(scene.wire->out == (isDestroyed && isQueued ? "" : "all"));
        CHECK(scene.journal.captured.expired());
      }
    }
  }
}

TEST_CASE("link closing: the peer's end and its reset in every phase") {
  LoopFixture loop;
  const NamedWay none{"none", [](TcpConnection&) {}};
  for (const NamedWay& before : {none, kClose, kEnd}) {
    for (const bool isReset : {false, true}) {
      CAPTURE(before.name);
      CAPTURE(isReset);
      Scene scene;
      scene.wire->room = 1;
      scene.connection->send("all");
      before.run(*scene.connection);
      if (isReset) {
        scene.wire->room = SIZE_MAX;
        scene.wire->failAt = scene.wire->operations + 1;
      }
      scene.wire->isInEnded = true;
      scene.connection->settle();
      CHECK(scene.isClosed() == isReset);
      scene.wire->room = SIZE_MAX;
      scene.connection->settle();
      CHECK(scene.isClosed());
      CHECK(scene.wire->out == (isReset ? "a" : "all"));
      CHECK(count(scene.journal.text, "close ") == 1);
    }
  }
}

TEST_CASE("link closing: inside every callback, in every way") {
  LoopFixture loop;
  const std::vector<std::string> callbacks{"connect", "message", "full", "drain", "error", "close"};
  for (const std::string& callback : callbacks) {
    for (const NamedWay& way : kWays) {
      CAPTURE(callback);
      CAPTURE(way.name);
      Scene scene("text");
      auto& connection = *scene.connection;
      int closed = 0;
      int ran = 0;
      const auto act = [&] {
        ++ran;
        way.run(connection);
      };
      connection.onClose = [&] { ++closed; };
      connection.maxSendBufferSize = 4;
      if (callback == "connect") connection.onConnect = act;
      if (callback == "message") connection.onMessage = act;
      if (callback == "full") connection.onBufferFull = act;
      if (callback == "drain") connection.onBufferDrain = act;
      if (callback == "error") connection.onError = act;
      if (callback == "close") {
        connection.onClose = [&] {
          ++closed;
          act();
        };
      }
      connection.link().startAccepted();
      connection.arrive("one\ntwo\n");
      scene.wire->room = 0;
      connection.send("full");
      connection.send("dropped");
      scene.wire->room = SIZE_MAX;
      connection.settle();
      if (callback == "close") connection.close();
      CHECK(ran == 1);
      scene.finish();
      CHECK(closed == 1);
      CHECK(scene.isClosed());
      CHECK(scene.wire->isClosed);
    }
  }
}

TEST_CASE("link closing: the last handle may go in onClose") {
  LoopFixture loop;
  for (const NamedWay& way : kWays) {
    CAPTURE(way.name);
    const auto wire = std::make_shared<Wire>();
    auto connection = MemoryConnection::make(wire, "text");
    const std::weak_ptr<MemoryConnection> weak = connection;
    int closed = 0;
    connection->onClose = [&] {
      ++closed;
      connection = nullptr;
    };
    connection->onMessage = [&way](const TcpConnectionPtr& self, std::string_view) {
      self->send("bye");
      way.run(*self);
    };
    wire->in = "one\n";
    wire->isInEnded = true;
    for (int i = 0; i < 3 && !wire->isClosed; ++i) weak.lock()->step();
    CHECK(closed == 1);
    CHECK(wire->out == "bye\n");
    CHECK(weak.expired());
  }
}

TEST_CASE("link closing: a peer that takes nothing is ended after closeTimeout, with a line in the log") {
  constexpr double kTimeout = 0.02;
  for (const NamedWay& way : {kClose, kEnd}) {
    CAPTURE(way.name);
    LoopFixture loop;
    Scene scene;
    detail::ConnectionLimits::burstsOf(*scene.connection) = {};
    CapturedStderr log;
    scene.connection->closeTimeout = kTimeout;
    scene.wire->room = 1;
    scene.connection->send("queued");
    const auto start = std::chrono::steady_clock::now();
    loop.turn();
    way.run(*scene.connection);
    CHECK_FALSE(scene.isClosed());
    CHECK(loop.runUntil([&] { return scene.isClosed(); }));
    CHECK(secondsSince(start) >= kTimeout - kClockSlack);
    CHECK(scene.journal.text == "close ");
    CHECK(scene.wire->out == "q");
    CHECK_FALSE(scene.wire->isOutEnded);
    CHECK(count(log.text(), "with 5 bytes unsent: it has taken none for 0.02 seconds (closeTimeout)") == 1);
  }
}

TEST_CASE("link closing: one that takes a byte, or acknowledges one, before each look is not ended") {
  for (const NamedWay& way : {kClose, kEnd}) {
    for (const bool onlyAcknowledges : {false, true}) {
      CAPTURE(way.name);
      CAPTURE(onlyAcknowledges);
      LoopFixture loop;
      Scene scene;
      CapturedStderr log;
      scene.connection->closeTimeout = 0.005;
      scene.connection->lingerTimeout = 0;
      scene.wire->room = 10;
      scene.connection->send(std::string(30, 'x'));
      scene.wire->unacknowledged = 10;
      way.run(*scene.connection);
      int looks = 0;
      // The loop turns when a timer has run, which is the look.
      CHECK(loop.runUntil([&] {
        if (looks == 10) scene.wire->room = SIZE_MAX;
        if (looks < 10) onlyAcknowledges ? --scene.wire->unacknowledged : ++scene.wire->room;
        scene.connection->settle();
        ++looks;
        return scene.isClosed();
      }));
      CHECK(looks > 10);
      CHECK(scene.wire->out.size() == 30);
      CHECK(log.text() == "");
    }
  }
}

TEST_CASE("link closing: without a closeTimeout nobody is ended") {
  LoopFixture loop;
  Scene scene;
  scene.connection->closeTimeout = 0;
  scene.wire->room = 0;
  scene.connection->close("queued");
  bool isOver = false;
  Workerman::Worker::getEventLoop()->delay(0.02, [&] { isOver = true; });
  CHECK(loop.runUntil([&] { return isOver; }));
  CHECK_FALSE(scene.isClosed());
  scene.finish();
  CHECK(scene.isClosed());
}

TEST_CASE(
    "link closing: a peer that does not end after our end is waited for as long as lingerTimeout says") {
  LoopFixture loop;
  for (const double timeout : {0.0, 0.02}) {
    CAPTURE(timeout);
    Scene scene;
    scene.connection->lingerTimeout = timeout;
    const auto start = std::chrono::steady_clock::now();
    loop.turn();
    scene.connection->end("all");
    CHECK(scene.isClosed() == (timeout == 0));
    CHECK(loop.runUntil([&] {
      scene.connection->arrive("more");
      return scene.isClosed();
    }));
    CHECK(secondsSince(start) >= timeout - kClockSlack);
    CHECK(scene.wire->isOutEnded);
    CHECK(scene.wire->out == "all");
    CHECK(scene.journal.text == "close ");
  }
}
