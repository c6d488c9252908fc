#include "websocket_protocol.h"

#include <string>
#include <utility>

#include "json_text.h"

namespace Workerman::Protocols::detail {

using Connection::SendResult;
using Connection::TcpConnection;

WebsocketSession& WebsocketProtocol::startSession(TcpConnection& connection) const {
  auto made = makeSession(connection);
  WebsocketSession& session = *made;
  connection.setProtocolState(std::move(made));
  return session;
}

SendResult WebsocketProtocol::sendText(TcpConnection& connection, std::string_view text) const {
  return session(connection).sendText(text);
}

std::optional<std::string_view> WebsocketProtocol::asText(Message message, std::string& storage) const {
  return websocketText(message, storage);
}

SendResult WebsocketProtocol::send(TcpConnection& connection, Message message) const {
  std::string storage;
  return sendText(connection, websocketText(message, storage));
}

bool WebsocketProtocol::beginClose(TcpConnection& connection, int code, std::string_view reason) const {
  return session(connection).beginClose(code, reason);
}

void WebsocketProtocol::beforeClose(TcpConnection& connection, std::string_view cause) const {
  if (WebsocketSession* mine = find(connection)) mine->ended(cause);
}

void WebsocketProtocol::onDrained(TcpConnection& connection) const {
  if (WebsocketSession* mine = find(connection)) mine->drained();
}

void WebsocketProtocol::finish(TcpConnection& connection, double patience) const {
  session(connection).finishSoon(patience);
}

void WebsocketProtocol::beforeWrite(TcpConnection& connection) const {
  if (WebsocketSession* mine = find(connection)) mine->sayGoodbyeIfAnswered();
}

}  // namespace Workerman::Protocols::detail
