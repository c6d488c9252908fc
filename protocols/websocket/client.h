#pragma once

/// ws://, the websocket client (internal).

#include "websocket_protocol.h"

namespace Workerman::Protocols::detail {

/// @see RFC 6455 section 4.1
class WebsocketClient final : public WebsocketProtocol {
 public:
  using WebsocketProtocol::WebsocketProtocol;

  const char* refusal(Connection::Side side) const noexcept override {
    return side == Connection::Side::Client ? nullptr
                                            : "is spoken by clients; a Worker listens on websocket://";
  }
  bool readyOnConnect() const noexcept override { return false; }
  void prepare(Connection::TcpConnection& connection) const override;
  void onConnect(Connection::TcpConnection& connection) const override;
  void receive(Connection::TcpConnection& connection, Connection::Input& input) const override;

 private:
  std::unique_ptr<WebsocketSession> makeSession(Connection::TcpConnection& connection) const override;
  bool upgrade(Connection::TcpConnection& connection, WebsocketSession& session,
               Connection::Input& input) const;
};

}  // namespace Workerman::Protocols::detail
