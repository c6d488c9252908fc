// TLS over a transport in memory.

#include "connection/tls/tls_transport.h"

#include <doctest/doctest.h>
#include <sys/uio.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/loop_fixture.h"
#include "support/memory_transport.h"
#include "support/tls_ends.h"

using namespace Workerman::Connection::detail;
using testing::LoopFixture;
using testing::MemoryTransport;
using testing::TlsContexts;
using testing::Wire;
using Got = Transport::Got;

namespace {

const TlsContexts& contexts() {
  static const TlsContexts made;
  return made;
}

/// One end, and what stands below it.
struct End {
  explicit End(std::unique_ptr<TlsStream> stream)
      : tls(*Workerman::Worker::getEventLoop(), std::move(stream), std::make_unique<MemoryTransport>(wire)) {}

  Transport::Written write(std::string_view bytes) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    return tls.write(&piece, 1);
  }
  /// Reads until there is nothing more for now; `got` is the last answer.
  std::string read(std::size_t room = 1 << 16) {
    std::string all, buffer(room, '\0');
    do {
      last = tls.read(buffer.data(), room);
      all.append(buffer, 0, last.size);
    } while (last.got == Got::More || last.got == Got::Opened ||
             (last.got == Got::Bytes && (last.size != 0 || wire->isInEnded)));
    return all;
  }

  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  TlsTransport tls;
  Transport::Read last;
};

/// A client and a server, and what is on its way between them.
struct Pair {
  LoopFixture loop;
  End client{std::make_unique<TlsStream>(contexts().ofClient, "localhost", "localhost:443")};
  End server{std::make_unique<TlsStream>(contexts().ofServer)};

  /// Moves what was sent, both ways, up to `most` bytes each.
  void carry(std::size_t most = SIZE_MAX) {
    const auto move = [most](Wire& from, Wire& to) {
      to.in += from.out.substr(0, most);
      from.out.erase(0, most);
      to.isInEnded = from.isOutEnded && from.out.empty();
    };
    move(*client.wire, *server.wire);
    move(*server.wire, *client.wire);
  }
  /// The handshake, with at most `most` bytes at a time; the tickets that follow it are read.
  void open(std::size_t most = SIZE_MAX) {
    REQUIRE(client.tls.open().error == 0);
    for (int i = 0; i < 20'000 && !(isOpen() && client.wire->out.empty() && server.wire->out.empty()); ++i) {
      carry(most);
      CHECK(server.read() == "");
      CHECK(client.read() == "");
    }
    REQUIRE(isOpen());
  }
  bool isOpen() const { return client.tls.isOpen() && server.tls.isOpen(); }
};

}  // namespace

TEST_CASE("tls transport: a handshake and bytes in pieces of any size") {
  for (const std::size_t most : {1u, 2u, 5u, 100u, 100'000u}) {
    CAPTURE(most);
    Pair pair;
    CHECK(pair.server.tls.isUnannounced());
    CHECK_FALSE(pair.client.tls.sslInfo().has_value());
    pair.open(most);
    CHECK_FALSE(pair.server.tls.isUnannounced());
    CHECK(pair.client.tls.sslInfo().has_value());
    CHECK(pair.client.write("question").size == 8);
    pair.carry();
    CHECK(pair.server.read(most) == "question");
    CHECK(pair.server.last.got == Got::Bytes);
    CHECK(pair.server.write("answer").size == 6);
    pair.carry();
    CHECK(pair.client.read(most) == "answer");
  }
}

TEST_CASE("tls transport: opened is told once, before any byte") {
  Pair pair;
  REQUIRE(pair.client.tls.open().error == 0);
  char byte[16];
  int opened = 0;
  for (int i = 0; i < 10 && !pair.isOpen(); ++i) {
    pair.carry();
    for (End* end : {&pair.server, &pair.client}) {
      Transport::Read read;
      do {
        read = end->tls.read(byte, sizeof byte);
        CHECK(read.size == 0);
        opened += read.got == Got::Opened;
      } while (read.got == Got::Opened || read.got == Got::More);
    }
  }
  CHECK(opened == 2);
}

TEST_CASE("tls transport: close_notify is the end, and the other way goes on") {
  Pair pair;
  pair.open();
  CHECK(pair.client.write("last").size == 4);
  CHECK(pair.client.tls.endOutput());
  CHECK(pair.client.wire->isOutEnded);
  pair.carry();
  CHECK(pair.server.read() == "last");
  CHECK(pair.server.last.got == Got::Ended);
  CHECK(pair.server.write("still here").size == 10);
  pair.carry();
  CHECK(pair.client.read() == "still here");
}

TEST_CASE("tls transport: a stream that ends without close_notify was cut off") {
  Pair pair;
  pair.open();
  CHECK(pair.client.write("part").size == 4);
  pair.carry();
  pair.server.wire->isInEnded = true;
  CHECK(pair.server.read() == "part");
  CHECK(pair.server.last.got == Got::CutOff);
}

TEST_CASE("tls transport: who ends before a byte has only looked, and later has cut the handshake off") {
  SUBCASE("before") {
    Pair pair;
    pair.server.wire->isInEnded = true;
    CHECK(pair.server.read() == "");
    CHECK(pair.server.last.got == Got::Ended);
  }
  SUBCASE("in the middle") {
    Pair pair;
    REQUIRE(pair.client.tls.open().error == 0);
    pair.server.wire->in = pair.client.wire->out.substr(0, 50);
    pair.server.wire->isInEnded = true;
    CHECK(pair.server.read() == "");
    CHECK(pair.server.last.got == Got::CutOff);
  }
  SUBCASE("a client's server") {
    Pair pair;
    REQUIRE(pair.client.tls.open().error == 0);
    pair.client.wire->isInEnded = true;
    CHECK(pair.client.read() == "");
    CHECK(pair.client.last.got == Got::CutOff);
  }
}

TEST_CASE("tls transport: a request without TLS gets an answer that a browser can show") {
  Pair pair;
  pair.server.wire->in = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
  CHECK(pair.server.read() == "");
  REQUIRE(pair.server.last.got == Got::Failed);
  CHECK(pair.server.tls.describe(pair.server.last.error) == "a request without TLS");
  CHECK(pair.server.wire->out.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(pair.server.wire->out.find("https://") != std::string::npos);
}

TEST_CASE("tls transport: bytes that are no TLS fail, with an alert for the peer and a reason for us") {
  Pair pair;
  pair.server.wire->in = std::string("\x16\x03\x01\x00\x05zzzzz", 10);
  CHECK(pair.server.read() == "");
  REQUIRE(pair.server.last.got == Got::Failed);
  CHECK(pair.server.tls.describe(pair.server.last.error) != "");
  CHECK(pair.server.wire->out.starts_with("\x15"));
  CHECK(pair.server.tls.describe(ECONNRESET) == MemoryTransport(pair.server.wire).describe(ECONNRESET));
}

TEST_CASE("tls transport: a handshake that finds room for one byte at a time") {
  Pair pair;
  pair.client.wire->room = 0;
  pair.server.wire->room = 0;
  CHECK(pair.client.tls.open().isBlocked);
  CHECK(pair.client.tls.waiting() > 0);
  for (int i = 0; i < 20'000 && !(pair.isOpen() && pair.client.tls.waiting() == 0); ++i) {
    for (End* end : {&pair.client, &pair.server}) {
      const std::size_t before = end->tls.waiting();
      end->wire->room = 1;
      const Transport::Written written = end->tls.flush();
      CHECK(written.error == 0);
      CHECK(written.size == (before != 0 ? 1 : 0));
      CHECK(end->tls.waiting() == before - written.size);
      CHECK(written.isBlocked == (end->tls.waiting() != 0));
      end->wire->room = 0;
    }
    pair.carry();
    CHECK(pair.server.read() == "");
    CHECK(pair.server.last.isBlocked == (pair.server.tls.waiting() != 0));
    CHECK(pair.client.read() == "");
  }
  CHECK(pair.isOpen());
}

TEST_CASE("tls transport: bytes that find no room wait encrypted, and nothing more is taken before they go") {
  for (const std::size_t room : {0u, 1u, 20u}) {
    CAPTURE(room);
    Pair pair;
    pair.open();
    pair.client.wire->room = room;
    const Transport::Written first = pair.client.write("question");
    CHECK(first.size == 8);
    CHECK(first.isBlocked);
    const std::size_t waiting = pair.client.tls.waiting();
    CHECK(waiting > 0);
    CHECK(pair.client.write("more").size == 0);
    CHECK(pair.client.tls.waiting() == waiting);
    std::size_t flushed = 0;
    while (pair.client.tls.waiting() != 0) {
      pair.client.wire->room = 3;
      flushed += pair.client.tls.flush().size;
    }
    CHECK(flushed == waiting);
    pair.client.wire->room = SIZE_MAX;
    CHECK(pair.client.write("more").size == 4);
    pair.carry();
    CHECK(pair.server.read() == "questionmore");
  }
}

TEST_CASE("tls transport: reading and dropping do not hide that bytes wait for room") {
  for (const bool isDropped : {false, true}) {
    for (const bool isEmpty : {false, true}) {
      CAPTURE(isDropped);
      CAPTURE(isEmpty);
      Pair pair;
      pair.open();
      pair.client.wire->room = 0;
      CHECK(pair.client.write("question").isBlocked);
      if (!isEmpty) CHECK(pair.server.write("answer").size == 6);
      pair.carry();
      char bytes[100];
      const Transport::Read read =
          isDropped ? pair.client.tls.drop(bytes, sizeof bytes) : pair.client.tls.read(bytes, sizeof bytes);
      CHECK(read.got == Got::Bytes);
      CHECK((read.size == 0) == isEmpty);
      CHECK(read.isBlocked);
    }
  }
}

TEST_CASE("tls transport: of a long text only what is likely to leave is encrypted") {
  Pair pair;
  pair.open();
  pair.client.wire->room = 1000;
  const std::string text(10 << 20, 'x');
  const Transport::Written written = pair.client.write(text);
  CHECK(written.isBlocked);
  CHECK(written.size > 0);
  CHECK(written.size <= 256 * 1024);
  CHECK(pair.client.tls.waiting() >= written.size - 1000);
  CHECK(pair.client.tls.waiting() <= written.size + 16 * 1024);
}

TEST_CASE("tls transport: the end of our output waits behind what waits for room") {
  Pair pair;
  pair.open();
  SUBCASE("behind bytes") {
    pair.client.wire->room = 0;
    CHECK(pair.client.write("last").isBlocked);
  }
  SUBCASE("close_notify itself") {
    pair.client.wire->room = 2;
  }
  CHECK_FALSE(pair.client.tls.endOutput());
  CHECK_FALSE(pair.client.wire->isOutEnded);
  CHECK(pair.client.tls.waiting() > 0);
  pair.client.wire->room = SIZE_MAX;
  CHECK_FALSE(pair.client.tls.flush().isBlocked);
  CHECK(pair.client.tls.endOutput());
  CHECK(pair.client.wire->isOutEnded);
  pair.carry();
  static_cast<void>(pair.server.read());
  CHECK(pair.server.last.got == Got::Ended);
}

TEST_CASE("tls transport: closing says good-bye where that needs no waiting") {
  for (const bool isBlocked : {false, true}) {
    CAPTURE(isBlocked);
    Pair pair;
    pair.open();
    pair.client.wire->room = isBlocked ? 3 : SIZE_MAX;
    CHECK(pair.client.write("text").size == 4);
    pair.client.wire->room = SIZE_MAX;
    const std::size_t before = pair.client.wire->out.size();
    pair.client.tls.close();
    CHECK(pair.client.wire->isClosed);
    CHECK((pair.client.wire->out.size() > before) == !isBlocked);
    pair.carry();
    pair.server.wire->isInEnded = true;
    CHECK(pair.server.read() == (isBlocked ? "" : "text"));
    CHECK(pair.server.last.got == (isBlocked ? Got::CutOff : Got::Ended));
  }
}

TEST_CASE("tls transport: what has been read before TLS begins belongs to it") {
  LoopFixture loop;
  End client(std::make_unique<TlsStream>(contexts().ofClient, "localhost", "localhost:443"));
  REQUIRE(client.tls.open().error == 0);
  const auto wire = std::make_shared<Wire>();
  MemoryTransport below(wire);
  TlsTransport server(*Workerman::Worker::getEventLoop(), std::make_unique<TlsStream>(contexts().ofServer),
                      below, client.wire->out.substr(0, 100));
  char byte[16];
  CHECK(server.unread() >= 100);
  CHECK(server.read(byte, sizeof byte).got == Got::Bytes);
  CHECK(wire->out == "");
  wire->in = client.wire->out.substr(100);
  CHECK(server.read(byte, sizeof byte).got == Got::Bytes);
  CHECK(wire->out != "");
  client.wire->in = wire->out;
  CHECK(client.read() == "");
  CHECK(client.tls.isOpen());
}

TEST_CASE("tls transport: an error from below is told as it is") {
  for (const bool isRead : {true, false}) {
    CAPTURE(isRead);
    Pair pair;
    pair.open();
    pair.client.wire->failAt = pair.client.wire->operations + 1;
    pair.client.wire->error = ECONNRESET;
    if (isRead) {
      static_cast<void>(pair.client.read());
      CHECK(pair.client.last.got == Got::Failed);
      CHECK(pair.client.last.error == ECONNRESET);
    } else {
      CHECK(pair.client.write("text").error == ECONNRESET);
    }
  }
}
