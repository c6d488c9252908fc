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
#include "../../core/connection_view.h"
#include "../../core/loop_timer.h"
#include "../../core/poll_handle.h"
#include "../compact_text.h"
#include "../connection_interface.h"
#include "../context.h"
#include "../headers.h"
#include "../protocol.h"
#include "../ssl_info.h"
#include "../websocket_type.h"
#include "byte_queue.h"

struct iovec;

namespace Workerman::Connection {

namespace detail {
class LoopIo;
class Subscriber;
class TlsStream;
}  // namespace detail

/// @see Workerman manual: tcp-connection
///
/// Lives in a shared_ptr. The framework holds it from connect() or accept until
/// its final close; a handle kept longer is safe: every method of a closed
/// connection is a harmless no-op that reports failure.
///
/// Belongs to the thread of its loop.
class TcpConnection : public ConnectionInterface, public std::enable_shared_from_this<TcpConnection> {
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

  /// @name Callbacks
  /// Each may be replaced or set to nullptr at any time, also while it runs.
  /// All are released on the final close.
  /// @{
  ConnectionCallback onConnect;            ///< the socket is connected
  HandshakeCallback onWebSocketConnect;    ///< a websocket's handshake
  HandshakeCallback onWebSocketConnected;  ///< a server's websocket is open
  ErrorCallback onWebSocketClose;          ///< (connection, code, reason), once, before onClose
  PayloadCallback onWebSocketPing;         ///< (connection, payload); what it sends is the pong
  PayloadCallback onWebSocketPong;         ///< (connection, payload)
  MessageCallback onMessage;               ///< (connection, data)
  ConnectionCallback onClose;              ///< the connection is closed, whoever did it
  ErrorCallback onError;                   ///< (connection, code, message)
  ConnectionCallback onBufferFull;         ///< the send buffer has reached maxSendBufferSize
  ConnectionCallback onBufferDrain;        ///< the send buffer is empty again
  /// @}

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
  double lingerTimeout = defaultLingerTimeout;
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
  float websocketPingInterval = 0;
  /// Seconds that a ping's pong may take before the connection counts as lost;
  /// 0: for ever; below 0: the ping interval.
  float websocketPongTimeout = -1;
  /// Seconds that close() waits for the peer's close frame, and for the peer to
  /// take more of what was sent before ours: a slow reader gets all of it.
  float websocketCloseTimeout = 2;
  /// @}

  /// Start values of new connections; process-wide, set before runAll() or embed().
  static inline std::size_t defaultMaxSendBufferSize = 1048576;
  static inline std::size_t defaultMaxPackageSize = 10485760;
  static inline double defaultLingerTimeout = 1.0;

  /// All connections of this thread, by id.
  static constexpr ConnectionView connections{};

  ~TcpConnection() override;

  /// One of STATUS_*.
  int getStatus() const noexcept { return status_; }
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
  std::size_t getSendBufferQueueSize() const noexcept;
  /// Bytes received that wait to be parsed.
  std::size_t getRecvBufferQueueSize() const noexcept;
  bool bufferIsEmpty() const noexcept { return getSendBufferQueueSize() == 0; }

  /// Stops onMessage until resumeRecv(). @see Workerman manual: tcp-connection/pause-recv
  void pauseRecv();
  /// Goes on; delivers what is already buffered before it returns (inside this
  /// connection's onMessage: when that returns).
  void resumeRecv();
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
  void consumeRecvBuffer(std::size_t length);

  /// Closes at once: what is corked is written, without waiting; what is queued
  /// is lost. onClose has run when this returns.
  void destroy();
  /// Ends gracefully: sends what is queued, then FIN, drains input until the
  /// peer closes or lingerTimeout is over, closes. onMessage is not called any
  /// more. @see Workerman manual: tcp-connection/end
  void end();
  template <TextLike T>
  void end(const T& text, bool raw = false) {
    if (mayStillSend()) sendText(static_cast<std::string_view>(text), raw);
    end();
  }

  /// The file descriptor, -1 if there is none.
  int getSocket() const noexcept { return fd_; }
  nlohmann::json jsonSerialize() const;

  /// One T per connection, made at the first call. @throws std::runtime_error
  /// when it was asked for with another type before.
  template <class T>
  T& userData() {
    return context.userData<T>();
  }

  /// @name For protocols (internal)
  /// @{
  bool mayReceive(const Input& input) const noexcept {
    // What is abandoned is nobody's input any more.
    return pump_ == &input && !isPaused_ && !stopsReceiving();
  }
  bool isPaused() const noexcept { return isPaused_; }
  /// Hands a decoded message to onMessage and counts it.
  void deliver(const Message& message) noexcept {
    ++statistics.total_request;
    if (!onMessage) return;
    try {
      onMessage(pump_->connection(), message);
    } catch (...) {
      handleException();
    }
  }
  void deliverText(std::string_view text) noexcept { deliver(Message::of(text)); }
  /// Sends bytes as application data: buffer limits apply.
  SendResult transmit(std::string_view head, std::string_view body, std::string_view tail = {});
  /// Sends bytes that are never dropped for a full buffer. False: closed.
  bool transmitControl(std::string_view head, std::string_view body);
  /// Whether `queued` bytes leave room for another message; if not, tells onError.
  bool admits(std::size_t queued);
  /// Tells onBufferFull if `queued` bytes have reached the limit.
  void announceIfFull(std::size_t queued);
  /// What `spoken` keeps here; null if it keeps nothing.
  ProtocolState* stateOf(const Protocol& spoken) const noexcept {
    return protocolState_ && protocolState_->owner() == &spoken ? protocolState_.get() : nullptr;
  }
  void setProtocolState(std::unique_ptr<ProtocolState> state);
  /// The client's handshake is done: its connection time limit is over.
  virtual void protocolReady() {}
  /// The connection is lost or useless: tells the protocol why, then closes.
  virtual void lost(std::string_view cause);
  /// Shuts down writing when all is written, drains input until the peer closes
  /// or lingerTimeout is over, then closes.
  void linger(bool shutdownWrite);
  /// From now on what is sent waits for the loop's next iteration, so that the
  /// protocol's beforeWrite() can add to it what is to arrive with it.
  void holdOutput() noexcept { holdsOutput_ = true; }
  /// Bytes have come that the protocol has not been given, or not in whole packages or records.
  bool hasUnreadInput() const noexcept;
  /// Status CLOSING, while the protocol's good-bye is on its way; input goes on.
  void awaitGoodbye() noexcept;
  /// During receive(): a handle of this connection.
  const TcpConnectionPtr& pinned() const noexcept { return pump_->connection(); }
  /// Room for `size` bytes that will leave with the others of this callback,
  /// for a protocol that encodes in place: write, then closeCork(). Null: use
  /// transmit().
  char* openCork(std::size_t size) noexcept;
  SendResult closeCork(std::size_t size) noexcept;
  /// Sends what was published for this connection and still waits, so that it
  /// stays in front of what comes now.
  void sendPublished() noexcept {
    if (rare_) [[unlikely]]
      catchUp();
  }
  const detail::Subscriber* subscriber() const noexcept;
  /// Its worker is gone.
  void disown() noexcept;
  /// Calls a callback; what it throws goes to error().
  template <class Slot, class... Args>
  void emit(const Slot& slot, Args&&... args) noexcept;
  /// @}

  /// Takes a socket that a listener accepted (internal); `tls`: what it speaks
  /// with the client, null for none.
  static TcpConnectionPtr accepted(EventLoop& loop, int fd, std::string remoteAddress,
                                   std::unique_ptr<detail::TlsStream> tls);
  /// Starts receiving, after the worker has set it up (internal).
  void startAccepted();
  /// Whether an accepted connection still owes a handshake: TLS or its protocol's (internal).
  bool isOpening() const noexcept;
  /// isOpening() when the worker's handshakeTimeout is over (internal).
  void handshakeOverdue();
  /// How many looks in a row, this one included, have found that no byte moved
  /// (internal).
  unsigned sweptIdle() noexcept { return ++idleSweeps_; }
  void markActive() noexcept { idleSweeps_ = 0; }

 protected:
  TcpConnection();

  SendResult sendText(std::string_view text, bool raw) override;
  SendResult sendValue(Message value) override;
  void closeAfterSending() override;
  void closeWithCode(int code, std::string_view reason) override;

  bool mayStillSend() const noexcept { return status_ <= STATUS_ESTABLISHED; }
  bool stopsReceiving() const noexcept {
    return status_ != STATUS_ESTABLISHED && !(status_ == STATUS_CLOSING && awaitsGoodbye_);
  }
  /// Holds this object until the final close.
  void holdSelf();
  /// The opposite; this may be gone afterwards unless the caller has a handle.
  void releaseSelf();
  /// Takes over a connected socket and starts watching it.
  void adoptSocket(EventLoop& loop, int fd);
  void closeSocket() noexcept;
  /// Gives the socket up for another, telling nobody: what is corked is written,
  /// what is queued for it goes. Without a socket, what is queued waits for one.
  void leaveSocket();
  /// Parses bytes that arrived with the end of a proxy's answer.
  void receiveLeftOver(std::string_view bytes);
  void handleException() noexcept;
  void writeQueued();
  bool sendFinIfDue();
  /// Begins TLS, as the client, on the socket just taken over.
  void startTls(std::unique_ptr<detail::TlsStream> stream);
  bool isInTlsHandshake() const noexcept;
  void receiveCiphertext(std::string_view bytes);
  /// Hook: the TLS handshake is done.
  virtual void secured();
  /// Hook: the TLS handshake has failed.
  virtual void handshakeFailed(std::string_view cause);
  void updateWatch() noexcept;
  void destroyBecause(std::string_view cause);
  /// Hook: the connection is going down. Stop what leads to a connection.
  virtual void stopConnecting() noexcept {}
  /// Hook: what goes wrong now is a failure to connect.
  virtual bool isStillConnecting() const noexcept { return false; }
  /// Hook: onClose has run. True when a reconnect is on its way.
  virtual bool startsAnew() { return false; }
  /// Hook: its onClose has run, and nothing has begun since.
  virtual bool isCloseTold() const noexcept { return false; }
  static std::string describeError(int error);

  int status_ = STATUS_ESTABLISHED;
  int fd_ = -1;
  bool isDestroying_ = false;
  CompactText remoteAddress_;
  /// What waits for the socket; with TLS it is encrypted, and what waits to be is in tls_->waiting, which
  /// then is empty once this is (but during the handshake).
  detail::ByteQueue sendQueue_;
  std::unique_ptr<detail::TlsStream> tls_;

 private:
  friend class detail::LoopIo;

  struct Parts;
  struct Rare;
  static void onPoll(void* self, int events) noexcept;
  void onReadable();
  void onTlsReadable();
  template <class Source>
  void receiveFrom(Source&& source);
  void receiveQueued();
  std::size_t pump(char* data, std::size_t size);
  void peerEnded();
  void enqueue(const Parts& parts, std::size_t skip);
  SendResult push(const Parts& parts);
  std::size_t writeParts(std::string_view corked, const Parts& parts, int& error) noexcept;
  void flushCork() noexcept;
  bool flushOwnCork() noexcept;
  std::size_t writeSome(const iovec* pieces, int count, int& error) noexcept;
  std::size_t writeEncrypted(const iovec* pieces, int count, int& error);
  bool encryptWaiting(int& error);
  bool encryptSome(std::size_t limit, int& error);
  bool sendCiphertext(int& error);
  bool advanceHandshake();
  void tlsCutOff();
  void tlsFailed(const std::string& cause);
  void refusePlainText();
  void sayTlsGoodbye() noexcept;
  bool sendFin();
  detail::ByteQueue& unsent() noexcept;
  std::size_t unsentBytes() const noexcept;
  void sendFailed();
  void allWritten();
  void shutdownAndDrain();
  Rare& rare();
  void catchUp() noexcept;
  bool endPiped();
  void endOutput();
  void tellClosed(std::string_view cause) noexcept;
  void releaseCallbacks() noexcept;
  void finalClose();
  void dropSelf() noexcept;

  const std::int64_t realId_;
  bool isPaused_ = false;
  bool awaitsGoodbye_ = false;
  bool isDraining_ = false;
  bool sendsFin_ = true;
  bool hasEnded_ : 1 = false;
  /// @see holdOutput()
  bool holdsOutput_ : 1 = false;
  /// FIN follows what is queued, while input goes on; then it has been sent.
  bool outputEnds_ = false;
  std::uint8_t idleSweeps_ = 0;
  std::uint32_t wanted_ = 0;
  Workerman::detail::PollHandle poll_;
  detail::ByteQueue receiveQueue_;
  Input* pump_ = nullptr;
  std::unique_ptr<ProtocolState> protocolState_;
  std::unique_ptr<Rare> rare_;
  /// Set while the framework holds this, and until the callbacks that run when
  /// it lets go have returned: no event needs a handle of its own.
  TcpConnectionPtr self_;
  bool isHeld_ = false;
  bool isParked_ = false;
};

template <class Slot, class... Args>
void TcpConnection::emit(const Slot& slot, Args&&... args) noexcept {
  if (!slot) return;
  const auto self = weak_from_this().lock();
  if (!self) return;
  try {
    slot(self, std::forward<Args>(args)...);
  } catch (...) {
    handleException();
  }
}

}  // namespace Workerman::Connection
