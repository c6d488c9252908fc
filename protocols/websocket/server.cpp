#include "server.h"

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "../../connection/stream/tcp_connection.h"
#include "../http/head_parser.h"
#include "../http/request.h"
#include "../http/response.h"
#include "../websocket.h"
#include "extensions.h"
#include "handshake.h"
#include "shared_message.h"

namespace Workerman::Protocols::detail {

using Connection::Input;
using Connection::SendResult;
using Connection::TcpConnection;

/// A session that may still be refused.
class ServerSession final : public WebsocketSession {
 public:
  ServerSession(const Connection::Protocol& owner, TcpConnection& connection) noexcept
      : WebsocketSession(owner, connection, Role::Server) {}

  /// onWebSocketConnect is running: what it closes with is the answer.
  bool isAnswering = false;
  bool isRefused = false;
};

namespace {

/// Compression, if both sides want it.
std::optional<AcceptedDeflate> acceptOffer(const TcpConnection& connection,
                                           const Http::detail::FieldList& headers) {
  if (!connection.websocketDeflate && !connection.websocketType.isDeflate()) return std::nullopt;
  // checkRequest() has refused what cannot be parsed.
  return acceptDeflate(parseExtensions(headers).value_or(std::vector<Extension>()), Websocket::deflate);
}

}  // namespace

std::unique_ptr<WebsocketSession> WebsocketServer::makeSession(TcpConnection& connection) const {
  return std::make_unique<ServerSession>(*this, connection);
}

std::unique_ptr<Connection::Broadcast> WebsocketServer::encodeForMany(std::string_view text) const {
  return std::make_unique<SharedMessage>(*this, text);
}

void WebsocketServer::receive(TcpConnection& connection, Input& input) const {
  auto& mine = static_cast<ServerSession&>(session(connection));
  if (mine.phase() == WebsocketSession::Phase::Opening && !upgrade(connection, mine, input)) return;
  mine.receive(input);
}

/// Reads and answers the request. True: frames may follow in the same input.
bool WebsocketServer::upgrade(TcpConnection& connection, ServerSession& mine, Input& input) const {
  auto result = Http::detail::parseRequestHead(input.view(), {}, mine.scanned());
  if (const auto* incomplete = std::get_if<Http::detail::HeadIncomplete>(&result)) {
    mine.opening().scanned = incomplete->scanned;
    return false;
  }
  if (const auto* rejected = std::get_if<Http::detail::HeadRejected>(&result)) {
    refuse(connection, rejected->status, rejected->cause);
    return false;
  }
  const auto& head = *std::get_if<Http::detail::RequestHead>(&result);
  const RequestCheck check = checkRequest(head);
  if (!check.ok()) {
    refuse(connection, check.status, check.cause);
    return false;
  }
  input.consume(head.consumed);
  // Nothing runs between here and the answer that could change the bytes of the head.
  if (!connection.onWebSocketConnect && !connection.onWebSocketConnected)
    return accept(connection, mine, head) && connection.mayReceive(input);
  Http::Request request(head);
  request.connection = input.connection();
  if (!decide(connection, mine, request) || !accept(connection, mine, request.head())) return false;
  connection.emit(connection.onWebSocketConnected, Message::of(request));
  request.connection = nullptr;
  return connection.mayReceive(input);
}

/// Lets the application decide. False: refused or closed.
bool WebsocketServer::decide(TcpConnection& connection, ServerSession& mine, Http::Request& request) const {
  mine.isAnswering = true;
  connection.emit(connection.onWebSocketConnect, Message::of(request));
  mine.isAnswering = false;
  return connection.getStatus() == TcpConnection::STATUS_ESTABLISHED && connection.stateOf(*this) == &mine &&
         !mine.isRefused;
}

/// Answers a request that checkRequest() has passed. False: the connection is gone.
bool WebsocketServer::accept(TcpConnection& connection, ServerSession& mine,
                             const Http::detail::RequestHead& head) const {
  try {
    const auto deflate = acceptOffer(connection, head.headers);
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const std::string_view before = expectsContinue(head) ? kContinue : std::string_view();
    const std::string answer = buildAccept(*head.headers.get(Http::detail::FieldName::SecWebSocketKey),
                                           connection.websocketServerProtocol, connection.headers,
                                           deflate ? deflate->answer : std::string_view());
    connection.transmitControl(before, answer);
    if (deflate) mine.agreeOnCompression(deflate->agreed);
  } catch (const std::invalid_argument& e) {
    refuse(connection, 500, "the server's answer could not be made");
    connection.error(e);
    return false;
  }
  mine.open();
  return connection.getStatus() == TcpConnection::STATUS_ESTABLISHED;
}

void WebsocketServer::refuse(TcpConnection& connection, int status, std::string_view cause) const {
  connection.transmitControl(
      buildRefusal(status, {{"Content-Type", "text/plain"}}, std::string(cause) + "\n"), {});
  connection.linger(true);
}

SendResult WebsocketServer::send(TcpConnection& connection, Message message) const {
  auto& mine = static_cast<ServerSession&>(session(connection));
  if (message.type != typeTag<Http::Response>()) return WebsocketProtocol::send(connection, message);
  if (!mine.isAnswering || mine.isRefused) {
    throw std::logic_error(
        "a websocket sends a response only from onWebSocketConnect, to refuse: close(response)");
  }
  auto response = message.as<const Http::Response>();
  response.header("Connection", "close");
  mine.isRefused = true;
  return connection.transmitControl(response.toString(), {}) ? SendResult::sent() : SendResult::failed();
}

bool WebsocketServer::beginClose(TcpConnection& connection, int code, std::string_view reason) const {
  auto& mine = static_cast<ServerSession&>(session(connection));
  if (!mine.isAnswering) return WebsocketProtocol::beginClose(connection, code, reason);
  if (!std::exchange(mine.isRefused, true)) {
    refuse(connection, 403, reason.empty() ? "the server refused the websocket" : reason);
  } else {
    connection.linger(true);
  }
  return true;
}

bool WebsocketServer::isOpening(const TcpConnection& connection) const noexcept {
  const WebsocketSession* mine = find(connection);
  return connection.getStatus() == TcpConnection::STATUS_ESTABLISHED &&
         (mine == nullptr || mine->phase() == WebsocketSession::Phase::Opening);
}

void WebsocketServer::handshakeOverdue(TcpConnection& connection) const {
  refuse(connection, 408, "the websocket handshake took too long");
}

}  // namespace Workerman::Protocols::detail
