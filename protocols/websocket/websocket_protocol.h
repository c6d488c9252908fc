#pragma once

/// What the websocket's client and server have in common as protocols of a
/// connection (internal).

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "../../connection/protocol.h"
#include "../../connection/stream/link.h"
#include "websocket_session.h"

namespace Workerman::Protocols::detail {

class WebsocketProtocol : public Connection::Protocol {
 public:
  using Protocol::Protocol;

  const TypeTag* messageType() const noexcept override { return textTag(); }
  bool hasCloseCodes() const noexcept override { return true; }
  Connection::SendResult send(Connection::Link& connection, Message message) const override;
  std::optional<std::string_view> asText(Message message, std::string& storage) const override;
  Connection::SendResult sendText(Connection::Link& connection, std::string_view text) const override;
  bool beginClose(Connection::Link& connection, int code, std::string_view reason) const override;
  void beforeClose(Connection::Link& connection, std::string_view cause) const override;
  void onDrained(Connection::Link& connection) const override;
  void finishUp(Connection::Link& connection, double patience) const override;
  void beforeWrite(Connection::Link& connection) const override;

  /// The connection's session, made at the first call.
  WebsocketSession& session(Connection::Link& connection) const {
    if (WebsocketSession* known = find(connection)) [[likely]]
      return *known;
    return startSession(connection);
  }

 protected:
  WebsocketSession* find(const Connection::Link& connection) const noexcept {
    return static_cast<WebsocketSession*>(connection.stateOf(*this));
  }

 private:
  virtual std::unique_ptr<WebsocketSession> makeSession(Connection::Link& connection) const = 0;
  WebsocketSession& startSession(Connection::Link& connection) const;
};

}  // namespace Workerman::Protocols::detail
