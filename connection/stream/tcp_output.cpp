// TcpConnection: what leaves.

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "../../core/event_loop.h"
#include "../socket.h"
#include "../tls/tls_io.h"
#include "../tls/tls_stream.h"
#include "tcp_connection.h"
#include "tcp_cork.h"

namespace Workerman::Connection {

using detail::LoopIo;

/// One message in the pieces that it is made of.
struct TcpConnection::Parts {
  std::array<std::string_view, 3> piece;
  std::size_t total;
};

SendResult TcpConnection::sendText(std::string_view text, bool raw) {
  sendPublished();
  if (!mayStillSend()) return SendResult::failed();
  if (!raw) {
    if (const Protocol* spoken = protocol.get()) return spoken->sendText(*this, text);
  }
  return transmit({}, text);
}

SendResult TcpConnection::sendValue(Message value) {
  sendPublished();
  if (!mayStillSend()) return SendResult::failed();
  if (const Protocol* spoken = protocol.get()) return spoken->send(*this, value);
  throw std::invalid_argument("a connection without a protocol sends text, not " +
                              std::string(value.type->name));
}

SendResult TcpConnection::transmit(std::string_view head, std::string_view body, std::string_view tail) {
  const Parts parts{{head, body, tail}, head.size() + body.size() + tail.size()};
  if (!mayStillSend() || outputEnds_) return SendResult::failed();
  if (status_ == STATUS_ESTABLISHED && sendQueue_.empty()) return push(parts);
  const std::size_t queued = getSendBufferQueueSize();
  if (queued != 0 && !admits(queued)) return SendResult::failed();
  enqueue(parts, 0);
  announceIfFull(getSendBufferQueueSize());
  return SendResult::buffered();
}

bool TcpConnection::transmitControl(std::string_view head, std::string_view body) {
  if (fd_ < 0 || status_ == STATUS_CONNECTING) return false;
  const Parts parts{{head, body, {}}, head.size() + body.size()};
  if (sendQueue_.empty()) return !(push(parts) == false);
  enqueue(parts, 0);
  return true;
}

SendResult TcpConnection::push(const Parts& parts) {
  if (parts.total == 0) return SendResult::sent();
  if (holdsOutput_ && !tls_) [[unlikely]] {
    flushOwnCork();
    enqueue(parts, 0);
    announceIfFull(sendQueue_.size());
    return SendResult::buffered();
  }
  char* tail = openCork(parts.total);
  // Another connection's corked bytes left first, and its callbacks may have
  // done anything to this one.
  if (fd_ < 0) return SendResult::failed();
  if (!sendQueue_.empty()) return enqueue(parts, 0), SendResult::buffered();
  if (tail != nullptr) {
    for (const auto& piece : parts.piece) {
      if (!piece.empty()) std::memcpy(tail, piece.data(), piece.size());
      tail += piece.size();
    }
    return closeCork(parts.total);
  }
  std::string_view corked;
  if (const auto& io = LoopIo::ofThisThread(); io.corked() == this) corked = io.corkedBytes();
  int error = 0;
  const std::size_t written = writeParts(corked, parts, error);
  if (!corked.empty()) LoopIo::ofThisThread().clearCork();
  if (error != 0) {
    sendFailed();
    return SendResult::failed();
  }
  if (written == corked.size() + parts.total && sendQueue_.empty()) {
    bytesWritten += static_cast<std::int64_t>(parts.total);
    return SendResult::sent();
  }
  std::size_t skip = 0;
  if (written < corked.size()) {
    bytesWritten -= static_cast<std::int64_t>(corked.size() - written);
    unsent().append(corked.substr(written));
  } else {
    skip = written - corked.size();
    bytesWritten += static_cast<std::int64_t>(skip);
  }
  enqueue(parts, skip);
  announceIfFull(unsentBytes());
  return SendResult::buffered();
}

std::size_t TcpConnection::writeParts(std::string_view corked, const Parts& parts, int& error) noexcept {
  std::array<iovec, 4> pieces;
  int count = 0;
  const auto add = [&](std::string_view bytes) {
    if (!bytes.empty())
      pieces[static_cast<std::size_t>(count++)] = {const_cast<char*>(bytes.data()), bytes.size()};
  };
  add(corked);
  for (const auto& piece : parts.piece) add(piece);
  return writeSome(pieces.data(), count, error);
}

/// Gives the bytes that are on their way; `error` stays as it is unless the socket has failed.
std::size_t TcpConnection::writeSome(const iovec* pieces, int count, int& error) noexcept {
  if (tls_) return writeEncrypted(pieces, count, error);
  const ssize_t written = detail::sendParts(fd_, pieces, count);
  if (written >= 0) {
    markActive();
    return static_cast<std::size_t>(written);
  }
  if (errno != EAGAIN && errno != EWOULDBLOCK) error = errno;
  return 0;
}

void TcpConnection::enqueue(const Parts& parts, std::size_t skip) {
  detail::ByteQueue& queue = unsent();
  queue.reserve(parts.total - skip);
  for (auto piece : parts.piece) {
    const std::size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    queue.append(piece.substr(skipped));
  }
  updateWatch();
}

/// Writes what is corked for this connection. False: the connection is gone.
bool TcpConnection::flushOwnCork() noexcept {
  auto& io = LoopIo::ofThisThread();
  if (io.corked() != this) return true;
  const std::string_view corked = io.corkedBytes();
  std::size_t written = 0;
  int error = 0;
  if (fd_ >= 0 && tls_) {
    const iovec piece{const_cast<char*>(corked.data()), corked.size()};
    written = writeEncrypted(&piece, 1, error);
  } else if (fd_ >= 0 && (!holdsOutput_ || isDestroying_)) {
    const ssize_t sent = detail::sendSome(fd_, corked.data(), corked.size());
    if (sent >= 0) {
      written = static_cast<std::size_t>(sent);
      if (written != 0) markActive();
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      error = errno;
    }
  }
  io.clearCork();
  if (written == corked.size()) return true;
  bytesWritten -= static_cast<std::int64_t>(corked.size() - written);
  if (error != 0) return false;
  try {
    unsent().append(corked.substr(written));
  } catch (...) {
    return false;
  }
  updateWatch();
  return true;
}

void TcpConnection::flushCork() noexcept {
  if (!flushOwnCork()) {
    sendFailed();
  } else if (!sendQueue_.empty()) {
    announceIfFull(unsentBytes());
  }
}

void TcpConnection::sendFailed() {
  if (isDestroying_) return;
  ++statistics.send_fail;
  const TcpConnectionPtr pin = self_;
  if (status_ == STATUS_ESTABLISHED) emit(onError, SEND_FAIL, std::string_view("client closed"));
  if (fd_ >= 0) lost("the peer closed the connection");
}

void TcpConnection::writeQueued() {
  if (holdsOutput_) [[unlikely]] {
    if (const Protocol* spoken = protocol.get()) spoken->beforeWrite(*this);
    if (sendQueue_.empty()) return;
    int error = 0;
    if (tls_ && tls_->isOpen() && !encryptSome(detail::TlsIo::kRecord, error))
      return lost(describeError(error));
  }
  const ssize_t written = detail::sendSome(fd_, sendQueue_.data(), sendQueue_.size());
  if (written < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    ++statistics.send_fail;
    lost(describeError(errno));
    return;
  }
  markActive();
  sendQueue_.consume(static_cast<std::size_t>(written));
  if (!tls_) {
    bytesWritten += written;
  } else if (sendQueue_.empty()) {
    if (!tls_->isOpen()) return isDraining_ ? shutdownAndDrain() : updateWatch();
    int error = 0;
    if (!encryptWaiting(error)) return lost(describeError(error));
  }
  if (sendQueue_.empty()) allWritten();
}

void TcpConnection::allWritten() {
  updateWatch();
  if (const Protocol* spoken = protocol.get()) spoken->onDrained(*this);
  emit(onBufferDrain);
  if (!sendQueue_.empty() || fd_ < 0) return;
  // Bytes that onBufferDrain corked go first.
  if (!flushOwnCork() || !sendQueue_.empty()) return;
  if (outputEnds_ && status_ == STATUS_ESTABLISHED) {
    sendFinIfDue();
  } else if (status_ == STATUS_ENDING || isDraining_) {
    shutdownAndDrain();
  } else if (status_ == STATUS_CLOSING && !awaitsGoodbye_) {
    destroyBecause({});
  }
}

bool TcpConnection::admits(std::size_t queued) {
  if (queued < maxSendBufferSize) return true;
  ++statistics.send_fail;
  emit(onError, SEND_FAIL, std::string_view("send buffer full and drop package"));
  return false;
}

void TcpConnection::announceIfFull(std::size_t queued) {
  if (queued >= maxSendBufferSize) emit(onBufferFull);
}

std::size_t TcpConnection::unsentBytes() const noexcept {
  return sendQueue_.size() + (tls_ ? tls_->waiting.size() : 0);
}

/// Where bytes wait that the connection has accepted.
detail::ByteQueue& TcpConnection::unsent() noexcept {
  return tls_ && fd_ >= 0 ? tls_->waiting : sendQueue_;
}

std::size_t TcpConnection::getSendBufferQueueSize() const noexcept {
  return unsentBytes() + (protocolState_ ? protocolState_->pendingBytes() : 0);
}

}  // namespace Workerman::Connection
