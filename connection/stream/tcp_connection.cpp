// TcpConnection: what its users call.

#include "tcp_connection.h"

#include <stdexcept>

#include "../../core/exceptions.h"
#include "../../core/worker.h"
#include "../listen/connection_limits.h"
#include "../tls/tls_transport.h"
#include "connection_table.h"
#include "link_inline.h"
#include "rare.h"

namespace Workerman::Connection {

using detail::ConnectionTable;
using Phase = detail::Life::Phase;

constinit thread_local ConnectionInterface::Statistics ConnectionInterface::statistics;

void ConnectionInterface::error(const std::exception& exception) noexcept {
  ++statistics.throw_exception;
  const auto stop = [](const std::exception& cause) {
    Worker::stopAll(250, Workerman::detail::describe(cause));
  };
  try {
    if (!errorHandler) return stop(exception);
    errorHandler(exception);
  } catch (...) {
    Workerman::detail::withCurrentException(stop);
  }
}

const std::map<int, std::string> TcpConnection::STATUS_TO_STRING{
    {STATUS_INITIAL, "INITIAL"}, {STATUS_CONNECTING, "CONNECTING"}, {STATUS_ESTABLISHED, "ESTABLISHED"},
    {STATUS_ENDING, "ENDING"},   {STATUS_CLOSING, "CLOSING"},       {STATUS_CLOSED, "CLOSED"}};

TcpConnection::TcpConnection(Phase phase) : id(realId()) {
  life_ = detail::Life(phase);
  ++statistics.connection_count;
  ConnectionTable::ofThisThread().add(*this);
}

TcpConnection::~TcpConnection() {
  ConnectionTable::ofThisThread().remove(*this);
  --statistics.connection_count;
}

TcpConnectionPtr TcpConnection::accepted(EventLoop& loop, int fd, detail::PeerAddress peer,
                                         std::unique_ptr<detail::TlsStream> tls) {
  struct Accepted final : TcpConnection {
    explicit Accepted(Phase phase) : TcpConnection(phase) {}
  };
  const auto connection = std::make_shared<Accepted>(tls ? Phase::Connecting : Phase::Established);
  connection->remoteAddress_ = std::move(peer);
  std::unique_ptr<detail::Transport> secured;
  if (tls) secured = std::make_unique<detail::TlsTransport>(loop, std::move(tls), connection->socket());
  connection->takeSocket(loop, fd);
  if (secured) connection->carryOver(loop, std::move(secured));
  connection->holdSelf();
  return connection;
}

void TcpConnection::secured() {
  life_.moveTo(Phase::Established);
  emit(onConnect);
  updateWatch();
  if (isEstablished() && output_.isQueued()) writeQueued();
}

/// Of a server: the peer gets the alert that tells it why, and the log gets a line.
void TcpConnection::handshakeFailed(std::string_view cause) {
  if (worker != nullptr) detail::ConnectionLimits::of(*worker).tlsFailed(*this, cause);
  output_.clear();
  linger(true);
}

SendResult TcpConnection::sendText(std::string_view text, bool raw) {
  sendPublished();
  if (!life_.maySend()) return SendResult::failed();
  if (!raw) {
    if (const Protocol* spoken = protocol.get()) return spoken->sendText(*this, text);
  }
  return transmit({}, text);
}

SendResult TcpConnection::sendValue(Message value) {
  sendPublished();
  if (!life_.maySend()) return SendResult::failed();
  if (const Protocol* spoken = protocol.get()) return spoken->send(*this, value);
  throw std::invalid_argument("a connection without a protocol sends text, not " +
                              std::string(value.type->name));
}

void TcpConnection::closeWithCode(int code, std::string_view reason) {
  const Protocol* spoken = protocol.get();
  if (spoken == nullptr || !spoken->hasCloseCodes()) {
    throw std::logic_error("close(code, reason) is for websockets; close(text) sends text");
  }
  sendPublished();
  if (isEstablished()) {
    // -1 is what beginClose() takes for "the usual one".
    if (code < 0)
      throw std::invalid_argument("close(" + std::to_string(code) + "): a close code is not negative");
    if (spoken->beginClose(*this, code, reason)) return;
  }
  closeSoon();
}

void TcpConnection::destroy() {
  sendPublished();
  destroyBecause({});
}

std::optional<SslInfo> TcpConnection::getSslInfo() const {
  return sslInfo();
}

}  // namespace Workerman::Connection
