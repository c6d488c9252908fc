// How what a connection sends leaves it, without a socket.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/memory_transport.h"

using namespace Workerman::Connection;
using detail::FileSource;
using detail::ProducedSource;
using testing::Journal;
using testing::LoopFixture;
using testing::MemoryConnection;
using testing::Wire;
using Workerman::detail::Descriptor;
using Workerman::detail::PollHandle;

namespace {

struct Scene {
  explicit Scene(std::string_view protocol = {}) : connection(MemoryConnection::make(wire, protocol)) {
    journal.record(*connection);
  }
  ~Scene() { connection->destroy(); }

  bool waitsForRoom() const { return (wire->watched & PollHandle::Writable) != 0; }
  /// The peer takes so many bytes.
  void take(std::size_t size) {
    wire->room = size;
    connection->settle();
  }

  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  Journal journal;
  std::shared_ptr<MemoryConnection> connection;
};

/// A file that is gone as soon as it is closed.
std::unique_ptr<FileSource> fileOf(const std::string& content) {
  char name[] = "/tmp/workerman_link_output_XXXXXX";
  Descriptor file(::mkstemp(name));
  REQUIRE(file.get() >= 0);
  ::unlink(name);
  REQUIRE(::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  return std::make_unique<FileSource>(std::move(file), 0, content.size());
}

/// What a producer has for its connection; not `isOver`: more may come.
struct Supply {
  std::string next{}, given{};
  bool isOver = false;
  unsigned asked = 0;
};
std::unique_ptr<ProducedSource> producer(const std::shared_ptr<Supply>& supply) {
  return std::make_unique<ProducedSource>([supply]() -> std::optional<std::string_view> {
    ++supply->asked;
    if (supply->isOver && supply->next.empty()) return std::nullopt;
    supply->given = std::exchange(supply->next, {});
    return supply->given;
  });
}

}  // namespace

TEST_CASE("link output: send() tells whether it has left, waits or is dropped") {
  LoopFixture loop;
  Scene scene;
  CHECK(scene.connection->send("one") == true);
  scene.wire->room = 1;
  CHECK(scene.connection->send("two") == nullptr);
  CHECK(scene.connection->getSendBufferQueueSize() == 2);
  CHECK(scene.waitsForRoom());
  CHECK(scene.connection->send("three") == nullptr);
  CHECK(scene.wire->out == "onet");
  scene.take(SIZE_MAX);
  CHECK(scene.wire->out == "onetwothree");
  CHECK(scene.connection->bufferIsEmpty());
  CHECK_FALSE(scene.waitsForRoom());
  CHECK(scene.connection->bytesWritten == 11);
  CHECK(scene.journal.text == "drain ");
  scene.connection->destroy();
  CHECK(scene.connection->send("four") == false);
}

TEST_CASE("link output: the buffer is full from maxSendBufferSize on, and what comes then is dropped") {
  constexpr std::size_t kLimit = 10;
  LoopFixture loop;
  for (const std::size_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    CAPTURE(size);
    const bool isFull = size >= kLimit;
    Scene scene;
    scene.connection->maxSendBufferSize = kLimit;
    scene.wire->room = 0;
    const std::string bytes(size, 'x');
    // A single message is taken whatever its size.
    CHECK(scene.connection->send(bytes) == nullptr);
    CHECK(scene.journal.text == (isFull ? "full " : ""));
    if (isFull) {
      CHECK(scene.connection->send("y") == false);
      CHECK(scene.journal.text == "full error:2 ");
      CHECK(scene.journal.error == "send buffer full and drop package");
    } else {
      CHECK(scene.connection->send("y") == nullptr);
      CHECK(scene.journal.text == "full ");
    }
    const std::string before = scene.journal.text;
    const std::size_t queued = scene.connection->getSendBufferQueueSize();
    scene.take(queued - 1);
    CHECK(scene.journal.text == before);
    scene.take(SIZE_MAX);
    CHECK(scene.journal.text == before + "drain ");
    CHECK(scene.wire->out == bytes + (isFull ? "" : "y"));
  }
}

TEST_CASE("link output: full and drained each time it is") {
  LoopFixture loop;
  Scene scene;
  scene.connection->maxSendBufferSize = 4;
  for (int i = 0; i < 3; ++i) {
    scene.journal.text.clear();
    scene.wire->room = 0;
    CHECK(scene.connection->send("abc") == nullptr);
    CHECK(scene.journal.text == "");
    CHECK(scene.connection->send("d") == nullptr);
    CHECK(scene.journal.text == "full ");
    scene.take(2);
    CHECK(scene.connection->send("ef") == nullptr);
    CHECK(scene.journal.text == "full full ");
    scene.take(SIZE_MAX);
    CHECK(scene.journal.text == "full full drain ");
  }
  CHECK(scene.wire->out == "abcdefabcdefabcdef");
}

TEST_CASE("link output: what a callback sends leaves in one write") {
  LoopFixture loop;
  Scene scene("text");
  scene.connection->onMessage = [](const TcpConnectionPtr& connection, std::string_view data) {
    CHECK(connection->send(data) == true);
    CHECK(connection->send("again") == true);
  };
  scene.connection->arrive("one\ntwo\n");
  CHECK(scene.wire->out == "one\nagain\ntwo\nagain\n");
  CHECK(scene.wire->writes == 1);
}

TEST_CASE("link output: corked bytes that find little room are queued, and told as if they had been sent") {
  LoopFixture loop;
  for (std::size_t room = 0; room < 12; ++room) {
    CAPTURE(room);
    Scene scene("text");
    scene.connection->maxSendBufferSize = 6;
    scene.connection->onMessage = [](const TcpConnectionPtr& connection, std::string_view data) {
      connection->send(data);
      connection->send(data);
    };
    scene.wire->room = room;
    scene.connection->arrive("12345\n");
    CHECK(scene.wire->out.size() == room);
    CHECK(scene.connection->getSendBufferQueueSize() == 12 - room);
    CHECK(scene.connection->bytesWritten == static_cast<std::int64_t>(room));
    CHECK(scene.journal.text == (12 - room >= 6 ? "full " : ""));
    scene.take(SIZE_MAX);
    CHECK(scene.wire->out == "12345\n12345\n");
    CHECK(scene.journal.has("drain "));
  }
}

TEST_CASE("link output: two that are sent to in turn keep their own order") {
  LoopFixture loop;
  Scene first("text");
  Scene second("text");
  first.connection->onMessage = [&](const TcpConnectionPtr& connection, std::string_view) {
    for (int i = 0; i < 3; ++i) {
      connection->send(std::to_string(i));
      second.connection->send(std::to_string(i));
    }
  };
  first.connection->arrive("go\n");
  CHECK(first.wire->out == "0\n1\n2\n");
  CHECK(second.wire->out == "0\n1\n2\n");
}

TEST_CASE("link output: files and producers leave in order with what is sent, whatever room there is") {
  LoopFixture loop;
  const std::string content(5000, 'f');
  for (const std::size_t room : {1u, 2u, 3u, 7u, 1000u, 100'000u}) {
    CAPTURE(room);
    Scene scene;
    auto& link = scene.connection->link();
    const auto supply = std::make_shared<Supply>(Supply{.next = "produced", .isOver = true});
    scene.wire->room = 0;
    CHECK(scene.connection->send("before ") == nullptr);
    CHECK(link.transmit(fileOf(content)) == nullptr);
    CHECK(scene.connection->send(" between ") == nullptr);
    CHECK(link.transmit(producer(supply)) == nullptr);
    CHECK(scene.connection->send(" behind") == nullptr);
    CHECK(supply->asked == 0);
    while (!scene.connection->bufferIsEmpty() || scene.waitsForRoom()) scene.take(room);
    CHECK(scene.wire->out == "before " + content + " between produced behind");
    CHECK(scene.journal.text == "drain ");
    CHECK(scene.connection->bytesWritten == static_cast<std::int64_t>(scene.wire->out.size()));
  }
}

TEST_CASE("link output: a source that finds room leaves at once, behind what is corked") {
  LoopFixture loop;
  Scene scene("text");
  scene.connection->onMessage = [](const TcpConnectionPtr& connection, std::string_view data) {
    connection->send(data);
    CHECK(detail::Link::of(*connection).transmit(fileOf("file\n")) == true);
    connection->send("behind");
  };
  scene.connection->arrive("one\n");
  CHECK(scene.wire->out == "one\nfile\nbehind\n");
}

TEST_CASE("link output: a producer that has nothing is not asked again until it is woken") {
  LoopFixture loop;
  Scene scene;
  auto& link = scene.connection->link();
  const auto supply = std::make_shared<Supply>();
  CHECK(link.transmit(producer(supply)) == nullptr);
  CHECK(supply->asked == 1);
  CHECK_FALSE(scene.waitsForRoom());
  CHECK(scene.connection->send("behind") == nullptr);
  scene.connection->settle();
  CHECK(supply->asked == 1);
  CHECK(scene.wire->out == "");
  supply->next = "one ";
  link.sourceReady();
  CHECK(scene.waitsForRoom());
  scene.connection->settle();
  CHECK(scene.wire->out == "one ");
  CHECK(scene.journal.text == "");
  supply->next = "two ";
  supply->isOver = true;
  link.sourceReady();
  scene.connection->settle();
  CHECK(scene.wire->out == "one two behind");
  CHECK(scene.journal.text == "drain ");
  CHECK(supply.use_count() == 1);
}

TEST_CASE("link output: a source that fails loses the connection, and one that has no connection is let go") {
  LoopFixture loop;
  Scene scene;
  auto& link = scene.connection->link();
  CHECK(link.transmit(std::make_unique<ProducedSource>(
            []() -> std::optional<std::string_view> { throw std::runtime_error("none"); })) == false);
  CHECK(scene.journal.has("close "));
  const auto supply = std::make_shared<Supply>();
  CHECK(link.transmit(producer(supply)) == false);
  CHECK(supply.use_count() == 1);
  CHECK(supply->asked == 0);
}

TEST_CASE("link output: nothing is taken after the end") {
  LoopFixture loop;
  const auto supply = std::make_shared<Supply>();
  for (const bool isQueued : {false, true}) {
    CAPTURE(isQueued);
    Scene scene;
    scene.wire->room = isQueued ? 0 : SIZE_MAX;
    scene.connection->send("last");
    scene.connection->end();
    CHECK(scene.connection->send("more") == false);
    CHECK(scene.connection->link().transmit(producer(supply)) == false);
    CHECK(supply.use_count() == 1);
    scene.take(SIZE_MAX);
    CHECK(scene.wire->out == "last");
    CHECK(scene.wire->isOutEnded);
  }
}
