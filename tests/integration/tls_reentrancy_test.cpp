// TLS connections that are closed, destroyed, reconnected or lose their worker inside their callbacks;
// memory.

#include <doctest/doctest.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

#include "../support/captured_stderr.h"
#include "../support/tls_fixture.h"
#include "../support/tls_peer.h"

/// The sanitizers', which replace malloc(); null without them.
extern "C" __attribute__((weak)) std::size_t __sanitizer_get_current_allocated_bytes();

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnection;
using Connection::AsyncTcpConnectionPtr;
using Connection::TcpConnection;
using Connection::TcpConnectionPtr;

namespace {

/// What a callback does to its connection.
struct Deed {
  const char* name;
  std::function<void(const TcpConnectionPtr&)> run;
};

const std::vector<Deed> kDeeds = {
    {"close", [](const TcpConnectionPtr& connection) { connection->close(); }},
    {"close with text", [](const TcpConnectionPtr& connection) { connection->close("bye"); }},
    {"end", [](const TcpConnectionPtr& connection) { connection->end("bye"); }},
    {"destroy", [](const TcpConnectionPtr& connection) { connection->destroy(); }},
    {"close twice", [](const TcpConnectionPtr& connection) { connection->close(), connection->close(); }},
    {"end and destroy", [](const TcpConnectionPtr& connection) { connection->end(), connection->destroy(); }},
    {"pause and resume",
     [](const TcpConnectionPtr& connection) { connection->pauseRecv(), connection->resumeRecv(); }},
    {"reconnect",
     [](const TcpConnectionPtr& connection) {
       if (const auto own = std::dynamic_pointer_cast<AsyncTcpConnection>(connection)) own->reConnect();
     }},
    {"reconnect, then close",
     [](const TcpConnectionPtr& connection) {
       if (const auto own = std::dynamic_pointer_cast<AsyncTcpConnection>(connection)) own->reConnect();
       connection->close();
     }},
    {"throw", [](const TcpConnectionPtr&) { throw std::runtime_error("thrown by the test"); }},
    {"unlisten",
     [](const TcpConnectionPtr& connection) {
       connection->worker != nullptr ? connection->worker->unlisten() : void();
     }},
    {"stop",
     [](const TcpConnectionPtr& connection) {
       connection->worker != nullptr ? connection->worker->stop() : connection->destroy();
     }},
};

enum Place { Connect, Message, Full, Drain, Error, Close, kPlaces };

/// Does `deed` once, at `place`.
template <class Target>
void doAt(Target& target, Place place, const Deed& deed, int& done) {
  const auto once = [&deed, &done](const TcpConnectionPtr& connection) {
    connection->errorHandler = [](const std::exception&) {};
    if (done++ == 0) deed.run(connection);
  };
  target.onConnect = [=](TcpConnectionPtr connection) {
    if (place == Connect) once(connection);
    connection->send("hello");
    // Fills the buffer: the peer's callbacks decide when it is read.
    if (place == Full || place == Drain || place == Error) {
      for (int i = 0; i < 40; ++i) connection->send(std::string(500'000, 'x'));
    }
  };
  target.onMessage = [=](TcpConnectionPtr connection, std::string_view) {
    if (place == Message) once(connection);
  };
  target.onBufferFull = [=](TcpConnectionPtr connection) {
    if (place == Full) once(connection);
  };
  target.onBufferDrain = [=](TcpConnectionPtr connection) {
    if (place == Drain) once(connection);
    if (place == Close) connection->close();
  };
  target.onError = [=](TcpConnectionPtr connection, int, std::string_view) {
    if (place == Error) once(connection);
  };
  target.onClose = [=](TcpConnectionPtr connection) {
    if (place == Close) once(connection);
  };
}

std::size_t allocated() {
  return __sanitizer_get_current_allocated_bytes != nullptr ? __sanitizer_get_current_allocated_bytes()
                                                            : mallinfo2().uordblks;
}

}  // namespace

TEST_CASE("tls: whatever a callback does to its connection, either end, any callback") {
  CapturedStderr quiet;
  for (const bool isServers : {false, true}) {
    for (int place = 0; place < kPlaces; ++place) {
      for (const Deed& deed : kDeeds) {
        CAPTURE(isServers);
        CAPTURE(place);
        CAPTURE(std::string(deed.name));
        int done = 0;
        TlsFixture fixture;
        const auto worker = fixture.listen("tcp");
        const auto connection = fixture.connect(*worker, "tcp");
        const auto plain = [&](auto& target) {
          // Ends it, unless the deed has.
          target.onConnect = [&](TcpConnectionPtr other) { other->send("hi"); };
          target.onMessage = [&, place](TcpConnectionPtr other, std::string_view) {
            if (place == Close) other->close();
          };
        };
        if (isServers) {
          doAt(*worker, static_cast<Place>(place), deed, done);
          plain(*connection);
        } else {
          doAt(*connection, static_cast<Place>(place), deed, done);
          plain(*worker);
        }
        connection->connect();
        fixture.runUntil([&] { return done != 0; });
        fixture.turn(10);
        CHECK(done != 0);
      }
    }
  }
}

TEST_CASE("tls: the loop ends at any moment of a handshake") {
  CapturedStderr quiet;
  for (int turns = 0; turns < 12; ++turns) {
    TlsFixture fixture;
    const auto worker = fixture.listen("text");
    fixture.server.record(*worker);
    const auto connection = fixture.connect(*worker, "text");
    fixture.client.record(*connection);
    connection->send("early");
    connection->connect();
    fixture.turn(turns);
    Worker::stopAll();
    CHECK((fixture.server.text.empty() || fixture.server.text.starts_with("connect ")));
    CHECK(fixture.client.text.ends_with("close "));
  }
}

TEST_CASE_FIXTURE(TlsFixture, "tls: destroy() and reConnect() at any moment of a handshake") {
  const auto worker = listen("text");
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) { connection->send(data); };
  for (int turns = 0; turns < 10; ++turns) {
    CAPTURE(turns);
    Journal journal;
    const auto connection = connect(*worker, "text");
    journal.record(*connection);
    connection->send("kept");
    connection->connect();
    turn(turns);
    const bool isOpen = journal.has("connect");
    connection->reConnect();
    if (isOpen) connection->send("kept");
    CHECK(runUntil([&] { return journal.has("message:kept"); }));
    connection->destroy();
    CHECK(journal.text.ends_with("close "));
  }
}

TEST_CASE_FIXTURE(TlsFixture, "tls: an idle connection has no buffers") {
  constexpr int kCount = 40;
  const auto worker = listen("text");
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) { connection->send(data); };
  std::vector<AsyncTcpConnectionPtr> all;
  int answered = 0;
  const auto open = [&] {
    const auto connection = connect(*worker, "text");
    connection->onConnect = [](AsyncTcpConnectionPtr self) { self->send(std::string(100'000, 'x')); };
    connection->onMessage = [&] { ++answered; };
    connection->connect();
    all.push_back(connection);
    const int before = answered;
    runUntil([&] { return answered > before; });
    turn(3);
  };
  // What a thread has once is there.
  open(), open();
  const std::size_t before = allocated();
  for (int i = 0; i < kCount; ++i) open();
  // Both ends. A record's buffer alone has 16 KiB, and either end would have two; they are given back after
  // a second or two.
  constexpr std::size_t kEach = 36 * 1024;
  CHECK(allocated() > before);
  CHECK(runUntil([&] { return allocated() < before + kCount * kEach; }));
  for (const auto& connection : all) connection->destroy();
}
