#pragma once

/// websocket://, the server (internal).

#include "websocket_protocol.h"

namespace Workerman::Protocols::Http {
class Request;
namespace detail {
struct RequestHead;
}
}  // namespace Workerman::Protocols::Http

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
  void receive(Connection::Link& link, Connection::Input& input) const override;
  Connection::SendResult send(Connection::Link& link, Message message) const override;
  bool beginClose(Connection::Link& link, int code, std::string_view reason) const override;
  std::unique_ptr<Connection::Broadcast> encodeForMany(std::string_view text) const override;
  bool isOpening(const Connection::Link& link) const noexcept override;
  void handshakeOverdue(Connection::Link& link) const override;

  /// Goes on where another protocol has read a request that asks for a websocket: judges and answers it, lets
  /// onWebSocketConnect decide, and speaks websocket from then on, also if it refuses. `request.connection`
  /// is the link's. True: the websocket is open. @see RFC 6455 section 4.2
  bool accept(Connection::Link& link, Http::Request& request) const;

 private:
  std::unique_ptr<WebsocketSession> makeSession(Connection::Link& link) const override;
  bool upgrade(Connection::Link& link, ServerSession& session, Connection::Input& input) const;
  bool decide(Connection::Link& link, ServerSession& session, Http::Request& request) const;
  bool answer(Connection::Link& link, ServerSession& session, const Http::detail::RequestHead& head) const;
  bool open(Connection::Link& link, ServerSession& session, Http::Request& request) const;
  void refuse(Connection::Link& link, int status, std::string_view cause) const;
};

}  // namespace Workerman::Protocols::detail
