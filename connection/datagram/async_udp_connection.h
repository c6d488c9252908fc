#pragma once

/// Datagrams to one peer, and its answers.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../../core/callback.h"
#include "../../core/poll_handle.h"
#include "../../core/socket_context.h"
#include "../names/address.h"
#include "udp_connection.h"

namespace Workerman::Connection {

/// @see Workerman manual: async-udp-connection
///
///     auto con = std::make_shared<AsyncUdpConnection>("udp://127.0.0.1:1234");
///     con->onMessage = [](auto connection, auto data) { … };
///     con->connect();
///     con->send("hi");
///
/// From connect() until close() the framework holds it, so the local may go out
/// of scope. Callbacks are released when onClose returns.
///
/// What cannot be made (no such name, no route, no descriptor) is told to onError
/// and onClose, and logged where there is no onError. That nobody listens at
/// the other end is no failure: datagrams are lost without a word.
class AsyncUdpConnection final : public UdpConnection {
 public:
  /// @name Callbacks
  /// Each may be replaced or set to nullptr at any time, also while it runs.
  /// @{
  AsyncUdpConnectionCallback onConnect;  ///< the name is resolved and there is a socket
  AsyncUdpMessageCallback onMessage;     ///< (connection, data), for each package of a datagram
  AsyncUdpErrorCallback onError{UdpConnection::onError};  ///< (connection, code, message)
  AsyncUdpConnectionCallback onClose;                     ///< close() was called, or connecting failed
  /// @}

  /// `remoteAddress`: "scheme://host:port", the scheme udp or a registered
  /// protocol that can be spoken in datagrams (text, frame, one's own).
  /// @throws std::invalid_argument for what is no address,
  /// std::runtime_error for an unknown protocol.
  explicit AsyncUdpConnection(std::string_view remoteAddress, SocketContext socketContext = {});
  ~AsyncUdpConnection() override;

  /// Opens the socket; a name is resolved without blocking first. Never calls
  /// back before it returns. Does nothing when already connecting or connected.
  /// @throws std::logic_error if no shared_ptr owns this; std::runtime_error
  /// without an event loop, and for a protocol or an onMessage that does not fit.
  void connect();

  std::string getRemoteIp() const override;
  int getRemotePort() const override;
  std::string getRemoteAddress() const override;
  int getSocket() const noexcept override { return fd_; }

  // -- for the library ----------------------------------------------------------
  bool mayReceive() const noexcept override { return status_ == Status::Connected; }
  bool takesUnfinished() const noexcept override { return true; }
  void deliver(const Message& message) noexcept override;
  /// What is sent before the name is resolved waits for it: nullptr.
  SendResult transmit(std::string_view head, std::string_view body, std::string_view tail = {}) override;
  /// Closes all of this thread; `force`: also those that still have to resolve
  /// a name for what they were given to send.
  static void closeAll(bool force);

 private:
  enum class Status { Initial, Connecting, Connected, Closing, Closed };
  struct Network;

  void closeAfterSending() override;
  detail::SocketAddress remoteEnd() const override;
  detail::RefusedDatagrams& refused() noexcept override;

  void checkFits() const;
  void startConnecting();
  void openSocket(const std::vector<detail::SocketAddress>& addresses);
  void opened() noexcept;
  void watch() noexcept;
  void restAWhile(const char* what, int error) noexcept;
  void sendWaiting() noexcept;
  void finalClose() noexcept;
  void hold();
  void release() noexcept;
  void emit(const AsyncUdpConnectionCallback& callback) noexcept;
  static void onPoll(void* self, int events) noexcept;
  void receiveAll();
  AsyncUdpConnectionPtr handle();

  detail::Address address_;
  SocketContext socketContext_;
  Status status_ = Status::Initial;
  bool isTellingClose_ = false;
  /// connect() was called inside onClose.
  bool startsAnew_ = false;
  int fd_ = -1;
  Workerman::detail::PollHandle poll_;
  std::unique_ptr<Network> network_;
  /// While a datagram is taken apart: a handle of this.
  const AsyncUdpConnectionPtr* receiver_ = nullptr;
  /// Set while the framework holds this.
  AsyncUdpConnectionPtr self_;
};

}  // namespace Workerman::Connection
