// TcpConnection: from one to the other.

#include <sys/socket.h>

#include "tcp_rare.h"

namespace Workerman::Connection {

void TcpConnection::pipe(const TcpConnectionPtr& dest) {
  const std::weak_ptr<TcpConnection> source = weak_from_this();
  rare().pipedTo = dest;
  onMessage = [dest](const TcpConnectionPtr& connection, std::string_view data) {
    // Nobody takes it any more: going on would be reading into nothing.
    if (dest->send(data) == false && dest->getStatus() == STATUS_CLOSED) connection->close();
  };
  onClose = [dest] { dest->close(); };
  dest->onBufferFull = [source] {
    if (const auto connection = source.lock()) connection->pauseRecv();
  };
  dest->onBufferDrain = [source] {
    if (const auto connection = source.lock()) connection->resumeRecv();
  };
}

/// The peer has ended its stream. True: the other end of the pipe has been told, and what comes from there
/// still goes to the peer. Differs from Workerman: there the end of either closes both, and cuts an answer
/// off.
bool TcpConnection::endPiped() {
  if (!rare_ || status_ != STATUS_ESTABLISHED || protocol.get() != nullptr) return false;
  const TcpConnectionPtr dest = rare_->pipedTo.lock();
  if (!dest || !dest->rare_ || dest->rare_->pipedTo.lock().get() != this || dest->protocol.get() != nullptr)
    return false;
  if (dest->status_ > STATUS_ESTABLISHED) return false;
  hasEnded_ = true;
  updateWatch();
  dest->endOutput();
  if (fd_ >= 0) sendFinIfDue();
  return true;
}

/// Sends FIN behind what is queued; input goes on.
void TcpConnection::endOutput() {
  outputEnds_ = true;
  if (status_ == STATUS_ESTABLISHED) sendFinIfDue();
}

/// The end of our own stream, once everything has left; both ended: closes. True: it is sent, this may be
/// closed.
bool TcpConnection::sendFinIfDue() {
  if (!outputEnds_ || !flushOwnCork() || !sendQueue_.empty()) return false;
  if (!sendFin()) return false;
  if (hasEnded_) destroyBecause({});
  return true;
}

}  // namespace Workerman::Connection
