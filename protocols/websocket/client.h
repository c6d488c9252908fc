#pragma once

/// ws://, the websocket client (internal).

#include "../../connection/protocol.h"

namespace Workerman::Protocols::detail {

class Session;

/// @see RFC 6455 section 4.1
class WebsocketClient final : public Connection::Protocol {
 public:
  using Protocol::Protocol;

  const TypeTag* messageType() const noexcept override { return textTag(); }
  bool readyOnConnect() const noexcept override { return false; }
  bool hasCloseCodes() const noexcept override { return true; }
  void prepare(Connection::TcpConnection& connection) const override;
  void onConnect(Connection::TcpConnection& connection) const override;
  void receive(Connection::TcpConnection& connection, Connection::Input& input) const override;
  Connection::SendResult send(Connection::TcpConnection& connection, Message message) const override;
  Connection::SendResult sendText(Connection::TcpConnection& connection, std::string_view text) const override;
  bool beginClose(Connection::TcpConnection& connection, int code, std::string_view reason) const override;
  void beforeClose(Connection::TcpConnection& connection, std::string_view cause) const override;
  void onDrained(Connection::TcpConnection& connection) const override;

 private:
  Session* find(const Connection::TcpConnection& connection) const;
  Session& session(Connection::TcpConnection& connection) const;
  Session& makeSession(Connection::TcpConnection& connection) const;
  bool upgrade(Connection::TcpConnection& connection, Session& session, Connection::Input& input) const;
};

}  // namespace Workerman::Protocols::detail
