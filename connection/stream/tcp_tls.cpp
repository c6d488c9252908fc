// TcpConnection: TLS between the socket and the protocol.

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "../../core/event_loop.h"
#include "../../core/worker.h"
#include "../listen/connection_limits.h"
#include "../socket.h"
#include "../tls/tls_io.h"
#include "../tls/tls_stream.h"
#include "tcp_connection.h"

namespace Workerman::Connection {
namespace {

/// Text encrypted before it is offered to the socket: enough for few system calls, little enough to stay
/// in the processor's cache.
constexpr std::size_t kBatch = 128 * 1024;
/// Encrypted bytes beyond what a batch leaves can only be answers to a peer that asks and does not read.
constexpr std::size_t kMostUnsent = 2 * kBatch;

constexpr std::string_view kPlainTextAnswer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 63\r\nConnection: close\r\n\r\n"
    "This port speaks TLS, and the request came without (https://).\n";

}  // namespace

std::optional<SslInfo> TcpConnection::getSslInfo() const {
  return tls_ ? tls_->info() : std::nullopt;
}

bool TcpConnection::isInTlsHandshake() const noexcept {
  return tls_ && !tls_->isOpen();
}

bool TcpConnection::isOpening() const noexcept {
  const Protocol* const spoken = protocol.get();
  return isInTlsHandshake() || (spoken != nullptr && spoken->isOpening(*this));
}

void TcpConnection::handshakeOverdue() {
  if (isDraining_) return destroyBecause({});  // it had failed before
  if (isInTlsHandshake()) {
    const TcpConnectionPtr pin = self_;
    handshakeFailed("not done within handshakeTimeout");
    // Who has not taken what came before does not wait for the alert.
    if (fd_ >= 0 && !sendQueue_.empty()) destroyBecause({});
    return;
  }
  const Protocol* const spoken = protocol.get();
  if (spoken == nullptr) return;
  emit(onError, CONNECT_FAIL, "timed out while waiting for the " + spoken->name() + " handshake");
  if (protocol.get() == spoken && spoken->isOpening(*this)) spoken->handshakeOverdue(*this);
}

// -- the handshake ------------------------------------------------------------------

void TcpConnection::startTls(std::unique_ptr<detail::TlsStream> stream) {
  tls_ = std::move(stream);
  // What was sent before there was a socket.
  tls_->waiting.swap(sendQueue_);
  updateWatch();
  advanceHandshake();
}

/// True: it is done, and the connection still there.
bool TcpConnection::advanceHandshake() {
  using Outcome = detail::TlsStream::Outcome;
  const Outcome outcome = tls_->handshake();
  int error = 0;
  const bool isSent = sendCiphertext(error);
  if (outcome == Outcome::Failed || !isSent) {
    handshakeFailed(outcome == Outcome::Failed ? tls_->failure() : describeError(error));
    return false;
  }
  if (outcome != Outcome::Done) return false;
  static_cast<void>(
      encryptWaiting(error));  // whoever reads next finds out as well that the socket has failed
  updateWatch();
  secured();
  return fd_ >= 0 && tls_;
}

void TcpConnection::secured() {
  const TcpConnectionPtr pin = self_;
  status_ = STATUS_ESTABLISHED;
  emit(onConnect);
  updateWatch();
}

/// Of a server: the peer gets the alert that tells it why, and the log gets a line.
void TcpConnection::handshakeFailed(std::string_view cause) {
  if (worker != nullptr) detail::ConnectionLimits::of(*worker).tlsFailed(*this, cause);
  status_ = STATUS_CLOSING;
  linger(true);
}

/// A browser that was sent to http:// deserves an answer that it can show.
void TcpConnection::refusePlainText() {
  static_cast<void>(detail::sendSome(fd_, kPlainTextAnswer.data(), kPlainTextAnswer.size()));
  handshakeFailed("a request without TLS");
}

// -- bytes ----------------------------------------------------------------------------

/// Sends what OpenSSL has just put out; the rest waits. False: the socket has failed.
bool TcpConnection::sendCiphertext(int& error) {
  auto& io = detail::TlsIo::ofThisThread();
  io.buffers.used(*tls_, *eventLoop);
  detail::ByteQueue& output = io.output;
  if (output.empty()) return true;
  std::size_t written = 0;
  if (sendQueue_.empty() && (!holdsOutput_ || isDestroying_)) {
    const ssize_t sent = detail::sendSome(fd_, output.data(), output.size());
    if (sent >= 0) {
      written = static_cast<std::size_t>(sent);
      markActive();
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      error = errno;
    }
  }
  if (error == 0 && written < output.size()) {
    try {
      sendQueue_.append(output.view().substr(written));
    } catch (const std::bad_alloc&) {
      error = ENOMEM;
    }
    if (sendQueue_.size() > kMostUnsent) error = ENOBUFS;
    updateWatch();
  }
  output.rewind();
  return error == 0;
}

/// Gives how much of the text is encrypted and sent, or waits in sendQueue_.
std::size_t TcpConnection::writeEncrypted(const iovec* pieces, int count, int& error) {
  std::size_t total = 0;
  iovec rest[4];
  std::copy_n(pieces, count, rest);
  const iovec* first = rest;
  const iovec* const end = rest + count;
  while (first != end && sendQueue_.empty()) {
    const auto taken = tls_->write(first, static_cast<int>(end - first), kBatch);
    if (!sendCiphertext(error)) return total;
    if (!taken) {
      error = EIO;
      return total;
    }
    total += *taken;
    std::size_t skip = *taken;
    for (iovec* piece = const_cast<iovec*>(first); first != end; piece = const_cast<iovec*>(++first)) {
      const std::size_t used = std::min(skip, piece->iov_len);
      skip -= used;
      piece->iov_base = static_cast<char*>(piece->iov_base) + used;
      piece->iov_len -= used;
      if (piece->iov_len != 0) break;
    }
  }
  return total;
}

/// Moves what waits for encryption on, as far as the socket takes it.
bool TcpConnection::encryptWaiting(int& error) {
  while (!tls_->waiting.empty() && sendQueue_.empty()) {
    if (!encryptSome(kBatch, error)) return false;
  }
  return true;
}

/// Of what waits for encryption, `limit` bytes: behind what waits for the socket.
bool TcpConnection::encryptSome(std::size_t limit, int& error) {
  if (tls_->waiting.empty()) return true;
  const auto taken = tls_->write(tls_->waiting.view(), limit);
  if (!sendCiphertext(error)) return false;
  if (!taken) return error = EIO, false;
  tls_->waiting.consume(*taken);
  bytesWritten += static_cast<std::int64_t>(*taken);
  return true;
}

// -- the end --------------------------------------------------------------------------

/// Ends our direction, once all has been written: close_notify, then FIN. False: the former has to wait.
bool TcpConnection::sendFin() {
  if (tls_ && tls_->endOutput()) {
    int error = 0;
    sendCiphertext(error);
    if (error == 0 && !sendQueue_.empty()) return false;
  }
  ::shutdown(fd_, SHUT_WR);
  return true;
}

/// A last word before the socket is closed, if it can be said without waiting. In the middle of a record it
/// cannot.
void TcpConnection::sayTlsGoodbye() noexcept {
  if (!tls_ || !sendQueue_.empty() || !tls_->endOutput()) return;
  detail::ByteQueue& output = detail::TlsIo::ofThisThread().output;
  static_cast<void>(detail::sendSome(fd_, output.data(), output.size()));
  output.rewind();
}

/// The socket's stream ends where TLS should have said so first: whoever cut it off may not be the peer.
void TcpConnection::tlsCutOff() {
  if (status_ == STATUS_ENDING || isDraining_) return peerEnded();
  hasEnded_ = true;
  // Nobody needs to hear of those who only look whether anybody listens.
  if (isInTlsHandshake() && tls_->isServer() && tls_->isFresh()) return destroyBecause({});
  if (isInTlsHandshake())
    return handshakeFailed("the peer has closed the connection during the TLS handshake");
  constexpr std::string_view kCause = "the stream was cut off: the peer has closed it without close_notify";
  // Where the stream's end is the end of what it carries, a part passes for the whole.
  const TcpConnectionPtr pin = self_;
  if (status_ == STATUS_ESTABLISHED && protocol.get() == nullptr) emit(onError, TLS_FAIL, kCause);
  if (fd_ >= 0) lost(kCause);
}

void TcpConnection::tlsFailed(const std::string& cause) {
  const TcpConnectionPtr pin = self_;
  const std::string why = "TLS: " + cause;
  if (status_ == STATUS_ESTABLISHED && !isStillConnecting()) emit(onError, TLS_FAIL, std::string_view(why));
  if (fd_ >= 0) lost(why);
}

}  // namespace Workerman::Connection
