#include "websocket_protocol.h"

#include <string>
#include <utility>

#include "json_text.h"

namespace Workerman::Protocols::detail {

using Connection::Link;
using Connection::SendResult;

WebsocketSession& WebsocketProtocol::startSession(Link& link) const {
  auto made = makeSession(link);
  WebsocketSession& session = *made;
  link.setState(std::move(made));
  return session;
}

SendResult WebsocketProtocol::sendText(Link& link, std::string_view text) const {
  return session(link).sendText(text);
}

std::optional<std::string_view> WebsocketProtocol::asText(Message message, std::string& storage) const {
  return websocketText(message, storage);
}

SendResult WebsocketProtocol::send(Link& link, Message message) const {
  std::string storage;
  return sendText(link, websocketText(message, storage));
}

bool WebsocketProtocol::beginClose(Link& link, int code, std::string_view reason) const {
  return session(link).beginClose(code, reason);
}

void WebsocketProtocol::beforeClose(Link& link, std::string_view cause) const {
  if (WebsocketSession* mine = find(link)) mine->ended(cause);
}

void WebsocketProtocol::onDrained(Link& link) const {
  if (WebsocketSession* mine = find(link)) mine->drained();
}

void WebsocketProtocol::finishUp(Link& link, double patience) const {
  session(link).finishUp(patience);
}

void WebsocketProtocol::beforeWrite(Link& link) const {
  if (WebsocketSession* mine = find(link)) mine->sayGoodbyeIfAnswered();
}

}  // namespace Workerman::Protocols::detail
