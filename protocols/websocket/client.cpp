#include "client.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "../../connection/stream/async_tcp_connection.h"
#include "../../connection/stream/link_inline.h"
#include "../http/head_parser.h"
#include "../http/response.h"
#include "../ws.h"
#include "extensions.h"
#include "handshake.h"

namespace Workerman::Protocols::detail {

using Connection::AsyncTcpConnection;
using Connection::Input;
using Connection::Link;
using Connection::TcpConnection;

namespace {

/// Interim answers that are skipped; together with the one that counts they have to fit the limits of a head.
constexpr unsigned kMostInterim = 32;

bool wantsDeflate(const TcpConnection& connection) {
  return connection.websocketDeflate || connection.websocketType.isDeflate();
}

std::string requestFor(TcpConnection& connection, std::string_view key) {
  HandshakeRequest request;
  std::string host = "localhost";
  std::string target = "/";
  if (const auto* client = dynamic_cast<const AsyncTcpConnection*>(&connection)) {
    if (!client->getRemoteHost().empty()) host = client->getRemoteHost();
    target = client->getRemoteURI();
    request.port = connection.transport == "unix" ? 0 : client->targetPort();
  }
  request.host = host;
  request.target = target;
  request.secure = connection.transport == "ssl";
  request.key = key;
  request.origin = connection.websocketOrigin;
  request.protocols = connection.websocketClientProtocol;
  request.headers = &connection.headers;
  const std::string offer = wantsDeflate(connection) ? offerDeflate(Ws::deflate) : std::string();
  request.extensions = offer;
  return buildRequest(request);
}

/// The sub-protocols offered, by the property or by a header of the user's own.
std::string_view offeredProtocols(const TcpConnection& connection) {
  if (!connection.websocketClientProtocol.empty()) return connection.websocketClientProtocol;
  return connection.headers.get("Sec-WebSocket-Protocol").value_or("");
}

/// What is wrong with the server's answer; nothing: agreed.
std::optional<std::string> judge(const Http::detail::ResponseHead& head, const TcpConnection& connection,
                                 WebsocketSession& session) {
  const std::string_view extensions = session.offersCompression() ? "permessage-deflate" : "";
  auto wrong = checkResponse(head, session.opening().key, offeredProtocols(connection), extensions);
  if (wrong || !session.offersCompression()) return wrong;
  // checkResponse() has refused what cannot be parsed.
  auto deflate =
      readDeflateAnswer(parseExtensions(head.headers).value_or(std::vector<Extension>()), Ws::deflate);
  if (!deflate.error.empty()) return std::move(deflate.error);
  session.agreeOnCompression(deflate.agreed);
  return std::nullopt;
}

}  // namespace

std::unique_ptr<WebsocketSession> WebsocketClient::makeSession(Link& link) const {
  return std::make_unique<WebsocketSession>(*this, link, Role::Client);
}

void WebsocketClient::prepare(Link& link) const {
  static_cast<void>(requestFor(link.connection(), "AAAAAAAAAAAAAAAAAAAAAA=="));
}

void WebsocketClient::onConnect(Link& link) const {
  WebsocketSession& mine = session(link);
  mine.opening().key = newKey();
  link.connection().websocketServerProtocol = nullptr;
  if (wantsDeflate(link.connection())) mine.offerCompression();
  link.transmitControl(requestFor(link.connection(), mine.opening().key), {});
}

void WebsocketClient::receive(Link& link, Input& input) const {
  WebsocketSession& mine = session(link);
  if (mine.phase() == WebsocketSession::Phase::Opening && !upgrade(link, mine, input)) return;
  mine.receive(input);
}

/// Reads the head that counts off the input, past interim answers; null: it is not there yet, or the
/// connection is lost.
std::optional<Http::detail::ResponseHead> WebsocketClient::readAnswer(Link& link, WebsocketSession& mine,
                                                                      Input& input) const {
  const auto bad = [&link](std::string_view cause) {
    link.lost("bad websocket handshake: " + std::string(cause));
    return std::nullopt;
  };
  auto& opening = mine.opening();
  for (;;) {
    Http::detail::HeadLimits limits;
    limits.maxBytes -= opening.interimBytes;
    auto result = Http::detail::parseResponseHead(input.view(), limits, opening.scanned);
    if (const auto* incomplete = std::get_if<Http::detail::HeadIncomplete>(&result)) {
      opening.scanned = incomplete->scanned;
      return std::nullopt;
    }
    if (const auto* rejected = std::get_if<Http::detail::HeadRejected>(&result)) return bad(rejected->cause);
    auto& head = *std::get_if<Http::detail::ResponseHead>(&result);
    if (!isInterim(head.status)) return std::move(head);
    if (++opening.interim > kMostInterim) return bad("too many interim answers");
    opening.interimBytes += head.consumed;
    opening.scanned = 0;
    input.consume(head.consumed);
  }
}

/// Reads the server's answer. True: frames may follow in the same input.
bool WebsocketClient::upgrade(Link& link, WebsocketSession& mine, Input& input) const {
  const auto answer = readAnswer(link, mine, input);
  if (!answer) return false;
  const Http::detail::ResponseHead& head = *answer;
  if (const auto wrong = judge(head, link.connection(), mine)) {
    link.lost("bad websocket handshake: " + *wrong);
    return false;
  }
  input.consume(head.consumed);
  if (const auto chosen = head.headers.get(Http::detail::FieldName::SecWebSocketProtocol))
    link.connection().websocketServerProtocol = *chosen;
  std::optional<Http::Response> response;
  if (link.connection().onWebSocketConnect) response = Http::Response::fromHead(head);
  link.protocolReady();
  const bool wasFull = mine.pendingBytes() >= link.connection().maxSendBufferSize;
  mine.open();
  if (find(link) != &mine) return false;  // sending what waited has found the socket dead
  if (response) link.emit(link.connection().onWebSocketConnect, Message::of(*response));
  // Differs from Workerman: who was told of a full buffer before the upgrade hears that it is empty.
  if (wasFull && find(link) == &mine && link.queuedBytes() == 0) link.emit(link.connection().onBufferDrain);
  return link.mayReceive(input);
}

}  // namespace Workerman::Protocols::detail
