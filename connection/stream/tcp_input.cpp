// TcpConnection: what arrives.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../../core/event_loop.h"
#include "../../core/log.h"
#include "../socket.h"
#include "../tls/tls_io.h"
#include "../tls/tls_stream.h"
#include "loop_io.h"
#include "tcp_connection.h"

namespace Workerman::Connection {

using detail::LoopIo;
using Workerman::detail::PollHandle;

namespace {

/// An unfinished package up to this size is kept in front of the shared buffer,
/// so that the next read needs no buffer of the connection's own.
constexpr std::size_t kSharedLeftOver = 16 * 1024;
/// An announced package beyond this size gets memory that is used again for the next one.
constexpr std::size_t kLargePackage = 256 * 1024;

}  // namespace

void TcpConnection::onPoll(void* self, int events) noexcept {
  auto& connection = *static_cast<TcpConnection*>(self);
  const Workerman::detail::DispatchScope scope(*connection.eventLoop);
  try {
    if ((events & PollHandle::Writable) && !connection.sendQueue_.empty()) connection.writeQueued();
    if (!(events & PollHandle::Readable) || connection.fd_ < 0) return;
    connection.tls_ ? connection.onTlsReadable() : connection.onReadable();
  } catch (...) {
    connection.handleException();
  }
}

void TcpConnection::onReadable() {
  receiveFrom([this](char* to, std::size_t room) -> ssize_t {
    const ssize_t got = detail::recvSome(fd_, to, room);
    if (got < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) lost(describeError(errno));
    } else if (got == 0) {
      peerEnded();
    }
    return got;
  });
}

/// Takes what `source` writes to where it is told, which is to deal itself with what is no data.
template <class Source>
void TcpConnection::receiveFrom(Source&& source) {
  auto& io = LoopIo::ofThisThread();
  const std::size_t left = receiveQueue_.size();
  const bool isShared = left <= kSharedLeftOver;
  char* data = nullptr;
  std::size_t room = 0;
  if (isShared) {
    data = io.receiveBuffer();
    room = LoopIo::kReceiveSize - left;
  } else {
    const std::size_t missing = wanted_ > left ? wanted_ - left : 0;
    receiveQueue_.reserve(std::clamp(missing, kSharedLeftOver, LoopIo::kMostReserved));
    room = receiveQueue_.tailRoom();
  }
  char* const tail = isShared ? data + left : receiveQueue_.reserve(1);
  const ssize_t got = source(tail, room);
  if (got <= 0) return;
  const auto size = static_cast<std::size_t>(got);
  bytesRead += got;
  markActive();
  if (status_ == STATUS_ENDING || isDraining_) return;  // drained
  if (!isShared) {
    receiveQueue_.commit(size);
    return receiveQueued();
  }
  if (left != 0) {
    std::memcpy(data, receiveQueue_.data(), left);
    receiveQueue_.clear();
  }
  const std::size_t total = left + size;
  const std::size_t unused = pump(data, total);
  if (unused == 0) return;
  if (wanted_ > kLargePackage && receiveQueue_.capacity() == 0) {
    receiveQueue_ = io.takeLarge();
  } else if (wanted_ > unused) {
    receiveQueue_.reserve(std::min<std::size_t>(wanted_, LoopIo::kMostReserved));
  }
  receiveQueue_.append({data + total - unused, unused});
}

void TcpConnection::onTlsReadable() {
  auto& io = detail::TlsIo::ofThisThread();
  const ssize_t got = detail::recvSome(fd_, io.receiveBuffer(), detail::TlsIo::kReceiveSize);
  if (got > 0) return receiveCiphertext({io.receiveBuffer(), static_cast<std::size_t>(got)});
  if (got == 0) return tlsCutOff();
  if (errno == EAGAIN || errno == EWOULDBLOCK) return;
  const std::string cause = describeError(errno);
  if (!isInTlsHandshake()) return lost(cause);
  hasEnded_ = true;
  handshakeFailed(cause);
}

void TcpConnection::receiveCiphertext(std::string_view bytes) {
  using Outcome = detail::TlsStream::Outcome;
  markActive();
  if (status_ == STATUS_ENDING || isDraining_) return;  // drained
  const bool isPlain = tls_->isServer() && tls_->isFresh() && bytes[0] >= 'A' && bytes[0] <= 'Z';
  if (isPlain) return refusePlainText();
  tls_->feed(bytes);
  if (!tls_->isOpen() && !advanceHandshake()) return;
  auto outcome = Outcome::Done;
  do {
    int error = 0;
    receiveFrom([&](char* to, std::size_t room) {
      const auto result = tls_->read(to, room);
      outcome = result.outcome;
      // Alerts and new keys leave before a callback makes anything else of the output.
      if (!sendCiphertext(error)) outcome = Outcome::Failed;
      return static_cast<ssize_t>(result.size);
    });
    if (fd_ < 0) return;
    if (outcome == Outcome::Ended) return isPaused_ ? void() : peerEnded();
    if (outcome == Outcome::Failed) return tlsFailed(error != 0 ? describeError(error) : tls_->failure());
  } while (outcome == Outcome::Full);
}

void TcpConnection::receiveQueued() {
  // Out of the way of whatever a callback does to this connection.
  detail::ByteQueue bytes;
  bytes.swap(receiveQueue_);
  const std::size_t unused = pump(bytes.data(), bytes.size());
  if (unused == 0) return LoopIo::ofThisThread().keepLarge(std::move(bytes));
  bytes.consume(bytes.size() - unused);
  receiveQueue_.swap(bytes);
}

void TcpConnection::receiveLeftOver(std::string_view bytes) {
  bytesRead += static_cast<std::int64_t>(bytes.size());
  receiveQueue_.append(bytes);
  receiveQueued();
}

std::size_t TcpConnection::pump(char* data, std::size_t size) {
  Input input(self_, data, size, wanted_);
  pump_ = &input;
  while (input.size() != 0 && mayReceive(input)) {
    const Protocol* spoken = protocol.get();
    if (spoken == nullptr) {
      const std::string_view all = input.view();
      input.consume(all.size());
      deliverText(all);
      continue;
    }
    const std::size_t before = input.size();
    spoken->receive(*this, input);
    if (input.size() == before && protocol.get() == spoken) break;
  }
  pump_ = nullptr;
  if (LoopIo::ofThisThread().corked() == this) flushCork();
  if (input.abandoned()) return 0;
  wanted_ = static_cast<std::uint32_t>(std::min<std::size_t>(input.wanted(), UINT32_MAX));
  return input.size();
}

void TcpConnection::consumeRecvBuffer(std::size_t length) {
  if (pump_ != nullptr) {
    pump_->consume(std::min(length, pump_->size()));
  } else {
    receiveQueue_.consume(length);
  }
}

std::size_t TcpConnection::getRecvBufferQueueSize() const noexcept {
  return pump_ != nullptr ? pump_->size() : receiveQueue_.size();
}

bool TcpConnection::hasUnreadInput() const noexcept {
  return getRecvBufferQueueSize() != 0 || detail::unreadBytes(fd_) != 0 || (tls_ && tls_->isAmidRecord());
}

void TcpConnection::pauseRecv() {
  isPaused_ = true;
  updateWatch();
}

void TcpConnection::resumeRecv() {
  if (!isPaused_) return;
  isPaused_ = false;
  if (fd_ < 0 || status_ == STATUS_CONNECTING) return;
  updateWatch();
  // Differs from Workerman: inside this connection's own onMessage the rest is
  // delivered when the callback returns, so that a peer cannot cause a
  // recursion as deep as its messages are many.
  const bool hasTlsEnded = tls_ && tls_->hasEnded();
  if (pump_ != nullptr || (receiveQueue_.empty() && !hasTlsEnded)) return;
  const Workerman::detail::DispatchScope scope(*eventLoop);
  if (!receiveQueue_.empty()) receiveQueued();
  // It came with what was only delivered now.
  if (hasTlsEnded && fd_ >= 0 && !isPaused_) peerEnded();
}

void TcpConnection::peerEnded() {
  flushOwnCork();
  if (endPiped()) return;
  // Differs from Workerman: what is queued for a peer that only stopped sending still leaves. A
  // websocket's peer says good-bye first; without that it is lost.
  const bool isDone = protocol.get() != nullptr && protocol.get()->hasCloseCodes();
  if (!isDone && !sendQueue_.empty() && (status_ == STATUS_ESTABLISHED || status_ == STATUS_ENDING)) {
    hasEnded_ = true;
    status_ = STATUS_CLOSING;
    updateWatch();
    return;
  }
  lost("the peer closed the connection");
}

void TcpConnection::updateWatch() noexcept {
  if (fd_ < 0) return;
  const bool drains = status_ == STATUS_ENDING || isDraining_;
  const bool reads = !hasEnded_ && (drains || isInTlsHandshake() || (!isPaused_ && !stopsReceiving()));
  const int error =
      poll_.watch((reads ? PollHandle::Readable : 0) | (sendQueue_.empty() ? 0 : PollHandle::Writable));
  if (error != 0) Workerman::detail::log("cannot watch a socket: " + describeError(error));
}

}  // namespace Workerman::Connection
