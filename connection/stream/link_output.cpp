// Link: what leaves.

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "../../core/event_loop.h"
#include "link_inline.h"
#include "loop_io.h"
#include "rare.h"

namespace Workerman::Connection::detail {

using Phase = Life::Phase;

/// One message in the pieces that it is made of.
struct Link::Parts {
  std::array<std::string_view, 3> piece;
  std::size_t total;
};

SendResult Link::transmit(std::string_view head, std::string_view body, std::string_view tail) {
  if (!life_.maySend() || output_.isEndOwed()) return SendResult::failed();
  const Parts parts{{head, body, tail}, head.size() + body.size() + tail.size()};
  if (isEstablished() && output_.isIdle()) return push(parts);
  flushOwnCork();
  const std::size_t queued = queuedBytes();
  if (queued != 0 && !admits(queued)) return SendResult::failed();
  enqueue(parts, 0);
  announceIfFull(queuedBytes());
  return SendResult::buffered();
}

bool Link::transmitControl(std::string_view head, std::string_view body) {
  if (!isUp() || life_.is(Phase::Connecting)) return false;
  const Parts parts{{head, body, {}}, head.size() + body.size()};
  if (output_.isIdle()) return !(push(parts) == false);
  flushOwnCork();
  enqueue(parts, 0);
  return true;
}

SendResult Link::transmit(std::unique_ptr<OutputSource> source) {
  if (!life_.maySend() || output_.isEndOwed() || !flushOwnCork()) return SendResult::failed();
  const bool goesNow = isEstablished() && output_.isIdle();
  output_.append(std::move(source));
  if (goesNow && moveOutput().error != 0) {
    sendFailed();
    return SendResult::failed();
  }
  updateWatch();
  return output_.isQueued() ? SendResult::buffered() : SendResult::sent();
}

void Link::sourceReady() {
  output_.wakeSource();
  updateWatch();
}

SendResult Link::push(const Parts& parts) {
  if (parts.total == 0) return SendResult::sent();
  char* tail = openCork(parts.total);
  // Another connection's corked bytes left first, and its callbacks may have
  // done anything to this one.
  if (!isUp()) return SendResult::failed();
  if (!output_.isIdle()) return enqueue(parts, 0), SendResult::buffered();
  if (tail != nullptr) {
    for (const auto& piece : parts.piece) {
      if (!piece.empty()) std::memcpy(tail, piece.data(), piece.size());
      tail += piece.size();
    }
    return closeCork(parts.total);
  }
  auto& io = LoopIo::ofThisThread();
  const std::string_view corked = io.corked() == this ? io.corkedBytes() : std::string_view();
  std::array<iovec, 4> pieces;
  int count = 0;
  const auto add = [&](std::string_view bytes) {
    if (!bytes.empty())
      pieces[static_cast<std::size_t>(count++)] = {const_cast<char*>(bytes.data()), bytes.size()};
  };
  add(corked);
  for (const auto& piece : parts.piece) add(piece);
  const Transport::Written written = writeSome(pieces.data(), count);
  if (!corked.empty()) io.clearCork();
  if (written.error != 0) {
    sendFailed();
    return SendResult::failed();
  }
  if (written.size != 0) markActive();
  std::int64_t& bytesWritten = connection().bytesWritten;
  if (written.size == corked.size() + parts.total && !written.isBlocked) {
    bytesWritten += static_cast<std::int64_t>(parts.total);
    return SendResult::sent();
  }
  output_.tookBytes(written.isBlocked);
  std::size_t skip = 0;
  if (written.size < corked.size()) {
    bytesWritten -= static_cast<std::int64_t>(corked.size() - written.size);
    output_.append(corked.substr(written.size));
  } else {
    skip = written.size - corked.size();
    bytesWritten += static_cast<std::int64_t>(skip);
  }
  enqueue(parts, skip);
  announceIfFull(unsentBytes());
  return SendResult::buffered();
}

void Link::enqueue(const Parts& parts, std::size_t skip) {
  if (parts.total != skip) output_.reserve(parts.total - skip);
  for (auto piece : parts.piece) {
    const std::size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    output_.append(piece.substr(skipped));
  }
  updateWatch();
}

/// Writes what is corked for this connection; the rest is queued. False: the connection is gone.
/// `isLast`: there is no later, so that nothing is held back.
bool Link::flushOwnCork(bool isLast) noexcept {
  auto& io = LoopIo::ofThisThread();
  if (io.corked() != this) return true;
  const std::string_view corked = io.corkedBytes();
  Transport::Written written;
  if (isUp() && (!output_.isHeld() || isLast)) {
    const iovec piece{const_cast<char*>(corked.data()), corked.size()};
    written = writeSome(&piece, 1);
    if (written.size != 0) markActive();
  }
  io.clearCork();
  if (written.size == corked.size() && !written.isBlocked) return true;
  connection().bytesWritten -= static_cast<std::int64_t>(corked.size() - written.size);
  if (written.error != 0) return false;
  if (written.isBlocked) output_.tookBytes(true);
  try {
    output_.append(corked.substr(written.size));
  } catch (...) {
    return false;
  }
  updateWatch();
  return true;
}

void Link::flushCork() noexcept {
  if (!flushOwnCork()) {
    sendFailed();
  } else if (output_.isQueued()) {
    announceIfFull(unsentBytes());
  }
}

void Link::sendFailed() {
  if (life_.isTelling()) return;
  ++ConnectionInterface::statistics.send_fail;
  const TcpConnectionPtr pin = self_;
  if (isEstablished()) {
    emit(connection().onError, ConnectionInterface::SEND_FAIL, std::string_view("client closed"));
  }
  if (isUp()) lost("the peer closed the connection");
}

/// Moves on what there is room for.
Output::Moved Link::moveOutput() noexcept {
  const Output::Moved moved = output_.move(*transport_);
  if (moved.size + moved.flushed != 0) markActive();
  connection().bytesWritten += static_cast<std::int64_t>(moved.size);
  return moved;
}

void Link::writeQueued() {
  if (output_.isHeld()) [[unlikely]] {
    if (const Protocol* const spoken = connection().protocol.get()) spoken->beforeWrite(*this);
    if (!isUp() || !output_.isQueued()) return;
  }
  if (const Output::Moved moved = moveOutput(); moved.error != 0) {
    ++ConnectionInterface::statistics.send_fail;
    return lost(transport_->describe(moved.error));
  }
  const bool isGone = isSecuring() ? !output_.isBlocked() : !output_.isQueued();
  isGone ? allWritten() : updateWatch();
}

void Link::allWritten() {
  updateWatch();
  if (isSecuring()) return;
  if (const Protocol* const spoken = connection().protocol.get()) spoken->onDrained(*this);
  // A word of the transport's own that had to wait was nobody's buffer.
  if (output_.takeDrained()) emit(connection().onBufferDrain);
  if (!isUp() || output_.isQueued()) return;
  // Bytes that onBufferDrain corked go first.
  if (!flushOwnCork() || output_.isQueued()) return;
  if (life_.dropsInput()) {
    shutdownAndDrain();
  } else if (life_.is(Phase::Closing)) {
    destroyBecause({});
  } else if (isEstablished()) {
    sendFinIfDue();
  }
}

bool Link::admits(std::size_t queued) {
  if (queued < connection().maxSendBufferSize) return true;
  ++ConnectionInterface::statistics.send_fail;
  emit(connection().onError, ConnectionInterface::SEND_FAIL,
       std::string_view("send buffer full and drop package"));
  return false;
}

void Link::announceIfFull(std::size_t queued) {
  if (queued >= connection().maxSendBufferSize) emit(connection().onBufferFull);
}

std::size_t Link::unsentBytes() const noexcept {
  return output_.size() + (output_.isBlocked() && transport_ != nullptr ? transport_->waiting() : 0);
}

std::size_t Link::queuedBytes() const noexcept {
  return unsentBytes() + (state_ ? state_->pendingBytes() : 0);
}

std::int64_t Link::bytesTaken() const noexcept {
  if (!isUp()) return 0;
  const auto& io = LoopIo::ofThisThread();
  // What is corked counts as written, and is not even that.
  const std::size_t corked = io.corked() == this ? io.corkedBytes().size() : 0;
  return connection().bytesWritten -
         static_cast<std::int64_t>(corked + transport_->unacknowledged() + transport_->waiting());
}

/// What the peer has taken of earlier writes is a sign of life as well.
unsigned Link::sweptIdle() noexcept {
  if (idleSweeps_ != 0 && isUp() && transport_->unacknowledged() != 0) {
    try {
      const std::int64_t before = std::exchange(rare().takenAtSweep, bytesTaken());
      if (rare_->takenAtSweep > before) markActive();
    } catch (const std::bad_alloc&) {
      // It counts as idle.
    }
  }
  return ++idleSweeps_;
}

}  // namespace Workerman::Connection::detail
