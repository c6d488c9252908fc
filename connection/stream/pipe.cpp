// From one connection to the other.

#include "link_inline.h"
#include "rare.h"

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

namespace detail {

/// The peer has ended its stream. True: the other end of the pipe has been told, and what comes from there
/// still goes to the peer. Differs from Workerman: there the end of either closes both, and cuts an answer
/// off.
bool Link::endPiped() {
  if (!rare_ || !isEstablished() || !connection().protocol.empty()) return false;
  const TcpConnectionPtr pipedTo = rare_->pipedTo.lock();
  if (!pipedTo) return false;
  Link& dest = of(*pipedTo);
  const bool isBoth = dest.rare_ && dest.rare_->pipedTo.lock().get() == &connection();
  if (!isBoth || !pipedTo->protocol.empty() || dest.life_.isOver()) return false;
  updateWatch();
  dest.endOutput();
  if (isUp()) sendFinIfDue();
  return true;
}

/// Sends FIN behind what is queued; input goes on.
void Link::endOutput() {
  output_.owesEnd();
  if (isEstablished()) sendFinIfDue();
}

/// The end of our own stream, once everything has left; both ended: closes. True: it is sent, this may be
/// closed.
bool Link::sendFinIfDue() {
  if (!output_.isEndOwed() || !flushOwnCork() || output_.isQueued()) return false;
  if (!transport_->endOutput()) {
    output_.setBlocked(true);
    updateWatch();
    return false;
  }
  if (inputEnded_) destroyBecause({});
  return true;
}

}  // namespace detail

}  // namespace Workerman::Connection
