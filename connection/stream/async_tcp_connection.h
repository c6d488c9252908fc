#pragma once

/// A stream connection that this side makes.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "../../core/callback.h"
#include "../../core/loop_timer.h"
#include "../../core/seconds.h"
#include "../../core/socket_context.h"
#include "../names/address.h"
#include "connector_client.h"
#include "reconnect_delay.h"
#include "tcp_connection.h"

namespace Workerman::Connection {

namespace detail {
class Connector;
class ProxyHandshake;
class TlsContext;
}  // namespace detail

/// @see Workerman manual: async-tcp-connection
///
///     auto con = std::make_shared<AsyncTcpConnection>("ws://127.0.0.1:1234");
///     con->onMessage = [](auto connection, auto data) { … };
///     con->connect();
///
/// From connect() until the final close the framework holds it. A close is
/// final when onClose returns without reConnect(); then callbacks are released.
///
/// A connection that cannot be made (name look-up, TCP, proxy, TLS, upgrade; all
/// within connectTimeout) gets onError(CONNECT_FAIL, cause), then onClose,
/// unless onError reconnected.
class AsyncTcpConnection final : public TcpConnection, private detail::ConnectorClient {
 public:
  /// Schemes that are transports and name no protocol.
  static const std::map<std::string, std::string> BUILD_IN_TRANSPORTS;

  /// `remoteAddress`: "scheme://host:port/path", the scheme a transport (tcp,
  /// unix, ssl) or a registered protocol (ws, text, frame, one's own). TLS is
  /// spoken with ssl://, wss:// and, whatever the scheme, `transport = "ssl"`.
  /// @throws std::invalid_argument for what is no address,
  /// and for the scheme of a server (websocket); std::runtime_error for an
  /// unknown protocol.
  explicit AsyncTcpConnection(std::string_view remoteAddress, SocketContext socketContext = {});
  ~AsyncTcpConnection() override;

  /// @name Callbacks, as TcpConnection's: the same slots
  /// Here `auto` means AsyncTcpConnectionPtr for the connection, and
  /// `const Http::Response&` for what onWebSocketConnect is given.
  /// @{
  AsyncTcpConnectionCallback onConnect{TcpConnection::onConnect};
  AsyncTcpHandshakeCallback onWebSocketConnect{TcpConnection::onWebSocketConnect};
  AsyncTcpErrorCallback onWebSocketClose{TcpConnection::onWebSocketClose};
  AsyncTcpPayloadCallback onWebSocketPing{TcpConnection::onWebSocketPing};
  AsyncTcpPayloadCallback onWebSocketPong{TcpConnection::onWebSocketPong};
  AsyncTcpMessageCallback onMessage{TcpConnection::onMessage};
  AsyncTcpConnectionCallback onClose{TcpConnection::onClose};
  AsyncTcpErrorCallback onError{TcpConnection::onError};
  AsyncTcpConnectionCallback onBufferFull{TcpConnection::onBufferFull};
  AsyncTcpConnectionCallback onBufferDrain{TcpConnection::onBufferDrain};
  /// @}

  /// @name Proxies: "host:port"; empty for none
  /// The name of the target is looked up by the proxy. A refusal is
  /// onError(CONNECT_FAIL) with the proxy's own reason.
  /// @see RFC 1928, RFC 1929, RFC 9110 section 9.3.6
  /// @{
  std::string proxySocks5;
  std::string proxySocks5Username;
  std::string proxySocks5Password;
  std::string proxyHttp;
  /// The whole value of Proxy-Authorization, "Basic dXNlcjpwYXNz"…
  std::string proxyAuthorization;
  /// …or, while that is empty, what to make a Basic one of. Not in Workerman.
  std::string proxyHttpUsername;
  std::string proxyHttpPassword;
  /// @}

  /// Seconds for name look-up, TCP, proxy, TLS and upgrade together; 0: no limit.
  /// The message of onError says what was being waited for.
  ///
  /// Names are looked up as the system does it (its resolver, /etc/hosts), by up
  /// to 16 threads of the library's own for the whole process; libuv's, and the
  /// host's work there, are left alone.
  Seconds connectTimeout{30};

  /// Starts connecting; never calls back before it returns. Does nothing when
  /// already connecting or connected.
  /// @throws std::logic_error if no shared_ptr owns this; std::runtime_error
  /// without an event loop, for an onMessage that does not fit the protocol, or
  /// for certificates and keys that cannot be read;
  /// std::invalid_argument for a proxy's address, a header or a path that
  /// cannot be sent.
  void connect();
  /// Drops the present socket, if any, and connects anew after `seconds`.
  /// Callbacks and settings stay. close() and destroy() cancel it. An infinite
  /// time means never. @throws std::invalid_argument for NaN and below 0.
  void reConnect(double seconds = 0);
  /// The same.
  void reconnect(double seconds = 0) { reConnect(seconds); }
  /// The same after a wait that grows with each try in a row that has not led to
  /// an open connection: `delay.first` after one that was open, whatever that
  /// means for its protocol (the upgrade of a websocket included).
  /// Not in Workerman. @throws std::invalid_argument for a member out of range.
  void reConnect(const ReconnectDelay& delay);
  void reconnect(const ReconnectDelay& delay) { reConnect(delay); }
  /// Forgets a pending reConnect(); the callbacks stay for a later one.
  void cancelReconnect();

  /// The host as given, without brackets.
  std::string getRemoteHost() const { return address_.host; }
  /// Path and query as given, "/" if there was none. A websocket's request has them percent-encoded where
  /// RFC 3986 wants that.
  std::string getRemoteURI() const { return address_.target; }
  /// The port as given, else 443 for TLS and 80 for anything else.
  std::uint16_t targetPort() const;

 private:
  void ready() override;
  void gone(std::string_view cause) override;
  void onConnected(detail::FileDescriptor socket, std::string leftOver) override;
  void onConnectFailed(const std::string& cause) override;
  void stopConnecting() noexcept override;
  bool startsAnew() override;
  bool isCloseTold() const noexcept override { return isCloseTold_; }
  void secured() override;
  void handshakeFailed(std::string_view cause) override;
  bool isStillConnecting() const noexcept override { return !isReady_; }
  Side side() const noexcept override { return Side::Client; }
  std::string targetAddress() const override;

  void prepareTls();
  void checkSide() const;
  void checkCallbackFits() const;
  detail::ProxyHandshake proxyHandshake(std::uint16_t port) const;
  void startConnector();
  void beginConnecting();
  bool usesTls() const noexcept { return transport == "ssl"; }
  void established(std::string_view leftOver);
  void failConnect(std::string_view cause);
  void dropSocket();
  void retry();
  void startTimeLimit();
  std::string stage() const;
  double secondsSinceStart() const;

  detail::Address address_;
  SocketContext socketContext_;
  std::shared_ptr<detail::TlsContext> tlsContext_;
  std::unique_ptr<detail::Connector> connector_;
  std::unique_ptr<Workerman::detail::LoopTimer> limitTimer_;
  std::unique_ptr<Workerman::detail::LoopTimer> reconnectTimer_;
  std::uint64_t startedAt_ = 0;
  bool isReady_ = false;
  bool isCloseTold_ = false;
  /// reConnect()s begun since the connection was last open.
  unsigned retries_ = 0;
  double reconnectAfter_ = -1;
};

}  // namespace Workerman::Connection
