#pragma once

/// A datagram's connection: whom it came from, and a way to answer.

#include <memory>
#include <string>
#include <string_view>

#include "../compact_text.h"
#include "../connection_interface.h"
#include "../context.h"

namespace Workerman::Connection {

namespace detail {
class RefusedDatagrams;
class SocketAddress;
}  // namespace detail

/// @see Workerman manual: faq/how-to-create-udp-service
///
/// What onMessage of a udp:// worker gets: one for each datagram, as in PHP. It
/// may be kept, and answers its peer as long as the worker listens; then, and
/// after close(), every method is a harmless no-op that reports failure.
/// Also the base of AsyncUdpConnection.
///
/// Datagrams are sent at once or not at all, so send() never buffers: false
/// when the kernel took nothing (its buffer is full, no route, more than
/// 65,507 bytes), which counts in `statistics.send_fail`.
///
/// Belongs to the thread of its loop.
class UdpConnection : public ConnectionInterface, public std::enable_shared_from_this<UdpConnection> {
 public:
  /// The most that a datagram can hold, its headers counted.
  static constexpr int MAX_UDP_PACKAGE_SIZE = 65535;

  /// (connection, code, message): SEND_FAIL where send() gives false on an open
  /// connection, and on an AsyncUdpConnection CONNECT_FAIL, before onClose.
  UdpErrorCallback onError;
  /// udp.
  CompactText transport = CompactText::literal<"udp">();
  /// One's own values, by name.
  Context context;

  std::string getRemoteIp() const override;
  int getRemotePort() const override;
  std::string getRemoteAddress() const override;
  /// The address that the datagram was sent to, also where the worker listens
  /// on all of them; answers leave from there.
  std::string getLocalIp() const override;
  int getLocalPort() const override;
  std::string getLocalAddress() const override;
  bool isIpV4() const override;
  bool isIpV6() const override;

  /// The file descriptor, the worker's own for one of its connections; -1 if
  /// there is none (any more).
  virtual int getSocket() const noexcept = 0;
  nlohmann::json jsonSerialize() const;

  /// One T per connection, made at the first call. @throws std::runtime_error
  /// when it was asked for with another type before.
  template <class T>
  T& userData() {
    return context.userData<T>();
  }

  /// @name For protocols (internal)
  /// @{
  /// Whether the rest of a datagram still has somebody to go to.
  virtual bool mayReceive() const noexcept = 0;
  /// Whether a datagram's end may stand for the end of its last package.
  virtual bool takesUnfinished() const noexcept { return false; }
  /// Hands a decoded message to onMessage and counts it.
  virtual void deliver(const Message& message) noexcept = 0;
  void deliverText(std::string_view text) noexcept { deliver(Message::of(text)); }
  /// Sends the pieces as one datagram.
  virtual SendResult transmit(std::string_view head, std::string_view body, std::string_view tail = {}) = 0;
  /// The rest of a datagram makes no sense: says so in the log, at most once a
  /// second, since anybody can send anything.
  void refuse(std::string_view why) noexcept;
  /// Inside a catch block: an exception of the protocol's own input() or
  /// decode(). errorHandler gets it; without one the datagram is refused.
  void refuseForException() noexcept;
  /// Inside a catch block: gives what was thrown to error().
  void handleException() noexcept;
  /// @}

 protected:
  UdpConnection() = default;

  /// Counts what the kernel, errno, did not send, and tells onError. Gives false.
  SendResult sendFailed() noexcept;
  /// Not inside itself.
  void emitError(int code, std::string_view text) noexcept;
  /// Takes one datagram apart.
  void receive(std::string_view datagram);
  virtual detail::SocketAddress remoteEnd() const = 0;
  virtual detail::SocketAddress localEnd() const;
  virtual detail::RefusedDatagrams& refused() noexcept = 0;

  SendResult sendText(std::string_view text, bool raw) override;
  SendResult sendValue(Message value) override;
  void closeWithCode(int code, std::string_view reason) override;

 private:
  bool isTellingError_ = false;
};

}  // namespace Workerman::Connection
