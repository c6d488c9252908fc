#pragma once

/// The callbacks that a worker and each of its connections have, listed once.

#include <tuple>

#include "callback.h"

namespace Workerman {

namespace detail {

/// What the callbacks of a TcpConnection are.
struct ConnectionSlots {
  using Plain = ConnectionCallback;
  using Message = MessageCallback;
  using Error = ErrorCallback;
  using Handshake = HandshakeCallback;
  using Payload = PayloadCallback;
};

/// The same for a Worker, which may be one for datagrams as well.
struct WorkerSlots {
  using Plain = WorkerConnectionCallback;
  using Message = WorkerMessageCallback;
  using Error = WorkerErrorCallback;
  using Handshake = WorkerHandshakeCallback;
  using Payload = WorkerPayloadCallback;
};

}  // namespace detail

/// @name Callbacks
/// Each may be replaced or set to nullptr at any time, also while it runs. A connection takes its worker's
/// over when it is accepted; all of a connection's are released on its final close.
/// @see Workerman manual: worker, tcp-connection
template <class Slots>
class ConnectionCallbacks {
 public:
  typename Slots::Plain onConnect;                 ///< the socket is connected, TLS included
  typename Slots::Message onMessage;               ///< (connection, data)
  typename Slots::Plain onClose;                   ///< the connection is closed, whoever did it
  typename Slots::Error onError;                   ///< (connection, code, message)
  typename Slots::Plain onBufferFull;              ///< the send buffer has reached maxSendBufferSize
  typename Slots::Plain onBufferDrain;             ///< the send buffer is empty again
  typename Slots::Handshake onWebSocketConnect;    ///< a websocket's handshake
  typename Slots::Handshake onWebSocketConnected;  ///< a server's websocket is open
  typename Slots::Error onWebSocketClose;          ///< (connection, code, reason), once, before onClose
  typename Slots::Payload onWebSocketPing;         ///< (connection, payload); what it sends is the pong
  typename Slots::Payload onWebSocketPong;         ///< (connection, payload)

 protected:
  template <class>
  friend class ConnectionCallbacks;

  /// Those of `other`, which is what a worker's are for.
  template <class Other>
  void takeOver(const ConnectionCallbacks<Other>& other) {
    each(*this) = ConnectionCallbacks<Other>::each(other);
  }
  void releaseCallbacks() noexcept { *this = {}; }

 private:
  template <class Self>
  static auto each(Self& all) noexcept {
    return std::tie(all.onConnect, all.onMessage, all.onClose, all.onError, all.onBufferFull,
                    all.onBufferDrain, all.onWebSocketConnect, all.onWebSocketConnected, all.onWebSocketClose,
                    all.onWebSocketPing, all.onWebSocketPong);
  }
};

}  // namespace Workerman
