#pragma once

/// A stream connection: one accepted by a Worker, or the base of one made by
/// AsyncTcpConnection.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "../../core/callback.h"
#include "../../core/connection_callbacks.h"
#include "../../core/connection_view.h"
#include "../../core/seconds.h"
#include "../compact_text.h"
#include "../connection_interface.h"
#include "../context.h"
#include "../headers.h"
#include "../names/peer_address.h"
#include "../ssl_info.h"
#include "../websocket_type.h"
#include "link.h"

namespace Workerman::Connection {

namespace detail {
class TcpListener;
class TlsStream;
}  // namespace detail

/// @see Workerman manual: tcp-connection
///
/// Lives in a shared_ptr. The framework holds it from connect() or accept until
/// its final close; a handle kept longer is safe: every method of a closed
/// connection is a harmless no-op that reports failure.
///
/// Belongs to the thread of its loop.
class TcpConnection : public ConnectionInterface,
                      public std::enable_shared_from_this<TcpConnection>,
                      public ConnectionCallbacks<Workerman::detail::ConnectionSlots>,
                      protected detail::Link {
 public:
  static constexpr int READ_BUFFER_SIZE = 87380;
  static constexpr int STATUS_INITIAL = 0;
  static constexpr int STATUS_CONNECTING = 1;
  static constexpr int STATUS_ESTABLISHED = 2;
  /// After end(): what is queued leaves, then FIN, then input is drained.
  static constexpr int STATUS_ENDING = 4;
  /// After close(): what is queued leaves, a websocket says good-bye.
  static constexpr int STATUS_CLOSING = 8;
  static constexpr int STATUS_CLOSED = 16;
  static constexpr int TCP_KEEPALIVE_INTERVAL = 55;
  static const std::map<int, std::string> STATUS_TO_STRING;

  /// tcp, unix or ssl.
  CompactText transport = CompactText::literal<"tcp">();
  /// Who accepted it; null for an AsyncTcpConnection and after the close.
  Worker* worker = nullptr;
  /// Bytes received, and bytes handed to the kernel or about to be.
  std::int64_t bytesRead = 0;
  std::int64_t bytesWritten = 0;
  /// Unique in this thread, ascending, never used again.
  std::int64_t id;
  /// From this many queued bytes on onBufferFull fires and send() drops.
  std::size_t maxSendBufferSize = defaultMaxSendBufferSize;
  /// The longest package or websocket message that is received, in bytes.
  std::size_t maxPackageSize = defaultMaxPackageSize;
  /// Seconds that end() waits for the peer to close.
  Seconds lingerTimeout = defaultLingerTimeout;
  /// Seconds that close() and end() wait for a peer that takes nothing of what is queued, each time anew
  /// while it takes some; then the connection ends without. 0: no limit, as in PHP. Websockets have
  /// websocketCloseTimeout. Not in Workerman.
  Seconds closeTimeout = defaultCloseTimeout;
  /// One's own values, by name. @see Workerman manual: tcp-connection/context
  Context context;
  /// A client's request headers; a server's answer headers.
  HeaderList headers;

  /// @name Websocket
  /// @{
  /// What send() sends: text (BINARY_TYPE_BLOB) or binary (BINARY_TYPE_ARRAYBUFFER), or their _DEFLATE kinds.
  WebsocketType websocketType;
  /// During onMessage: what kind of message came, text or binary, compressed or not.
  WebsocketType websocketMessageType;
  /// Compress what is sent: negotiates permessage-deflate (RFC 7692) if it is true, or websocketType a
  /// _DEFLATE kind, when a client connects or a server answers. Without effect where the peer declines.
  bool websocketDeflate = false;
  /// Client: the sub-protocols offered ("a, b"). Null: none.
  CompactText websocketClientProtocol;
  /// Client: the sub-protocol that the server chose. Null: none.
  CompactText websocketServerProtocol;
  /// Client: the Origin header. Null: none.
  CompactText websocketOrigin;
  /// Seconds between pings; 0: none.
  BasicSeconds<float> websocketPingInterval;
  /// Seconds that a ping's pong may take before the connection counts as lost;
  /// 0: for ever; below 0: the ping interval.
  BasicSeconds<float, BelowZero::Allowed> websocketPongTimeout{-1};
  /// Seconds that close() waits for the peer's close frame, and for the peer to
  /// take more of what was sent before ours: a slow reader gets all of it.
  BasicSeconds<float> websocketCloseTimeout{2};
  /// @}

  /// Start values of new connections; process-wide, set before runAll() or embed().
  static inline std::size_t defaultMaxSendBufferSize = 1048576;
  static inline std::size_t defaultMaxPackageSize = 10485760;
  static inline Seconds defaultLingerTimeout{1};
  static inline Seconds defaultCloseTimeout{30};

  /// All connections of this thread, by id.
  static constexpr ConnectionView connections{};

  ~TcpConnection() override;

  /// One of STATUS_*.
  int getStatus() const noexcept { return life_.status(); }
  /// false: its name, as in STATUS_TO_STRING; true: its number as text.
  std::string getStatus(bool rawOutput) const;

  std::string getRemoteIp() const override;
  int getRemotePort() const override;
  std::string getRemoteAddress() const override;
  std::string getLocalIp() const override;
  int getLocalPort() const override;
  std::string getLocalAddress() const override;
  bool isIpV4() const override;
  bool isIpV6() const override;

  /// What is known of the TLS connection; nothing without TLS, and before its
  /// handshake is done. Still there in onClose. Not in Workerman.
  std::optional<SslInfo> getSslInfo() const;

  /// Bytes that wait to be written.
  std::size_t getSendBufferQueueSize() const noexcept { return queuedBytes(); }
  /// Bytes received that wait to be parsed.
  std::size_t getRecvBufferQueueSize() const noexcept { return receivedBytes(); }
  bool bufferIsEmpty() const noexcept { return getSendBufferQueueSize() == 0; }

  /// Stops onMessage until resumeRecv(). @see Workerman manual: tcp-connection/pause-recv
  void pauseRecv() { hold(ForUser); }
  /// Goes on; delivers what is already buffered before it returns (inside this
  /// connection's onMessage: when that returns).
  void resumeRecv() { release(ForUser); }
  /// Sends to `dest` whatever arrives here, throttled by its send buffer; when
  /// this connection closes, so does `dest`. Where `dest` is piped back to this
  /// one and both carry raw bytes, the end of either's stream is passed on
  /// alone: the other direction goes on until it ends as well.
  /// @see Workerman manual: tcp-connection/pipe
  void pipe(const TcpConnectionPtr& dest);

  /// @name Topics of the worker. Not in Workerman.
  /// @see Worker::publish()
  /// @{
  /// From now on this connection gets what is published under `topic` (any
  /// text; there are no patterns), until it is closed. False: it does already,
  /// or is closed. @throws std::logic_error if no Worker accepted it.
  bool subscribe(std::string_view topic);
  /// False: it was not subscribed.
  bool unsubscribe(std::string_view topic);
  bool isSubscribed(std::string_view topic) const noexcept;
  /// @}

  /// Drops the first `length` bytes of what waits to be parsed, for a protocol's
  /// input() that has dealt with them itself.
  void consumeRecvBuffer(std::size_t length) { consumeReceived(length); }

  /// Closes at once: what is corked is written, without waiting; what is queued
  /// is lost. onClose has run when this returns.
  void destroy();
  /// Ends gracefully: sends what is queued, then FIN, drains input until the
  /// peer closes or lingerTimeout is over, closes. onMessage is not called any
  /// more. @see Workerman manual: tcp-connection/end
  void end() { endSoon(); }
  template <TextLike T>
  void end(const T& text, bool raw = false) {
    if (life_.maySend()) sendText(static_cast<std::string_view>(text), raw);
    end();
  }
  template <class T>
  requires(!TextLike<T>) __attribute__((unavailable("end() takes text"))) void end(const T&, bool = false) {}

  /// The file descriptor, -1 if there is none.
  int getSocket() const noexcept { return descriptor(); }
  nlohmann::json jsonSerialize() const;

  /// One T per connection, made at the first call. @throws std::runtime_error
  /// when it was asked for with another type before.
  template <class T>
  T& userData() {
    return context.userData<T>();
  }

 protected:
  /// In the phase that an accepted one begins with, or one that is to be connected.
  explicit TcpConnection(detail::Life::Phase phase);

  SendResult sendText(std::string_view text, bool raw) override;
  SendResult sendValue(Message value) override;
  void closeAfterSending() override { closeSoon(); }
  void closeWithCode(int code, std::string_view reason) override;

  /// @name What an AsyncTcpConnection does in its own way
  /// @{
  /// The protocol is ready to talk.
  virtual void ready() {}
  /// The connection is lost or useless, for a reason that may be in words.
  virtual void gone(std::string_view cause) { destroyBecause(cause); }
  /// The TLS handshake is done, or has failed.
  virtual void secured();
  virtual void handshakeFailed(std::string_view cause);
  /// The connection is going down: what leads to one stops.
  virtual void stopConnecting() noexcept {}
  /// What goes wrong now is a failure to connect.
  virtual bool isStillConnecting() const noexcept { return false; }
  /// onClose has run. True when a reconnect is on its way.
  virtual bool startsAnew() { return false; }
  /// Its onClose has run, and nothing has begun since.
  virtual bool isCloseTold() const noexcept { return false; }
  /// Which side of its protocol it speaks.
  virtual Side side() const noexcept { return Side::Server; }
  /// What getRemoteAddress() says while there is no peer.
  virtual std::string targetAddress() const { return {}; }
  /// @}

  detail::PeerAddress remoteAddress_;

 private:
  friend class detail::Link;
  friend class detail::TcpListener;

  static TcpConnectionPtr accepted(EventLoop& loop, int fd, detail::PeerAddress peer,
                                   std::unique_ptr<detail::TlsStream> tls);
};

}  // namespace Workerman::Connection
