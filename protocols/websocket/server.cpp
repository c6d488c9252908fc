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
std::optional<AcceptedDeflate> acceptOffer(const TcpConnection& connection,
                                           const Http::detail::FieldList& headers) {
  if (!connection.websocketDeflate && !connection.websocketType.isDeflate()) return std::nullopt;
  // checkRequest() has refused what cannot be parsed.
  return acceptDeflate(parseExtensions(headers).value_or(std::vector<Extension>()), Websocket::deflate);
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
  auto result = Http::detail::parseRequestHead(input.view(), {}, mine.scanned());
  if (const auto* incomplete = std::get_if<Http::detail::HeadIncomplete>(&result)) {
    mine.opening().scanned = incomplete->scanned;
    return false;
  }
  if (const auto* rejected = std::get_if<Http::detail::HeadRejected>(&result)) {
    refuse(link, rejected->status, rejected->cause);
    return false;
  }
  const auto& head = *std::get_if<Http::detail::RequestHead>(&result);
  const RequestCheck check = checkRequest(head);
  if (!check.ok()) {
    refuse(link, check.status, check.cause);
    return false;
  }
  input.consume(head.consumed);
  // Nothing runs between here and the answer that could change the bytes of the head.
  if (!link.connection().onWebSocketConnect && !link.connection().onWebSocketConnected)
    return answer(link, mine, head) && link.mayReceive(input);
  Http::Request request(head);
  request.connection = input.connection();
  return open(link, mine, request) && link.mayReceive(input);
}

bool WebsocketServer::accept(Link& link, Http::Request& request) const {
  const std::string mismatch = link.changeProtocol(this);
  if (!mismatch.empty()) throw std::runtime_error(mismatch);
  auto& mine = static_cast<ServerSession&>(session(link));
  const RequestCheck check = checkRequest(request.head());
  if (!check.ok()) {
    refuse(link, check.status, check.cause);
    return false;
  }
  return open(link, mine, request);
}

/// Lets the application decide about a request that checkRequest() has passed, answers it, and says so.
/// False: refused or closed.
bool WebsocketServer::open(Link& link, ServerSession& mine, Http::Request& request) const {
  if (!decide(link, mine, request) || !answer(link, mine, request.head())) return false;
  link.emit(link.connection().onWebSocketConnected, Message::of(request));
  request.connection = nullptr;
  return link.stateOf(*this) == &mine && mine.phase() == WebsocketSession::Phase::Open;
}

/// Lets the application decide. False: refused or closed.
bool WebsocketServer::decide(Link& link, ServerSession& mine, Http::Request& request) const {
  mine.isAnswering = true;
  link.emit(link.connection().onWebSocketConnect, Message::of(request));
  mine.isAnswering = false;
  return link.isEstablished() && link.stateOf(*this) == &mine && !mine.isRefused;
}

/// Answers a request that checkRequest() has passed. False: the connection is gone.
bool WebsocketServer::answer(Link& link, ServerSession& mine, const Http::detail::RequestHead& head) const {
  try {
    const auto deflate = acceptOffer(link.connection(), head.headers);
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const std::string_view before = expectsContinue(head) ? kContinue : std::string_view();
    const std::string accepted =
        buildAccept(*head.headers.get(Http::detail::FieldName::SecWebSocketKey),
                    link.connection().websocketServerProtocol, link.connection().headers,
                    deflate ? deflate->answer : std::string_view());
    link.transmitControl(before, accepted);
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
