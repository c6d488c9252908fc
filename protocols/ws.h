#pragma once

/// The constants of the websocket client's scheme, ws://.

#include "../connection/websocket_type.h"

namespace Workerman::Protocols {

/// @see Workerman manual: async-tcp-connection (the ws protocol); RFC 6455
struct Ws {
  /// Text messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_BLOB = Connection::WebsocketType::BINARY_TYPE_BLOB;
  /// Binary messages.
  static constexpr Connection::WebsocketType BINARY_TYPE_ARRAYBUFFER =
      Connection::WebsocketType::BINARY_TYPE_ARRAYBUFFER;
};

}  // namespace Workerman::Protocols
