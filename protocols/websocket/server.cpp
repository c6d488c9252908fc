#include "server.h"

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "../../connection/stream/link_inline.h"
#include "../http/head_parser.h"
#include "../http/request.h"
#include "../http/response.h"
#include "../websocket.h"
#include "extensions.h"
#include "handshake.h"
#include "shared_message.h"

namespace Workerman::Protocols::detail {

using Connection::Input;
using Connection::Link;
using Connection::SendResult;
using Connection::TcpConnection;

/// A session that may still be refused.
class ServerSession final : public WebsocketSession {
 public:
  ServerSession(const Connection::Protocol& owner, Link& link) noexcept
      : WebsocketSession(owner, link, Role::Server) {}

  /// onWebSocketConnect is running: what it closes with is the answer.
  bool isAnswering = false;
  bool isRefused = false;
};

namespace {

/// Compression, if both sides want it.
std::optional<AcceptedDeflate> acceptOffer(const TcpConnection& connection, const Http::Request& request) {
  if (!connection.websocketDeflate && !connection.websocketType.isDeflate()) return std::nullopt;
  // checkRequest() has refused what cannot be parsed.
  return acceptDeflate(parseExtensions(request.header()).value_or(std::vector<Extension>()),
                       Websocket::deflate);
}

}  // namespace

std::unique_ptr<WebsocketSession> WebsocketServer::makeSession(Link& link) const {
  return std::make_unique<ServerSession>(*this, link);
}

std::unique_ptr<Connection::Broadcast> WebsocketServer::encodeForMany(std::string_view text) const {
  return std::make_unique<SharedMessage>(*this, text);
}

void WebsocketServer::receive(Link& link, Input& input) const {
  auto& mine = static_cast<ServerSession&>(session(link));
  if (mine.phase() == WebsocketSession::Phase::Opening && !upgrade(link, mine, input)) return;
  mine.receive(input);
}

/// Reads and answers the request. True: frames may follow in the same input.
bool WebsocketServer::upgrade(Link& link, ServerSession& mine, Input& input) const {
  auto result = Http::detail::parseRequestHead(input.view(), {}, mine.opening().scanned);
  if (const auto* incomplete = std::get_if<Http::detail::HeadIncomplete>(&result)) {
    mine.opening().scanned = incomplete->scanned;
    return false;
  }
  if (const auto* rejected = std::get_if<Http::detail::HeadRejected>(&result)) {
    refuse(link, rejected->status, rejected->cause);
    return false;
  }
  auto& head = std::get<Http::detail::RequestHead>(result);
  const RequestCheck check = checkRequest(head);
  if (!check.ok()) {
    refuse(link, check.status, check.cause);
    return false;
  }
  std::string raw(input.data(), head.consumed - 4);
  input.consume(head.consumed);
  Http::Request request(std::move(head), std::move(raw));
  request.connection = input.connection();
  if (!answer(link, mine, request, check.key)) return false;
  link.emit(link.connection().onWebSocketConnected, Message::of(request));
  request.connection = nullptr;
  return link.mayReceive(input);
}

/// Lets the application decide, then accepts. False: refused or closed.
bool WebsocketServer::answer(Link& link, ServerSession& mine, Http::Request& request,
                             const std::string& key) const {
  mine.isAnswering = true;
  link.emit(link.connection().onWebSocketConnect, Message::of(request));
  mine.isAnswering = false;
  const bool isUp = link.isEstablished() && link.stateOf(*this) == &mine;
  if (!isUp || mine.isRefused) return false;
  try {
    const auto deflate = acceptOffer(link.connection(), request);
    link.transmitControl(
        buildAccept(key, link.connection().websocketServerProtocol, link.connection().headers,
                    deflate ? deflate->answer : std::string_view()),
        {});
    if (deflate) mine.agreeOnCompression(deflate->agreed);
  } catch (const std::invalid_argument& e) {
    refuse(link, 500, "the server's answer could not be made");
    link.connection().error(e);
    return false;
  }
  mine.open();
  return link.isEstablished();
}

void WebsocketServer::refuse(Link& link, int status, std::string_view cause) const {
  link.transmitControl(buildRefusal(status, {{"Content-Type", "text/plain"}}, std::string(cause) + "\n"), {});
  link.linger(true);
}

SendResult WebsocketServer::send(Link& link, Message message) const {
  auto& mine = static_cast<ServerSession&>(session(link));
  if (message.type != typeTag<Http::Response>()) return WebsocketProtocol::send(link, message);
  if (!mine.isAnswering || mine.isRefused) {
    throw std::logic_error(
        "a websocket sends a response only from onWebSocketConnect, to refuse: close(response)");
  }
  auto response = message.as<const Http::Response>();
  response.header("Connection", "close");
  mine.isRefused = true;
  return link.transmitControl(response.toString(), {}) ? SendResult::sent() : SendResult::failed();
}

bool WebsocketServer::beginClose(Link& link, int code, std::string_view reason) const {
  auto& mine = static_cast<ServerSession&>(session(link));
  if (!mine.isAnswering) return WebsocketProtocol::beginClose(link, code, reason);
  if (!std::exchange(mine.isRefused, true)) {
    refuse(link, 403, reason.empty() ? "the server refused the websocket" : reason);
  } else {
    link.linger(true);
  }
  return true;
}

bool WebsocketServer::isOpening(const Link& link) const noexcept {
  const WebsocketSession* mine = find(link);
  return link.isEstablished() && (mine == nullptr || mine->phase() == WebsocketSession::Phase::Opening);
}

void WebsocketServer::handshakeOverdue(Link& link) const {
  refuse(link, 408, "the websocket handshake took too long");
}

}  // namespace Workerman::Protocols::detail
