// What a connection makes of what arrives, without a socket.

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "connection/listen/connection_limits.h"
#include "connection/protocol_registry.h"
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
using namespace std::string_literals;

namespace {

/// One connection, and a journal of what it calls.
struct Scene {
  explicit Scene(std::string_view protocol = {}) : connection(MemoryConnection::make(wire, protocol)) {
    journal.record(*connection);
  }
  ~Scene() {
    if (connection) connection->destroy();
  }

  bool isRead() const { return (wire->watched & PollHandle::Readable) != 0; }

  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  Journal journal;
  std::shared_ptr<MemoryConnection> connection;
};

/// A protocol whose messages are no text: a byte each.
struct Number {
  int value = 0;
};
struct LinkInputNumbers {
  static int input(std::string_view) { return 1; }
  static Number decode(std::string_view package) { return {package[0]}; }
  static std::string encode(const Number& number) { return {static_cast<char>(number.value)}; }
};
const Protocol* numbers() {
  Workerman::Protocols::add<LinkInputNumbers>("LinkInputNumbers");
  return detail::requireProtocol("LinkInputNumbers");
}

/// The line for a bad package is told again, whatever tests before have told.
void expectLines(const TcpConnection& connection) {
  detail::ConnectionLimits::burstsOf(connection) = {};
}

}  // namespace

TEST_CASE("link input: messages that are cut at any offset arrive whole") {
  LoopFixture loop;
  const struct {
    std::string protocol, bytes, journal;
  } cases[] = {
      {"text", "one\n\nthree\r\n", "message:one message: message:three "},
      {"frame", "\0\0\0\x07one\0\0\0\x04\0\0\0\x09three"s, "message:one message: message:three "},
  };
  for (const auto& each : cases) {
    for (std::size_t cut = 0; cut <= each.bytes.size(); ++cut) {
      CAPTURE(each.protocol);
      CAPTURE(cut);
      Scene scene(each.protocol);
      scene.connection->arrive(each.bytes.substr(0, cut));
      scene.connection->arrive(each.bytes.substr(cut));
      CHECK(scene.journal.text == each.journal);
      CHECK(scene.connection->getRecvBufferQueueSize() == 0);
      CHECK(scene.connection->bytesRead == static_cast<std::int64_t>(each.bytes.size()));
    }
    for (std::size_t most = 1; most < each.bytes.size(); ++most) {
      CAPTURE(most);
      Scene scene(each.protocol);
      scene.wire->readMost = most;
      scene.connection->arrive(each.bytes);
      CHECK(scene.journal.text == each.journal);
    }
  }
  const std::string bytes = "raw bytes";
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    Scene scene;
    scene.connection->arrive(bytes.substr(0, cut));
    scene.connection->arrive(bytes.substr(cut));
    CHECK(scene.journal.text == "message:" + bytes.substr(0, cut) + " message:" + bytes.substr(cut) + " ");
  }
}

TEST_CASE("link input: a package larger than what is shared grows to its size and arrives whole") {
  LoopFixture loop;
  for (const std::size_t size : {20'000u, 300'000u, 3'000'000u}) {
    CAPTURE(size);
    Scene scene("text");
    const std::string package(size, 'x');
    scene.wire->readMost = 10'000;
    scene.connection->arrive(package + "\nnext\n");
    CHECK(scene.journal.text == "message:" + package + " message:next ");
  }
}

TEST_CASE("link input: as long as one of two holds it, nothing is read and nothing delivered") {
  LoopFixture loop;
  for (const bool userFirst : {true, false}) {
    CAPTURE(userFirst);
    Scene scene("text");
    auto& link = scene.connection->link();
    scene.connection->pauseRecv();
    link.holdInput();
    CHECK(link.isPaused());
    scene.connection->arrive("one\ntwo\n");
    CHECK_FALSE(scene.isRead());
    CHECK(scene.wire->in == "one\ntwo\n");
    userFirst ? scene.connection->resumeRecv() : link.releaseInput();
    CHECK(link.isInputHeld());
    scene.connection->settle();
    CHECK(scene.journal.text == "");
    userFirst ? link.releaseInput() : scene.connection->resumeRecv();
    CHECK_FALSE(link.isInputHeld());
    CHECK(scene.isRead());
    scene.connection->settle();
    CHECK(scene.journal.text == "message:one message:two ");
  }
}

TEST_CASE("link input: what is left when a message pauses it comes with the resuming, before that returns") {
  LoopFixture loop;
  Scene scene("text");
  scene.connection->onMessage = [&](const TcpConnectionPtr& connection, std::string_view data) {
    scene.journal.text += std::string(data) + " ";
    if (data == "one" || data == "two") connection->pauseRecv();
  };
  scene.connection->arrive("one\ntwo\nthree\nfo");
  CHECK(scene.journal.text == "one ");
  CHECK(scene.connection->getRecvBufferQueueSize() == 12);
  scene.connection->resumeRecv();
  CHECK(scene.journal.text == "one two ");
  scene.connection->link().holdInput();
  scene.connection->link().heedInput();
  CHECK(scene.journal.text == "one two three ");
  scene.connection->arrive("ur\n");
  CHECK(scene.journal.text == "one two three four ");
}

TEST_CASE("link input: resumed inside its own message, the rest comes when that returns") {
  LoopFixture loop;
  Scene scene("text");
  int depth = 0;
  scene.connection->onMessage = [&](const TcpConnectionPtr& connection, std::string_view data) {
    CHECK(++depth == 1);
    connection->pauseRecv();
    connection->resumeRecv();
    scene.journal.text += std::string(data) + " ";
    --depth;
  };
  scene.connection->arrive("one\ntwo\nthree\n");
  CHECK(scene.journal.text == "one two three ");
}

/// Holding does not hide the peer's end.
static void expectEndWhileHeld(bool byUser) {
  LoopFixture loop;
  Scene scene("text");
  auto& link = scene.connection->link();
  const auto hold = [&] { byUser ? scene.connection->pauseRecv() : link.holdInput(); };
  const auto release = [&] { byUser ? scene.connection->resumeRecv() : link.releaseInput(); };
  SUBCASE("nothing is unread: at once") {
    hold();
    scene.wire->isInEnded = true;
    scene.connection->settle();
    CHECK(scene.journal.text == "close ");
  }
  SUBCASE("behind what is buffered: after that") {
    scene.connection->onMessage = [&](auto, std::string_view data) {
      scene.journal.text += std::string(data) + " ";
      if (data == "one") hold();
    };
    scene.connection->arrive("one\ntwo\n");
    scene.wire->isInEnded = true;
    scene.connection->settle();
    CHECK(scene.journal.text == "one ");
    release();
    scene.connection->settle();
    CHECK(scene.journal.text == "one two close ");
  }
  SUBCASE("behind a little that is unread: after that") {
    hold();
    scene.wire->isInEnded = true;
    scene.connection->arrive("one\ntwo\nthr");
    CHECK(scene.journal.text == "");
    release();
    scene.connection->settle();
    CHECK(scene.journal.text == "message:one message:two close ");
  }
  SUBCASE("behind much that is unread: it is noticed once, and the bytes wait where they are") {
    hold();
    scene.wire->isInEnded = true;
    const std::string line(40'000, 'x');
    scene.connection->arrive(line + "\n");
    CHECK(scene.journal.text == "");
    CHECK(scene.connection->getRecvBufferQueueSize() == 0);
    CHECK(scene.wire->events() == 0);
    release();
    scene.connection->settle();
    CHECK(scene.journal.text == "message:" + line + " close ");
  }
  SUBCASE("held again behind the first of what is buffered: the end still waits") {
    scene.connection->onMessage = [&](auto, std::string_view data) {
      scene.journal.text += std::string(data) + " ";
      hold();
    };
    scene.wire->isInEnded = true;
    scene.connection->arrive("one\ntwo\nthree\n");
    CHECK(scene.journal.text == "one ");
    release();
    CHECK(scene.journal.text == "one two ");
    release();
    CHECK(scene.journal.text == "one two three ");
    release();
    scene.connection->settle();
    CHECK(scene.journal.text == "one two three close ");
  }
  SUBCASE("a reset is told at once, whatever was unread") {
    hold();
    scene.connection->arrive("one\n");
    scene.wire->pendingError = ECONNRESET;
    scene.connection->settle();
    CHECK(scene.journal.text == "close ");
  }
  CHECK(scene.connection->getStatus() == TcpConnection::STATUS_CLOSED);
  scene.connection = nullptr;
  CHECK(scene.journal.captured.expired());
}

TEST_CASE("link input: the peer's end while the application holds it") {
  expectEndWhileHeld(true);
}

TEST_CASE("link input: the peer's end while the protocol holds it") {
  expectEndWhileHeld(false);
}

TEST_CASE("link input: changing the protocol counts from the next package on") {
  LoopFixture loop;
  Scene scene("text");
  const auto record = [&](auto, std::string_view data) { scene.journal.text += std::string(data) + " "; };
  scene.connection->onMessage = [&](auto, std::string_view data) {
    scene.journal.text += std::string(data) + " ";
    if (data != "frame") return;
    CHECK(scene.connection->link().changeProtocol(detail::requireProtocol("frame")) == "");
    scene.connection->onMessage = record;
  };
  scene.connection->arrive("one\nframe\n\0\0\0\x07two\0\0\0\x09thr"s);
  CHECK(scene.journal.text == "one frame two ");
  scene.connection->arrive("ee");
  CHECK(scene.journal.text == "one frame two three ");
  CHECK(scene.connection->protocol == "frame");
  CHECK(scene.connection->link().changeProtocol(nullptr) == "");
  scene.connection->arrive("raw");
  CHECK(scene.journal.text == "one frame two three raw ");
}

TEST_CASE(
    "link input: a protocol whose messages the callback does not take is refused, and nothing changes") {
  LoopFixture loop;
  Scene scene("text");
  const std::string why = scene.connection->link().changeProtocol(numbers());
  CAPTURE(why);
  CHECK(why.find("Number") != std::string::npos);
  CHECK(why.find("std::string_view") != std::string::npos);
  CHECK(scene.connection->protocol == "text");
  scene.connection->arrive("still text\n");
  CHECK(scene.journal.text == "message:still text ");
  int value = 0;
  scene.connection->onMessage = [&](auto, const Number& number) { value = number.value; };
  CHECK(scene.connection->link().changeProtocol(numbers()) == "");
  scene.connection->arrive("\x2a");
  CHECK(value == 42);
}

TEST_CASE("link input: a protocol of the other side is refused, and nothing changes") {
  LoopFixture loop;
  Scene scene("text");
  const std::string why = scene.connection->link().changeProtocol(detail::requireProtocol("ws"));
  CHECK_MESSAGE(why.starts_with("ws:// "), why);
  CHECK_MESSAGE(why.find("websocket://") != std::string::npos, why);
  CHECK(scene.connection->protocol == "text");
}

TEST_CASE(
    "link input: a protocol that was assigned and does not fit ends that connection alone, and says so") {
  LoopFixture loop;
  Scene scene("text");
  Scene other("text");
  expectLines(*scene.connection);
  numbers();
  CapturedStderr log;
  scene.connection->protocol = "LinkInputNumbers";
  scene.connection->arrive("12");
  CHECK(scene.journal.text == "close ");
  CHECK(log.text().find("Protocol LinkInputNumbers Error package.") != std::string::npos);
  CHECK(log.text().find("Number") != std::string::npos);
  other.connection->arrive("one\n");
  CHECK(other.journal.text == "message:one ");
  loop.turn();
  CHECK(other.connection->getStatus() == TcpConnection::STATUS_ESTABLISHED);
}

TEST_CASE("link input: a bad package ends the connection, with what came before it delivered") {
  LoopFixture loop;
  Scene scene("frame");
  expectLines(*scene.connection);
  CapturedStderr log;
  scene.connection->arrive("\0\0\0\x07one\0\0\0\0\0\0\0\x07two"s);
  CHECK(scene.journal.text == "message:one close ");
  CHECK(log.text().find("Protocol frame Error package.") != std::string::npos);
  CHECK(scene.wire->isClosed);
}

TEST_CASE("link input: a package longer than maxPackageSize is a bad one") {
  LoopFixture loop;
  for (const std::size_t size : {9u, 10u, 11u}) {
    CAPTURE(size);
    Scene scene("text");
    CapturedStderr log;
    scene.connection->maxPackageSize = 10;
    const std::string text(size - 1, 'x');
    scene.connection->arrive(text + "\n");
    CHECK(scene.journal.text == (size <= 10 ? "message:" + text + " " : "close "));
  }
}
