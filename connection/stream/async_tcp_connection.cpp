#include "async_tcp_connection.h"

#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "../../core/event_loop.h"
#include "../../core/random.h"
#include "../../core/runtime.h"
#include "../../core/worker.h"
#include "../proxy/proxy.h"
#include "../socket.h"
#include "../tls/tls_context.h"
#include "../tls/tls_transport.h"
#include "connector.h"
#include "link_inline.h"

namespace Workerman::Connection {

using Phase = detail::Life::Phase;
using Workerman::detail::LoopTimer;
using Workerman::detail::Runtime;

namespace {

std::uint64_t nowNanoseconds() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::string formatSeconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", seconds);
  return text;
}

}  // namespace

const std::map<std::string, std::string> AsyncTcpConnection::BUILD_IN_TRANSPORTS{
    {"tcp", "tcp"},     {"udp", "udp"},     {"unix", "unix"}, {"ssl", "ssl"},
    {"sslv2", "sslv2"}, {"sslv3", "sslv3"}, {"tls", "tls"}};

AsyncTcpConnection::AsyncTcpConnection(std::string_view remoteAddress, SocketContext socketContext)
    : TcpConnection(Phase::Initial),
      address_(detail::parseRemoteAddress(remoteAddress)),
      socketContext_(std::move(socketContext)) {
  const auto known = BUILD_IN_TRANSPORTS.find(address_.scheme);
  if (address_.scheme == "wss") {
    protocol = "ws";
    transport = "ssl";
  } else if (known == BUILD_IN_TRANSPORTS.end()) {
    protocol = address_.scheme;
  } else if (known->second == "udp") {
    throw std::invalid_argument("AsyncTcpConnection: udp:// is for AsyncUdpConnection");
  } else if (known->second == "sslv2" || known->second == "sslv3") {
    throw std::invalid_argument("AsyncTcpConnection: " + address_.scheme +
                                ":// is broken and gone; ssl:// is TLS");
  } else if (known->second == "tls") {
    transport = "ssl";
  } else {
    transport = known->second;
  }
  checkSide();
}

AsyncTcpConnection::~AsyncTcpConnection() = default;

std::uint16_t AsyncTcpConnection::targetPort() const {
  if (address_.port != 0) return address_.port;
  return transport == "ssl" ? 443 : 80;
}

std::string AsyncTcpConnection::targetAddress() const {
  return address_.isUnix ? address_.unixPath : detail::formatAddress(address_.host, targetPort());
}

void AsyncTcpConnection::connect() {
  if (!(life_.isDown() || life_.isTelling()) || Runtime::ofThisThread().isStopping()) return;
  if (life_.isTelling()) return reConnect(0);
  if (weak_from_this().expired()) {
    throw std::logic_error(
        "connect(): no shared_ptr owns this connection; make it with "
        "std::make_shared<AsyncTcpConnection>(…)");
  }
  eventLoop = Worker::getEventLoop();
  checkCallbackFits();
  prepareTls();
  if (const Protocol* spoken = protocol.get()) spoken->prepare(*this);
  reconnectTimer_.reset();
  beginConnecting();
  try {
    startConnector();
  } catch (...) {
    stopConnecting();
    life_.moveTo(Phase::Initial);
    releaseSelf();
    throw;
  }
}

/// At every start, as the files that the options name may have changed.
void AsyncTcpConnection::prepareTls() {
  if (!usesTls()) return tlsContext_.reset();
  const auto& options = socketContext_.ssl;
  if (address_.isUnix && options.verify_peer_name.value_or(true) && options.peer_name.empty()) {
    throw std::runtime_error(
        "connect " + getRemoteAddress() +
        ": TLS over a unix socket needs to be told which name to expect in the certificate: "
        "SocketContext{.ssl = {.peer_name = \"name\"}}");
  }
  try {
    tlsContext_ = detail::TlsContext::ofClient(socketContext_.ssl);
  } catch (const std::runtime_error& e) {
    if (!tlsContext_) throw;
    Worker::log("connect " + getRemoteAddress() + ": " + e.what() + "; going on with what was read before");
  }
}

void AsyncTcpConnection::checkSide() const {
  const Protocol* const spoken = protocol.get();
  const char* const refusal = spoken != nullptr ? spoken->refusal(Side::Client) : nullptr;
  if (refusal != nullptr)
    throw std::invalid_argument("AsyncTcpConnection: " + spoken->name() + ":// " + refusal);
}

void AsyncTcpConnection::checkCallbackFits() const {
  checkSide();
  const TypeTag* wanted = TcpConnection::onMessage.wants();
  const Protocol* spoken = protocol.get();
  const TypeTag* given = spoken != nullptr ? spoken->messageType() : textTag();
  if (wanted != nullptr && wanted != given) {
    throw std::runtime_error("connect " + getRemoteAddress() + ": " + describeMismatch(*wanted, *given));
  }
}

detail::ProxyHandshake AsyncTcpConnection::proxyHandshake(std::uint16_t port) const {
  using detail::ProxyHandshake;
  if (!proxySocks5.empty()) {
    return ProxyHandshake::socks5(address_.host, port, proxySocks5Username, proxySocks5Password);
  }
  const bool isBasic =
      proxyAuthorization.empty() && !(proxyHttpUsername.empty() && proxyHttpPassword.empty());
  return ProxyHandshake::httpConnect(
      address_.host, port,
      isBasic ? ProxyHandshake::basicAuthorization(proxyHttpUsername, proxyHttpPassword)
              : proxyAuthorization);
}

void AsyncTcpConnection::startConnector() {
  detail::Connector::Target where;
  where.bindto = socketContext_.socket.bindto;
  where.noDelay = socketContext_.socket.tcp_nodelay.value_or(true);
  if (address_.isUnix) {
    where.unixPath = address_.unixPath;
    return connector_->start(std::move(where));
  }
  where.host = address_.hostWithZone();
  where.port = targetPort();
  const std::string& via = proxySocks5.empty() ? proxyHttp : proxySocks5;
  if (via.empty()) return connector_->start(std::move(where));
  where.proxy = proxyHandshake(where.port);
  const auto proxy = detail::parseProxyAddress(via);
  where.host = proxy.hostWithZone();
  where.port = proxy.port;
  connector_->start(std::move(where));
}

void AsyncTcpConnection::beginConnecting() {
  holdSelf();
  life_.moveTo(Phase::Connecting);
  isReady_ = isCloseTold_ = false;
  startedAt_ = nowNanoseconds();
  remoteAddress_ = {};
  connector_ = std::make_unique<detail::Connector>(*eventLoop, static_cast<detail::ConnectorClient&>(*this));
  if (connectTimeout > 0) startTimeLimit();
}

void AsyncTcpConnection::startTimeLimit() {
  limitTimer_ = std::make_unique<LoopTimer>(*eventLoop);
  const auto onLimit = [](void* self) noexcept {
    auto& connection = *static_cast<AsyncTcpConnection*>(self);
    connection.failConnect("timed out while " + connection.stage());
  };
  limitTimer_->start(connectTimeout, onLimit, this);
}

/// What is being waited for, for the message of a time limit: the one place that names the stages from a
/// socket on; those up to it are the connector's.
std::string AsyncTcpConnection::stage() const {
  if (connector_) return connector_->stage();
  if (isSecuring()) return "waiting for the TLS handshake";
  return "waiting for the upgrade";
}

double AsyncTcpConnection::secondsSinceStart() const {
  return static_cast<double>(nowNanoseconds() - startedAt_) * 1e-9;
}

void AsyncTcpConnection::onConnected(detail::FileDescriptor socket, std::string leftOver) {
  const auto pin = shared_from_this();
  connector_.reset();
  std::unique_ptr<detail::TlsStream> tls;
  try {
    if (tlsContext_) {
      tls = std::make_unique<detail::TlsStream>(tlsContext_, address_.host, targetAddress());
    }
    takeSocket(*eventLoop, socket.get());
    static_cast<void>(socket.release());
    if (tls)
      carryOver(*eventLoop,
                std::make_unique<detail::TlsTransport>(*eventLoop, std::move(tls), Link::socket(), leftOver));
  } catch (const std::exception& e) {
    return failConnect(e.what());
  }
  try {
    if (!address_.isUnix) remoteAddress_ = detail::PeerAddress(detail::peerAddress(descriptor()));
    if (openTransport()) return established(leftOver);
    if (isUp() && !leftOver.empty()) receive();
  } catch (...) {
    handleException();
  }
}

void AsyncTcpConnection::secured() {
  const auto pin = shared_from_this();
  try {
    established({});
  } catch (...) {
    handleException();
  }
}

void AsyncTcpConnection::handshakeFailed(std::string_view cause) {
  failConnect("TLS: " + std::string(cause));
}

void AsyncTcpConnection::established(std::string_view leftOver) {
  const int socket = descriptor();
  const auto isStillUp = [&] { return isEstablished() && descriptor() == socket; };
  const Protocol* spoken = protocol.get();
  life_.moveTo(Phase::Established);
  if (spoken == nullptr || spoken->readyOnConnect()) protocolReady();
  updateWatch();
  emit(TcpConnection::onConnect);
  if (!isStillUp()) return;
  spoken = protocol.get();
  if (spoken != nullptr) {
    try {
      spoken->onConnect(*this);
    } catch (const std::invalid_argument& e) {
      if (isReady_) throw;
      return failConnect(e.what());
    }
  }
  if (isStillUp() && output_.isQueued()) writeQueued();
  if (isStillUp()) sendFinIfDue();
  if (isStillUp() && !leftOver.empty()) receiveLeftOver(leftOver);
}

void AsyncTcpConnection::ready() {
  isReady_ = true;
  retries_ = 0;
  limitTimer_.reset();
}

void AsyncTcpConnection::gone(std::string_view cause) {
  if ((isEstablished() || isSecuring()) && !isReady_) return failConnect(cause);
  TcpConnection::gone(cause);
}

void AsyncTcpConnection::onConnectFailed(const std::string& cause) {
  failConnect(cause);
}

void AsyncTcpConnection::failConnect(std::string_view cause) {
  const auto pin = shared_from_this();
  const std::string message = "connect " + getRemoteAddress() + " fail after " +
                              formatSeconds(secondsSinceStart()) + " seconds: " + std::string(cause);
  dropSocket();
  life_.moveTo(Phase::Failed);
  emit(TcpConnection::onError, CONNECT_FAIL, std::string_view(message));
  if (life_.is(Phase::Failed)) destroyBecause({});
}

void AsyncTcpConnection::dropSocket() {
  stopConnecting();
  leaveSocket();
}

void AsyncTcpConnection::stopConnecting() noexcept {
  connector_.reset();
  limitTimer_.reset();
  reconnectTimer_.reset();
  reconnectAfter_ = -1;
}

// -- reconnecting -------------------------------------------------------------------

void AsyncTcpConnection::reConnect(double seconds) {
  static_cast<void>(Seconds(seconds));  // checked
  if (Runtime::ofThisThread().isStopping()) return;
  if (weak_from_this().expired()) return connect();  // which says what is wrong
  if (life_.isTelling()) {
    // Inside onClose: what is being closed ends first.
    reconnectAfter_ = seconds > 0 ? seconds : 0;
    if (life_.moveTo(Phase::Renewing)) output_.clear();
    return;
  }
  if (isUp() || connector_) dropSocket();
  reconnectTimer_.reset();
  life_.moveTo(Phase::Initial);
  if (!(seconds > 0)) return retry();
  eventLoop = Worker::getEventLoop();
  holdSelf();
  reconnectTimer_ = std::make_unique<LoopTimer>(*eventLoop);
  const auto onTime = [](void* self) noexcept {
    auto& connection = *static_cast<AsyncTcpConnection*>(self);
    connection.reconnectTimer_.reset();
    try {
      connection.retry();
    } catch (...) {
      connection.handleException();
    }
  };
  reconnectTimer_->start(seconds, onTime, this);
}

void AsyncTcpConnection::reConnect(const ReconnectDelay& delay) {
  const double chance = Workerman::detail::randomMask() / static_cast<double>(UINT32_MAX);
  reConnect(detail::secondsUntilRetry(delay, retries_, chance));
}

void AsyncTcpConnection::retry() {
  ++retries_;
  connect();
}

bool AsyncTcpConnection::startsAnew() {
  const double after = std::exchange(reconnectAfter_, -1);
  isCloseTold_ = true;
  if (!life_.moveTo(Phase::Initial)) return false;
  // After cancelReconnect() inside onClose: it lives as long as somebody has a handle.
  if (after < 0) return releaseSelf(), true;
  try {
    reConnect(after);
  } catch (...) {
    handleException();
  }
  return connector_ || reconnectTimer_;
}

void AsyncTcpConnection::cancelReconnect() {
  reconnectAfter_ = -1;
  if (!reconnectTimer_) return;
  reconnectTimer_.reset();
  // From here on it lives as long as somebody has a handle.
  releaseSelf();
}

}  // namespace Workerman::Connection
