#pragma once

/// Clients of a TLS worker that come and go in every way there is, on one loop.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>

#include "certificates.h"
#include "loop_fixture.h"
#include "raw_peer.h"

namespace testing {

class TlsVisits : public LoopFixture {
 public:
  enum class Kind {
    Answered,         ///< Asks, is answered and closes, after a session resumed.
    Renewed,          ///< The same after certificates were read anew: no session to resume.
    Reconnects,       ///< One connection, three times.
    Destroyed,        ///< By the client, while much is on its way to it.
    Lost,             ///< Destroyed by the worker.
    DestroyedEarly,   ///< By the client, in the handshake.
    RefusedByClient,  ///< The certificate is not good enough.
    Plain,            ///< A request without TLS.
    Cut,              ///< Reset in the middle of its first record.
    Last = Cut,
  };

  TlsVisits() {
    worker_ = std::make_shared<Workerman::Worker>(
        "text://127.0.0.1:0", Workerman::SocketContext{.ssl = {.local_cert = certificates_.issue()}});
    worker_->transport = "ssl";
    worker_->onMessage = [](TcpConnectionPtr connection, std::string_view line) {
      if (line == "die") return connection->destroy();
      connection->send(std::string(line == "much" ? 200'000 : 5, 'x'));
    };
    worker_->listen();
  }

  /// So many, of all kinds in turn.
  void run(int count) {
    for (int i = 0; i < count; ++i) {
      const auto kind = static_cast<Kind>(i % (static_cast<int>(Kind::Last) + 1));
      CAPTURE(static_cast<int>(kind));
      visit(kind);
      if (!runUntil([&] { return worker_->connections.size() == 0; })) return;
    }
  }

  /// What has come of it.
  int answers = 0, resumed = 0, refusals = 0, closes = 0, refusedPlain = 0;

 private:
  using TcpConnectionPtr = Workerman::Connection::TcpConnectionPtr;
  using AsyncTcpConnection = Workerman::Connection::AsyncTcpConnection;

  void visit(Kind kind) {
    switch (kind) {
      case Kind::Renewed:
        worker_->reloadCertificates();
        return call("hello");
      case Kind::Reconnects:
        return call("hello", 2);
      case Kind::Destroyed:
        return call("much");
      case Kind::Lost:
        return call("die");
      case Kind::DestroyedEarly:
        return leaveEarly();
      case Kind::RefusedByClient:
        return call("hello", 0, "other.test");
      case Kind::Plain:
      case Kind::Cut:
        return speakNoTls(kind);
      case Kind::Answered:
        return call("hello");
    }
  }

  std::shared_ptr<AsyncTcpConnection> client(const std::string& peerName = "") const {
    return std::make_shared<AsyncTcpConnection>(
        "ssl://localhost:" + std::to_string(worker_->getListenPort()),
        Workerman::SocketContext{.ssl = {.cafile = certificates_.cafile, .peer_name = peerName}});
  }

  void call(const std::string& question, int reconnects = 0, const std::string& peerName = "") {
    auto connection = client(peerName);
    bool isOver = false;
    connection->onConnect = [this, question](auto self) {
      resumed += self->getSslInfo()->isResumed;
      self->send(question + "\n");
    };
    connection->onMessage = [this, question](auto self, auto) {
      ++answers;
      question == "much" ? self->destroy() : self->close();
    };
    connection->onError = [this] { ++refusals; };
    connection->onClose = [&, reconnects](auto self) mutable {
      ++closes;
      if (reconnects-- > 0) return self->reConnect(0);
      isOver = true;
    };
    connection->connect();
    const std::weak_ptr<AsyncTcpConnection> alive = connection;
    connection.reset();
    runUntil([&] { return isOver; });
    CHECK(alive.expired());
  }

  void leaveEarly() {
    const auto connection = client();
    connection->connect();
    // Its greeting has left; the answer may be there or not.
    runUntil([&] { return worker_->connections.size() == 1; });
    connection->destroy();
  }

  void speakNoTls(Kind kind) {
    RawSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(worker_->getListenPort()));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    const Ticker ticker;
    if (kind == Kind::Plain) {
      std::string answer;
      socket.send("GET / HTTP/1.1\r\n\r\n");
      runUntil([&] { return answer += socket.receive(), socket.isAtEnd(); });
      refusedPlain += answer.starts_with("HTTP/1.1 400 ");
    } else {
      socket.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
      runUntil([&] { return worker_->connections.size() == 1; });
      turn();
      socket.reset();
    }
  }

  Certificates certificates_;
  std::shared_ptr<Workerman::Worker> worker_;
};

}  // namespace testing
