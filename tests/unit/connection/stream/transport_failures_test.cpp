// Each operation of the transport fails once, as the first, the second, … until a whole life has gone by
// without: plain and TLS, as client and as server, raw and websocket.

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "connection/stream/async_tcp_connection.h"
#include "connection/tls/tls_transport.h"
#include "support/captured_stderr.h"
#include "support/loop_fixture.h"
#include "support/memory_transport.h"
#include "support/tls_ends.h"

using namespace Workerman::Connection;
using detail::Life;
using detail::Link;
using detail::TlsStream;
using detail::TlsTransport;
using detail::Transport;
using testing::LoopFixture;
using testing::MemoryConnection;
using testing::MemoryTransport;
using testing::Wire;

namespace {

// What a client does with a socket that its connector has made cannot be called from outside. An explicit
// instantiation may name private members.
using ClientStep = void (AsyncTcpConnection::*)();
using ClientOpened = void (AsyncTcpConnection::*)(std::string_view);
struct BeginConnecting {
  friend ClientStep memberOf(BeginConnecting);
};
struct StopConnecting {
  friend void (AsyncTcpConnection::*memberOf(StopConnecting))() noexcept;
};
struct Established {
  friend ClientOpened memberOf(Established);
};
template <class Name, auto Member>
struct Private {
  friend auto memberOf(Name) -> decltype(Member) { return Member; }
};
template struct Private<BeginConnecting, &AsyncTcpConnection::beginConnecting>;
template struct Private<StopConnecting, &AsyncTcpConnection::stopConnecting>;
template struct Private<Established, &AsyncTcpConnection::established>;

struct Kind {
  bool isTls;
  bool isWebsocket;
  bool failsAtClient;
  bool isEnded;  ///< by end(), else by close()
};

const testing::TlsContexts& contexts() {
  static const testing::TlsContexts made;
  return made;
}

/// One end, and how often each callback has run.
struct End {
  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  TcpConnectionPtr connection;
  std::string received, order;
  int connected = 0, closed = 0, connectFailed = 0;

  std::unique_ptr<Transport> transport(std::unique_ptr<TlsStream> tls) const {
    auto plain = std::make_unique<MemoryTransport>(wire);
    if (!tls) return plain;
    return std::make_unique<TlsTransport>(*Workerman::Worker::getEventLoop(), std::move(tls),
                                          std::move(plain));
  }
  void record() {
    connection->onConnect = [this] { ++connected; };
    connection->onMessage = [this](const TcpConnectionPtr& self, std::string_view data) {
      received += data;
      if (data == "question") self->send("answer");
    };
    connection->onError = [this](const TcpConnectionPtr&, int code, std::string_view) {
      if (code != ConnectionInterface::CONNECT_FAIL) return;
      ++connectFailed;
      order += "fail ";
    };
    connection->onClose = [this] {
      ++closed;
      order += "close ";
    };
    connection->lingerTimeout = connection->closeTimeout = 0.005;
    connection->websocketCloseTimeout = 0.005;
    // A websocket that lost a frame waits for a pong, as nothing else would end it.
    connection->websocketPingInterval = 0.005;
  }
  bool isClosed() const { return connection->getStatus() == TcpConnection::STATUS_CLOSED; }
};

/// A whole life of both ends.
struct Story {
  LoopFixture loop;
  End server, client;

  explicit Story(const Kind& kind) {
    std::unique_ptr<TlsStream> tls;
    if (kind.isTls) tls = std::make_unique<TlsStream>(contexts().ofServer);
    const auto accepted = MemoryConnection::make(
        server.wire, server.transport(std::move(tls)),
        kind.isTls ? Life::Phase::Connecting : Life::Phase::Established, kind.isWebsocket ? "websocket" : "");
    server.connection = accepted;
    server.record();
    const std::string scheme = kind.isWebsocket ? (kind.isTls ? "wss" : "ws") : kind.isTls ? "ssl" : "tcp";
    client.connection = std::make_shared<AsyncTcpConnection>(scheme + "://localhost");
    client.record();
  }

  void play(const Kind& kind) {
    Link::of(*server.connection).startAccepted();
    std::unique_ptr<TlsStream> tls;
    if (kind.isTls) tls = std::make_unique<TlsStream>(contexts().ofClient, "localhost", "localhost:443");
    connect(std::move(tls));
    exchange();
    End& tested = kind.failsAtClient ? client : server;
    End& other = kind.failsAtClient ? server : client;
    other.connection->send("question");
    exchange();
    tested.wire->room = 2;
    tested.connection->send("more");
    exchange();
    tested.wire->room = SIZE_MAX;
    exchange();
    tested.connection->pauseRecv();
    other.connection->send("held");
    exchange();
    tested.connection->resumeRecv();
    exchange();
    tested.wire->room = 2;
    tested.connection->send("last");
    kind.isEnded ? tested.connection->end() : tested.connection->close();
    // Nobody reads it, and nobody stops sending for it.
    other.connection->send("ignored");
    exchange();
    tested.wire->room = SIZE_MAX;
    CHECK(loop.runUntil([&] {
      exchange();
      return server.isClosed() && client.isClosed();
    }));
  }

 private:
  void connect(std::unique_ptr<TlsStream> tls) {
    auto& connection = static_cast<AsyncTcpConnection&>(*client.connection);
    connection.eventLoop = Workerman::Worker::getEventLoop();
    (connection.*memberOf(BeginConnecting{}))();
    (connection.*memberOf(StopConnecting{}))();
    auto& link = Link::of(connection);
    link.carryOver(*connection.eventLoop, client.transport(std::move(tls)));
    if (link.openTransport()) (connection.*memberOf(Established{}))({});
  }
  void exchange() {
    testing::exchange({*server.wire, Link::of(*server.connection)},
                      {*client.wire, Link::of(*client.connection)});
  }
};

/// True: nothing has failed, as there are not so many operations.
bool passes(const Kind& kind, unsigned failAt, int error) {
  Story story(kind);
  const testing::CapturedStderr log;
  End& tested = kind.failsAtClient ? story.client : story.server;
  tested.wire->failAt = failAt == 0 ? 0 : tested.wire->operations + failAt;
  tested.wire->error = error;
  story.play(kind);
  const bool hasFailed = tested.wire->hasFailed;
  for (const End* end : {&story.server, &story.client}) {
    CHECK(end->isClosed());
    CHECK(end->wire->isClosed);
    CHECK(end->connection->bufferIsEmpty());
  }
  // Nobody is told of a server's connection that was never announced.
  CHECK(story.server.closed == story.server.connected);
  CHECK(story.server.connectFailed == 0);
  CHECK(story.client.closed == 1);
  CHECK(story.client.connectFailed <= 1);
  CHECK(story.client.order == (story.client.connectFailed != 0 ? "fail close " : "close "));
  if (story.client.connected == 0) CHECK(story.client.connectFailed == 1);
  if (!hasFailed) {
    CHECK(story.client.connectFailed == 0);
    const End& other = kind.failsAtClient ? story.server : story.client;
    CHECK(tested.received == "questionheld");
    CHECK(other.received == "answermorelast");
  }
  const std::weak_ptr<TcpConnection> weak = tested.connection;
  tested.connection = nullptr;
  CHECK(weak.expired());
  return !hasFailed;
}

void failEach(bool isTls, bool isWebsocket) {
  for (const int which : {0, 1, 2, 3}) {
    const Kind kind{isTls, isWebsocket, which % 2 == 1, which > 1};
    CAPTURE(kind.failsAtClient);
    CAPTURE(kind.isEnded);
    CHECK(passes(kind, 0, 0));
    for (const int error : {ECONNRESET, ENOMEM}) {
      CAPTURE(error);
      unsigned failAt = 1;
      for (bool isOver = false; !isOver && failAt < 1000; ++failAt) {
        CAPTURE(failAt);
        isOver = passes(kind, failAt, error);
      }
      // The story has these at the least: reads, writes and watches.
      CHECK(failAt > 8);
      CHECK(failAt < 1000);
    }
  }
}

}  // namespace

TEST_CASE("transport failures: raw bytes") {
  failEach(false, false);
}

TEST_CASE("transport failures: a websocket") {
  failEach(false, true);
}

TEST_CASE("transport failures: TLS") {
  failEach(true, false);
}

TEST_CASE("transport failures: a websocket over TLS") {
  failEach(true, true);
}
