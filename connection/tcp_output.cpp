// TcpConnection: what leaves.

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "../core/event_loop.h"
#include "socket.h"
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
  if (!sendQueue_.empty() && !admits(getSendBufferQueueSize())) return SendResult::failed();
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
  if (written == corked.size() + parts.total) {
    bytesWritten += static_cast<std::int64_t>(parts.total);
    return SendResult::sent();
  }
  std::size_t skip = 0;
  if (written < corked.size()) {
    bytesWritten -= static_cast<std::int64_t>(corked.size() - written);
    sendQueue_.append(corked.substr(written));
  } else {
    skip = written - corked.size();
    bytesWritten += static_cast<std::int64_t>(skip);
  }
  enqueue(parts, skip);
  announceIfFull(sendQueue_.size());
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
  const ssize_t written = detail::sendParts(fd_, pieces.data(), count);
  if (written >= 0) {
    markActive();
    return static_cast<std::size_t>(written);
  }
  if (errno != EAGAIN && errno != EWOULDBLOCK) error = errno;
  return 0;
}

void TcpConnection::enqueue(const Parts& parts, std::size_t skip) {
  sendQueue_.reserve(parts.total - skip);
  for (auto piece : parts.piece) {
    const std::size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    sendQueue_.append(piece.substr(skipped));
  }
  updateWatch();
}

/// Writes what is corked for this connection. False: the connection is gone.
bool TcpConnection::flushOwnCork() noexcept {
  auto& io = LoopIo::ofThisThread();
  if (io.corked() != this) return true;
  const std::string_view corked = io.corkedBytes();
  const ssize_t sent = fd_ < 0 ? 0 : detail::sendSome(fd_, corked.data(), corked.size());
  const int error = sent < 0 ? errno : 0;
  const std::size_t written = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  io.clearCork();
  if (written != 0) markActive();
  if (written == corked.size()) return true;
  bytesWritten -= static_cast<std::int64_t>(corked.size() - written);
  if (error != 0 && error != EAGAIN && error != EWOULDBLOCK) return false;
  try {
    sendQueue_.append(corked.substr(written));
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
    announceIfFull(sendQueue_.size());
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
  const ssize_t written = detail::sendSome(fd_, sendQueue_.data(), sendQueue_.size());
  if (written < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    ++statistics.send_fail;
    lost(describeError(errno));
    return;
  }
  bytesWritten += written;
  markActive();
  sendQueue_.consume(static_cast<std::size_t>(written));
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

std::size_t TcpConnection::getSendBufferQueueSize() const noexcept {
  return sendQueue_.size() + (protocolState_ ? protocolState_->pendingBytes() : 0);
}

}  // namespace Workerman::Connection
