#pragma once

/// The constants of the websocket server's scheme, websocket://.

#include "../connection/websocket_type.h"
#include "websocket/deflate_options.h"

namespace Workerman::Protocols {

/// @see Workerman manual: protocols/websocket; RFC 6455
///
/// Compression (RFC 7692) is used on a connection that asks for it before it answers the handshake, if the
/// client offers it:
///
///     worker.onWebSocketConnect = [](auto connection, auto&) {
///         connection->websocketType = Websocket::BINARY_TYPE_BLOB_DEFLATE;
///     };
///
/// (in onConnect it works as well). From then on the messages sent with a _DEFLATE type are compressed, and
/// the others are not; `connection->websocketDeflate = true` instead compresses all of them. Where the
/// client does not offer it, a _DEFLATE type sends plain messages. What is sent before the answer is plain.
struct Websocket {
  /// Text messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_BLOB = Connection::WebsocketType::BINARY_TYPE_BLOB;
  /// Binary messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_ARRAYBUFFER =
      Connection::WebsocketType::BINARY_TYPE_ARRAYBUFFER;
  /// Text messages, compressed where that was negotiated.
  static constexpr Connection::WebsocketType BINARY_TYPE_BLOB_DEFLATE =
      Connection::WebsocketType::BINARY_TYPE_BLOB_DEFLATE;
  /// Binary messages, compressed where that was negotiated.
  static constexpr Connection::WebsocketType BINARY_TYPE_ARRAYBUFFER_DEFLATE =
      Connection::WebsocketType::BINARY_TYPE_ARRAYBUFFER_DEFLATE;

  /// How servers compress: without a context, which costs no memory per connection.
  static inline DeflateOptions deflate{.serverNoContextTakeover = true, .clientNoContextTakeover = true};
};

}  // namespace Workerman::Protocols
