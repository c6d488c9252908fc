#pragma once

/// Websockets over memory: one end whose peer is the test, and two ends of ours.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frame_fixture.h"
#include "protocols/websocket/handshake.h"
#include "support/loop_fixture.h"
#include "support/memory_transport.h"

namespace SessionTest {

using testing::LoopFixture;
using testing::MemoryConnection;
using testing::Wire;
using Workerman::Connection::TcpConnection;
using Workerman::Connection::TcpConnectionPtr;
using Workerman::Protocols::detail::Opcode;
using Workerman::Protocols::detail::Role;

inline const std::string kRequest =
    "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A websocket of ours; what it calls stands in the journal.
struct End {
  explicit End(Role ofOurs)
      : role(ofOurs), connection(MemoryConnection::make(wire, ofOurs == Role::Server ? "websocket" : "ws")) {
    connection->onMessage = [this](const TcpConnectionPtr&, std::string_view data) {
      journal += "message:" + std::string(data) + " ";
    };
    connection->onWebSocketConnect = [this] { journal += "open "; };
    connection->onWebSocketPong = [this](const TcpConnectionPtr&, std::string_view data) {
      journal += "pong:" + std::string(data) + " ";
    };
    connection->onWebSocketClose = [this](const TcpConnectionPtr&, int code, std::string_view reason) {
      journal += "goodbye:" + std::to_string(code) + " ";
      why = reason;
    };
    connection->onClose = [this] { journal += "close "; };
  }
  ~End() { connection->destroy(); }

  /// A client sends its request, a server has nothing to do; gives a client's request.
  std::string begin() {
    if (role == Role::Server) return {};
    connection->protocol.get()->onConnect(connection->link());
    return wire->out;
  }
  /// What the peer says first: the request, or the answer to a client's.
  std::string greeting() {
    const std::string request = begin();
    if (role == Role::Server) return kRequest;
    const std::string_view name = "Sec-WebSocket-Key: ";
    const std::size_t at = request.find(name) + name.size();
    return Workerman::Protocols::detail::buildAccept(std::string_view(request).substr(at, 24));
  }
  /// The opening handshake with the test as the peer; then wire and journal are empty.
  void open() {
    connection->arrive(greeting());
    CHECK(journal == "open ");
    wire->out.clear();
    journal.clear();
  }
  /// A frame as the peer sends it.
  std::string frame(unsigned first, std::string_view payload) const {
    return FrameTest::frameTo(role, first, payload);
  }
  /// What we have sent, as the peer reads it.
  std::vector<FrameTest::Event> sent() const {
    return FrameTest::eventsOf(role == Role::Server ? Role::Client : Role::Server, wire->out, 64 << 20);
  }
  bool isClosed() const { return connection->getStatus() == TcpConnection::STATUS_CLOSED; }

  Role role;
  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  std::string journal, why;
  std::shared_ptr<MemoryConnection> connection;
};

/// A server and its client.
struct Pair {
  LoopFixture loop;
  End server{Role::Server};
  End client{Role::Client};

  void exchange() { testing::exchange(*server.connection, *client.connection); }
  void open() {
    client.begin();
    exchange();
    CHECK(server.journal == "open ");
    CHECK(client.journal == "open ");
    server.journal.clear();
    client.journal.clear();
  }
};

constexpr Role kRoles[] = {Role::Server, Role::Client};

}  // namespace SessionTest
