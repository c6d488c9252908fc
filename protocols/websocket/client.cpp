#include "client.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "../../connection/stream/async_tcp_connection.h"
#include "../http/head_parser.h"
#include "../http/response.h"
#include "../ws.h"
#include "extensions.h"
#include "handshake.h"

namespace Workerman::Protocols::detail {

using Connection::AsyncTcpConnection;
using Connection::Input;
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

std::unique_ptr<WebsocketSession> WebsocketClient::makeSession(TcpConnection& connection) const {
  return std::make_unique<WebsocketSession>(*this, connection, Role::Client);
}

void WebsocketClient::prepare(TcpConnection& connection) const {
  static_cast<void>(requestFor(connection, "AAAAAAAAAAAAAAAAAAAAAA=="));
}

void WebsocketClient::onConnect(TcpConnection& connection) const {
  WebsocketSession& mine = session(connection);
  mine.opening().key = newKey();
  connection.websocketServerProtocol = nullptr;
  if (wantsDeflate(connection)) mine.offerCompression();
  connection.transmitControl(requestFor(connection, mine.opening().key), {});
}

void WebsocketClient::receive(TcpConnection& connection, Input& input) const {
  WebsocketSession& mine = session(connection);
  if (mine.phase() == WebsocketSession::Phase::Opening && !upgrade(connection, mine, input)) return;
  mine.receive(input);
}

/// Reads the head that counts off the input, past interim answers; null: it is not there yet, or `connection`
/// is lost.
std::optional<Http::detail::ResponseHead> WebsocketClient::readAnswer(TcpConnection& connection,
                                                                      WebsocketSession& mine,
                                                                      Input& input) const {
  const auto bad = [&connection](std::string_view cause) {
    connection.lost("bad websocket handshake: " + std::string(cause));
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
bool WebsocketClient::upgrade(TcpConnection& connection, WebsocketSession& mine, Input& input) const {
  const auto answer = readAnswer(connection, mine, input);
  if (!answer) return false;
  const Http::detail::ResponseHead& head = *answer;
  if (const auto wrong = judge(head, connection, mine)) {
    connection.lost("bad websocket handshake: " + *wrong);
    return false;
  }
  input.consume(head.consumed);
  if (const auto chosen = head.headers.get(Http::detail::FieldName::SecWebSocketProtocol))
    connection.websocketServerProtocol = *chosen;
  std::optional<Http::Response> response;
  if (connection.onWebSocketConnect) response = Http::Response::fromHead(head);
  connection.protocolReady();
  const bool wasFull = mine.pendingBytes() >= connection.maxSendBufferSize;
  mine.open();
  if (find(connection) != &mine) return false;  // sending what waited has found the socket dead
  if (response) connection.emit(connection.onWebSocketConnect, Message::of(*response));
  // Differs from Workerman: who was told of a full buffer before the upgrade hears that it is empty.
  if (wasFull && find(connection) == &mine && connection.bufferIsEmpty())
    connection.emit(connection.onBufferDrain);
  return connection.mayReceive(input);
}

}  // namespace Workerman::Protocols::detail
