#pragma once

/// The constants of the websocket client's scheme, ws://.

#include "../connection/websocket_type.h"
#include "websocket/deflate_options.h"

namespace Workerman::Protocols {

/// @see Workerman manual: async-tcp-connection (the ws protocol); RFC 6455
///
/// `connection->websocketDeflate = true` before connect() offers compression (RFC 7692), and compresses the
/// messages sent if the server accepts it; set it to false for those that should go plain.
struct Ws {
  /// Text messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_BLOB = Connection::WebsocketType::BINARY_TYPE_BLOB;
  /// Binary messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_ARRAYBUFFER =
      Connection::WebsocketType::BINARY_TYPE_ARRAYBUFFER;

  /// How clients compress: with context, for those servers that keep one.
  static inline DeflateOptions deflate{.serverNoContextTakeover = false, .clientNoContextTakeover = false};
};

}  // namespace Workerman::Protocols
