#pragma once

/// The constants of the websocket server's scheme, websocket://.

#include "../connection/websocket_type.h"

namespace Workerman::Protocols {

/// @see Workerman manual: protocols/websocket; RFC 6455
struct Websocket {
  /// Text messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_BLOB = Connection::WebsocketType::BINARY_TYPE_BLOB;
  /// Binary messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_ARRAYBUFFER =
      Connection::WebsocketType::BINARY_TYPE_ARRAYBUFFER;
};

}  // namespace Workerman::Protocols
