// How the connections of a process that is reloaded come to their end: a Runtime's stop of the Finishing
// manner.

#include <chrono>
#include <memory>
#include <string>

#include "connection/stream/link_inline.h"
#include "core/runtime.h"
#include "support/captured_stderr.h"
#include "support/certificates.h"
#include "support/deadline.h"
#include "support/tls_peer.h"
#include "support/wire_echo.h"

using namespace Workerman;
using namespace Workerman::Connection;
using namespace testing;
using Workerman::Connection::detail::Link;
using Workerman::detail::Runtime;

namespace {

/// OpenSSL's client between a peer and its socket.
struct TlsLayer : WireLayer {
  explicit TlsLayer(RawSocket socket) : tls(std::move(socket)) {}
  void write(std::string_view bytes) override { tls.write(bytes); }
  std::string read() override { return tls.read(); }

  TlsPeer tls;
};

/// A stopTimeout that no test waits for: what does not finish by itself makes the test hang.
constexpr double kNoLimit = 3600;

/// A worker that is told to finish, and plain sockets as its peers, or with TLS.
struct Scene {
  explicit Scene(const std::string& scheme, double limit = kNoLimit, bool isTls = false) {
    Worker::stopTimeout = limit;
    SocketContext context;
    if (isTls) {
      certificates = std::make_unique<Certificates>();
      context.ssl.local_cert = certificates->issue();
    }
    worker = std::make_shared<Worker>(scheme + "://127.0.0.1:0", context);
    if (isTls) worker->transport = "ssl";
    worker->listen();
    worker->onMessage = [](auto connection, auto data) { connection->send(data); };
    worker->onWorkerStop = [this] { CHECK(closed == 0); };
    worker->onClose = [this] { ++closed; };
  }
  ~Scene() { Worker::stopTimeout = 2; }

  WirePeer connect() {
    RawSocket socket = connectRaw(worker->getListenPort());
    if (!certificates) return WirePeer(std::move(socket), Role::Client);
    auto layer = std::make_unique<TlsLayer>(std::move(socket));
    CHECK(until([&] { return layer->tls.handshake(); }));
    return WirePeer(std::move(layer), Role::Client);
  }
  /// A peer whose websocket is open.
  WirePeer open() {
    WirePeer peer = connect();
    peer.offer(upgradeRequest());
    CHECK(until([&] { return peer.collect(), !peer.takeHead().empty(); }));
    return peer;
  }
  /// A connection that has said "hi" and been answered.
  RawSocket talking() {
    RawSocket socket = connectRaw(worker->getListenPort());
    socket.send("hi\n");
    CHECK(hears(socket, "hi\n"));
    return socket;
  }
  void finish() {
    startedAt = std::chrono::steady_clock::now();
    Runtime::ofThisThread().stop(0, {}, Runtime::Manner::Finishing);
  }
  /// Since finish().
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - startedAt).count();
  }
  bool until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kHangSeconds);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      fixture.turn();
      ::poll(nullptr, 0, 1);
    }
    return true;
  }
  bool closes(WirePeer& peer) {
    return until([&] { return peer.collect(), peer.hasClose; });
  }
  bool hears(RawSocket& socket, const std::string& wanted) {
    std::string got;
    return until([&] { return (got += socket.receiveAll()) == wanted; });
  }
  bool isAtEnd(RawSocket& socket) {
    return until([&] { return socket.receive().empty() && socket.isAtEnd(); });
  }
  bool stops() {
    return until([] { return !Worker::isRunning(); });
  }

  LoopFixture fixture;
  std::unique_ptr<Certificates> certificates;
  std::shared_ptr<Worker> worker;
  int closed = 0;
  std::chrono::steady_clock::time_point startedAt;
};

const std::string kGoingAway = wordFor(goodbye(1001));

/// Runs it for websocket, without TLS and with.
void withAndWithoutTls(const std::function<void(Scene&)>& test) {
  for (const bool isTls : {false, true}) {
    CAPTURE(isTls);
    Scene scene("websocket", kNoLimit, isTls);
    test(scene);
  }
}

}  // namespace

TEST_CASE("finishing: what has arrived on a websocket is answered, then 1001") {
  withAndWithoutTls([](Scene& scene) {
    WirePeer peer = scene.open();
    peer.offer(text("one").bytes(Role::Client) + text("two").bytes(Role::Client));
    scene.finish();
    CHECK(scene.closes(peer));
    CHECK(peer.words == Words{"text:one", "text:two", kGoingAway});
    peer.offer(text("late").bytes(Role::Client) + goodbye(1001).bytes(Role::Client));
    CHECK(scene.stops());
    peer.collect();
    CHECK(peer.words.size() == 3);
  });
}

TEST_CASE("finishing: a websocket that says something now and then is told 1001 with an answer") {
  withAndWithoutTls([](Scene& scene) {
    WirePeer peer = scene.open();
    scene.finish();
    scene.fixture.turn(20);
    CHECK_FALSE(peer.collect());
    peer.offer(text("one").bytes(Role::Client));
    // The first bytes that come hold both.
    CHECK(scene.until([&] { return peer.collect(), !peer.words.empty(); }));
    CHECK(peer.words == Words{"text:one", kGoingAway});
  });
}

TEST_CASE("finishing: an answer that comes after the callback has the 1001 with it as well") {
  withAndWithoutTls([](Scene& scene) {
    scene.worker->onMessage = [](auto connection) {
      Timer::delay(0.01, [connection] { connection->send("later"); });
    };
    WirePeer peer = scene.open();
    scene.finish();
    peer.offer(text("one").bytes(Role::Client));
    CHECK(scene.until([&] { return peer.collect(), !peer.words.empty(); }));
    CHECK(peer.words == Words{"text:later", kGoingAway});
  });
}

TEST_CASE("finishing: long and compressed answers too come in front of the 1001") {
  withAndWithoutTls([](Scene& scene) {
    const std::string longText(300000, 'x');
    scene.worker->onMessage = [&](auto connection) { connection->send(longText); };
    WirePeer peer = scene.open();
    scene.finish();
    peer.offer(text("one").bytes(Role::Client));
    CHECK(scene.closes(peer));
    CHECK(peer.words == Words{wordFor(0x81, longText), kGoingAway});
  });
}

TEST_CASE("finishing: a quiet websocket is told 1001 well before the time is over") {
  withAndWithoutTls([](Scene& scene) {
    WirePeer quiet = scene.open(), pinging = scene.open();
    scene.finish();
    CHECK(scene.closes(quiet));
    CHECK(quiet.words == Words{kGoingAway});
  });
}

TEST_CASE("finishing: an answer that is still being made is waited for, but not for ever") {
  Scene scene("websocket", 1);
  scene.worker->onMessage = [](auto connection, std::string data) {
    if (data != "slow") return;
    Timer::delay(0.35, [connection] { connection->send("slowly"); });
  };
  WirePeer slow = scene.open(), never = scene.open();
  slow.offer(text("slow").bytes(Role::Client));
  never.offer(text("never").bytes(Role::Client));
  scene.finish();
  CHECK(scene.closes(slow));
  CHECK(slow.words == Words{"text:slowly", kGoingAway});
  CHECK(scene.closes(never));
  CHECK(never.words == Words{kGoingAway});
}

TEST_CASE("finishing: the rest of a message is waited for") {
  withAndWithoutTls([](Scene& scene) {
    const std::string whole = text("in two parts").bytes(Role::Client);
    WirePeer cut = scene.open(), fragmented = scene.open();
    cut.offer(whole.substr(0, 8));
    fragmented.offer(textStart("in two ").bytes(Role::Client));
    scene.finish();
    scene.until([&] { return scene.seconds() > 0.9; });
    cut.offer(whole.substr(8));
    fragmented.offer(last("parts").bytes(Role::Client));
    for (WirePeer* const peer : {&cut, &fragmented}) {
      CHECK(scene.closes(*peer));
      CHECK(peer->words == Words{"text:in two parts", kGoingAway});
    }
  });
}

TEST_CASE("finishing: a websocket that is still opening opens, and its first message is answered") {
  Scene scene("websocket");
  WirePeer peer = scene.connect();
  CHECK(scene.until([&] { return scene.worker->connections.size() == 1; }));
  scene.finish();
  peer.offer(upgradeRequest());
  CHECK(scene.until([&] { return peer.collect(), !peer.takeHead().empty(); }));
  peer.offer(text("first").bytes(Role::Client));
  CHECK(scene.closes(peer));
  CHECK(peer.words == Words{"text:first", kGoingAway});
}

TEST_CASE("finishing: the rest of a record of TLS is waited for") {
  Scene scene("websocket", kNoLimit, true);
  auto layer = std::make_unique<TlsLayer>(connectRaw(scene.worker->getListenPort()));
  TlsPeer& tls = layer->tls;
  CHECK(scene.until([&] { return tls.handshake(); }));
  WirePeer peer(std::move(layer), Role::Client);
  peer.offer(upgradeRequest());
  CHECK(scene.until([&] { return peer.collect(), !peer.takeHead().empty(); }));
  const std::string question = text("in two parts").bytes(Role::Client);
  SSL_write(tls.ssl, question.data(), static_cast<int>(question.size()));
  const std::string record = tls.takeOutput();
  tls.socket.send(record.substr(0, 10));
  scene.finish();
  scene.until([&] { return scene.seconds() > 0.9; });
  CHECK_FALSE(peer.collect());
  tls.socket.send(record.substr(10));
  CHECK(scene.closes(peer));
  CHECK(peer.words == Words{"text:in two parts", kGoingAway});
}

TEST_CASE("finishing: whose TLS handshake is not done yet can still say something") {
  Scene scene("websocket", kNoLimit, true);
  auto layer = std::make_unique<TlsLayer>(connectRaw(scene.worker->getListenPort()));
  CHECK(scene.until([&] { return scene.worker->connections.size() == 1; }));
  scene.finish();
  CHECK(scene.until([&] { return layer->tls.handshake(); }));
  WirePeer peer(std::move(layer), Role::Client);
  peer.offer(upgradeRequest());
  CHECK(scene.until([&] { return peer.collect(), !peer.takeHead().empty(); }));
  peer.offer(text("first").bytes(Role::Client));
  CHECK(scene.until([&] { return peer.collect(), !peer.words.empty(); }));
  CHECK(peer.words == Words{"text:first", kGoingAway});
}

TEST_CASE("finishing: a paused websocket is told 1001 in time") {
  Scene scene("websocket", 0.5);
  scene.worker->onMessage = [](auto connection) { connection->pauseRecv(); };
  WirePeer peer = scene.open();
  peer.offer(text("pause").bytes(Role::Client));
  CHECK(scene.until([&] { return Link::of(*(*scene.worker->connections.begin()).second).isPaused(); }));
  scene.finish();
  CHECK(scene.closes(peer));
  CHECK(peer.words == Words{kGoingAway});
}

TEST_CASE("finishing: a connection without good-byes is served until its peer ends it") {
  Scene scene("text");
  RawSocket first = scene.talking(), second = scene.talking();
  scene.finish();
  for (int i = 0; i < 3; ++i) {
    first.send("more\n");
    CHECK(scene.hears(first, "more\n"));
  }
  first.close();
  CHECK(scene.until([&] { return scene.closed == 1; }));
  CHECK(Worker::isRunning());
  second.close();
  CHECK(scene.stops());
}

TEST_CASE("finishing: what has not finished in its time is closed after sending, counted in the log") {
  const CapturedStderr log;
  Scene scene("text", 0.25);
  const std::string longText(8 << 20, 'x');
  scene.worker->onMessage = [&](auto connection, auto data) {
    connection->maxSendBufferSize = 2 * longText.size();
    connection->send(data == "long" ? longText : std::string(data));
  };
  RawSocket idle = scene.talking(), slow = scene.talking();
  slow.send("long\n");
  CHECK(
      scene.until([&] { return !(*std::next(scene.worker->connections.begin())).second->bufferIsEmpty(); }));
  scene.finish();
  CHECK(scene.isAtEnd(idle));
  CHECK(scene.seconds() >= 0.25);
  // Unread input must not take back what the peer has not got yet.
  slow.send("ignored\n");
  std::size_t got = 0;
  CHECK(scene.until([&] { return got += slow.receive().size(), slow.isAtEnd(); }));
  CHECK(got == longText.size() + 1);
  idle.close();
  slow.close();
  CHECK(scene.stops());
  CHECK(log.text().find("closes 2 connections that have not finished within 0.25 seconds (stopTimeout)") !=
        std::string::npos);
}

TEST_CASE("finishing: what a worker has opened itself lasts as long as what it has accepted") {
  Scene scene("text");
  RawListener backend;
  auto outgoing = std::make_shared<AsyncTcpConnection>(backend.address("text"));
  bool isClosed = false;
  outgoing->onClose = [&] { isClosed = true; };
  outgoing->connect();
  RawSocket behind;
  CHECK(scene.until([&] { return backend.acceptInto(behind); }));
  scene.worker->onMessage = [&](auto connection, auto data) {
    outgoing->onMessage = [connection](auto, auto answer) { connection->send(answer); };
    outgoing->send(data);
  };
  RawSocket client = connectRaw(scene.worker->getListenPort());
  client.send("question\n");
  CHECK(scene.until([&] { return scene.worker->connections.size() == 1; }));
  scene.finish();
  CHECK(scene.hears(behind, "question\n"));
  behind.send("answer\n");
  CHECK(scene.hears(client, "answer\n"));
  CHECK_FALSE(isClosed);
  client.close();
  CHECK(scene.stops());
  CHECK(isClosed);
}

TEST_CASE(
    "finishing: stopped again, it becomes an ordinary stop at once, or takes longer where that is asked") {
  double limit = kNoLimit;
  SUBCASE("ordinary") {}
  SUBCASE("graceful") {
    limit = 0.25;
  }
  Scene scene("text", limit);
  RawSocket peer = scene.talking();
  scene.finish();
  if (limit == kNoLimit) {
    Worker::stopAll();
    CHECK(scene.isAtEnd(peer));
  } else {
    CHECK_FALSE(Worker::getGracefulStop());
    Runtime::ofThisThread().stop(0, {}, Runtime::Manner::Graceful);
    CHECK(Worker::getGracefulStop());
    scene.until([&] { return scene.seconds() > 0.5; });
    peer.send("still here\n");
    CHECK(scene.hears(peer, "still here\n"));
  }
  peer.close();
  CHECK(scene.stops());
}
