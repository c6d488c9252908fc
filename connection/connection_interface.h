#pragma once

/// What every connection can do, whatever its transport.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <nlohmann/json_fwd.hpp>

#include "../core/callback.h"
#include "../core/fwd.h"
#include "../core/message.h"
#include "protocol_registry.h"
#include "send_result.h"

namespace Workerman::Connection {

/// Whatever converts to text: literals, std::string, std::string_view. Numbers
/// and nullptr do not, although some would convert by way of a pointer.
template <class T>
concept TextLike = std::convertible_to<const T&, std::string_view> && !std::same_as<T, std::nullptr_t>;

/// A value that only a protocol can turn into bytes: JSON, a response, the
/// type of a protocol of one's own.
template <class T>
concept ProtocolValue = std::is_class_v<T> && !TextLike<T>;

/// Base of TcpConnection and UdpConnection.
/// @see Workerman manual: tcp-connection
class ConnectionInterface {
 public:
  /// onError's code for a connection that could not be made.
  static constexpr int CONNECT_FAIL = 1;
  /// onError's code for data that could not be sent.
  static constexpr int SEND_FAIL = 2;
  /// TLS has failed after its handshake: an alert of the peer's, a record that
  /// cannot be true, or raw data that ends without close_notify. onClose follows.
  /// Not in Workerman.
  static constexpr int TLS_FAIL = 3;

  /// This thread's counters, which `status` shows.
  struct Statistics {
    std::int64_t connection_count = 0;  ///< connections that exist
    std::int64_t total_request = 0;     ///< messages received
    std::int64_t throw_exception = 0;   ///< exceptions that left a callback
    std::int64_t send_fail = 0;         ///< messages that could not be sent
  };
  static constinit thread_local Statistics statistics;

  /// The scheme's name, empty for raw bytes; may be changed while connected.
  ProtocolName protocol;
  /// The loop that serves this connection; null before connect() and after the close.
  EventLoop* eventLoop = nullptr;
  /// Takes the exceptions that leave this connection's callbacks. Without one
  /// they are logged and stop the worker with status 250.
  ExceptionCallback errorHandler;

  virtual ~ConnectionInterface() = default;
  ConnectionInterface(const ConnectionInterface&) = delete;
  ConnectionInterface& operator=(const ConnectionInterface&) = delete;

  /// Sends text. `raw`: as it is, past the protocol. The bytes are copied where
  /// they cannot leave at once; the view is only needed during the call.
  /// @return true: given to the kernel (or about to be, with the other sends
  /// of this callback); nullptr: buffered; false: not sent, see onError.
  /// @see Workerman manual: tcp-connection/send
  template <TextLike T>
  SendResult send(const T& text, bool raw = false) {
    return sendText(static_cast<std::string_view>(text), raw);
  }
  /// Sends a value that the connection's protocol encodes.
  /// @throws std::invalid_argument if it has no encoding for this type.
  template <ProtocolValue T>
  SendResult send(const T& value) {
    return sendValue(Message::of(const_cast<T&>(value)));
  }
  /// Numbers, characters and null are not text.
  template <class T>
  requires(!TextLike<T> && !ProtocolValue<T>)
      __attribute__((unavailable("send() takes text, or a value that the protocol encodes: "
                                 "std::to_string(number) makes a text of a number"))) SendResult
      send(const T&, bool = false) {
    return SendResult::failed();
  }

  /// Closes once everything sent has left. @see Workerman manual: tcp-connection/close
  void close() { closeAfterSending(); }
  void close(std::nullptr_t) { closeAfterSending(); }
  /// Sends a last message, then closes.
  template <TextLike T>
  void close(const T& text, bool raw = false) {
    sendText(static_cast<std::string_view>(text), raw);
    closeAfterSending();
  }
  template <ProtocolValue T>
  void close(const T& value) {
    send(value);
    closeAfterSending();
  }
  /// Closes a websocket with a code and a reason (RFC 6455 section 7.4); the
  /// reason is cut at 123 bytes. @throws std::invalid_argument for a code that
  /// must not be sent, std::logic_error if this is no websocket.
  template <std::integral Code>
  requires(!std::same_as<Code, bool> && !std::same_as<Code, char>) void close(Code code,
                                                                              std::string_view reason = {}) {
    closeWithCode(std::in_range<int>(code) ? static_cast<int>(code) : std::numeric_limits<int>::max(),
                  reason);
  }

  template <class T>
  requires(!TextLike<T> && !ProtocolValue<T> && !std::same_as<T, std::nullptr_t> &&
           (!std::integral<T> || std::same_as<T, bool> || std::same_as<T, char>))
      __attribute__((unavailable("close() takes text, a value that the protocol encodes, or a websocket's "
                                 "code and reason"))) void close(const T&, bool = false) {}

  virtual std::string getRemoteIp() const = 0;
  virtual int getRemotePort() const = 0;
  virtual std::string getRemoteAddress() const = 0;
  virtual std::string getLocalIp() const = 0;
  virtual int getLocalPort() const = 0;
  virtual std::string getLocalAddress() const = 0;
  virtual bool isIpV4() const = 0;
  virtual bool isIpV6() const = 0;

  /// Deals with an exception that left a callback: errorHandler, else it is
  /// logged and the worker stops with status 250.
  void error(const std::exception& exception) noexcept;

 protected:
  ConnectionInterface() = default;

  virtual SendResult sendText(std::string_view text, bool raw) = 0;
  virtual SendResult sendValue(Message value) = 0;
  virtual void closeAfterSending() = 0;
  virtual void closeWithCode(int code, std::string_view reason) = 0;
};

}  // namespace Workerman::Connection
