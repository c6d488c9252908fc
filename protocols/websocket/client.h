#pragma once

/// ws://, the websocket client (internal).

#include "websocket_protocol.h"

namespace Workerman::Protocols::Http::detail {
struct ResponseHead;
}

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
  void prepare(Connection::Link& link) const override;
  void onConnect(Connection::Link& link) const override;
  void receive(Connection::Link& link, Connection::Input& input) const override;

 private:
  std::unique_ptr<WebsocketSession> makeSession(Connection::Link& link) const override;
  std::optional<Http::detail::ResponseHead> readAnswer(Connection::Link& link, WebsocketSession& session,
                                                       Connection::Input& input) const;
  bool upgrade(Connection::Link& link, WebsocketSession& session, Connection::Input& input) const;
};

}  // namespace Workerman::Protocols::detail
