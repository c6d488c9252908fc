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

  void receive(Connection::Link& connection, Connection::Input& input) const override;
  Connection::SendResult send(Connection::Link& connection, Message message) const override;
  bool beginClose(Connection::Link& connection, int code, std::string_view reason) const override;
  std::unique_ptr<Connection::Broadcast> encodeForMany(std::string_view text) const override;
  bool isOpening(const Connection::Link& connection) const noexcept override;
  void handshakeOverdue(Connection::Link& connection) const override;

 private:
  std::unique_ptr<WebsocketSession> makeSession(Connection::Link& connection) const override;
  bool upgrade(Connection::Link& connection, ServerSession& session, Connection::Input& input) const;
  bool answer(Connection::Link& connection, ServerSession& session, Http::Request& request,
              const std::string& key) const;
  void refuse(Connection::Link& connection, int status, std::string_view cause) const;
};

}  // namespace Workerman::Protocols::detail
