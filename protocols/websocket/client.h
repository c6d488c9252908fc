#pragma once

/// ws://, the websocket client (internal).

#include "websocket_protocol.h"

namespace Workerman::Protocols::detail {

/// @see RFC 6455 section 4.1
class WebsocketClient final : public WebsocketProtocol {
 public:
  using WebsocketProtocol::WebsocketProtocol;

  bool readyOnConnect() const noexcept override { return false; }
  void prepare(Connection::Link& connection) const override;
  void onConnect(Connection::Link& connection) const override;
  void receive(Connection::Link& connection, Connection::Input& input) const override;

 private:
  std::unique_ptr<WebsocketSession> makeSession(Connection::Link& connection) const override;
  bool upgrade(Connection::Link& connection, WebsocketSession& session, Connection::Input& input) const;
};

}  // namespace Workerman::Protocols::detail
