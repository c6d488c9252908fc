#pragma once

/// websocket://, the server (internal).

#include "websocket_protocol.h"

namespace Workerman::Protocols::Http {
class Request;
}

namespace Workerman::Protocols::detail {

class ServerSession;

/// @see RFC 6455 section 4.2
class WebsocketServer final : public WebsocketProtocol {
 public:
  using WebsocketProtocol::WebsocketProtocol;

  const char* refusal(Connection::Side side) const noexcept override {
    return side == Connection::Side::Server ? nullptr
                                            : "is spoken by servers; an AsyncTcpConnection connects to ws://";
  }
  void receive(Connection::TcpConnection& connection, Connection::Input& input) const override;
  Connection::SendResult send(Connection::TcpConnection& connection, Message message) const override;
  bool beginClose(Connection::TcpConnection& connection, int code, std::string_view reason) const override;
  std::unique_ptr<Connection::Broadcast> encodeForMany(std::string_view text) const override;
  bool isOpening(const Connection::TcpConnection& connection) const noexcept override;
  void handshakeOverdue(Connection::TcpConnection& connection) const override;

 private:
  std::unique_ptr<WebsocketSession> makeSession(Connection::TcpConnection& connection) const override;
  bool upgrade(Connection::TcpConnection& connection, ServerSession& session, Connection::Input& input) const;
  bool answer(Connection::TcpConnection& connection, ServerSession& session, Http::Request& request,
              const std::string& key) const;
  void refuse(Connection::TcpConnection& connection, int status, std::string_view cause) const;
};

}  // namespace Workerman::Protocols::detail
