#include "tls_transport.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "tls_io.h"

namespace Workerman::Connection::detail {
namespace {

/// TLS itself has failed, and the stream knows why.
constexpr int kTlsError = -1;
/// Text encrypted before it is offered to the socket: enough for few system calls, little enough to stay
/// in the processor's cache.
constexpr std::size_t kBatch = 128 * 1024;
/// Encrypted bytes beyond what a batch leaves can only be answers to a peer that asks and does not read.
constexpr std::size_t kMostUnsent = 2 * kBatch;

constexpr std::string_view kPlainTextAnswer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 63\r\nConnection: close\r\n\r\n"
    "This port speaks TLS, and the request came without (https://).\n";

iovec bytesOf(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

TlsTransport::TlsTransport(EventLoop& loop, std::unique_ptr<TlsStream> stream, Transport& below,
                           std::string arrived)
    : loop_(loop), stream_(std::move(stream)), below_(below) {
  if (!arrived.empty()) arrived_ = std::make_unique<std::string>(std::move(arrived));
}

TlsTransport::TlsTransport(EventLoop& loop, std::unique_ptr<TlsStream> stream,
                           std::unique_ptr<Transport> below)
    : loop_(loop), stream_(std::move(stream)), owned_(std::move(below)), below_(*owned_) {}

TlsTransport::~TlsTransport() = default;

// -- in ---------------------------------------------------------------------------------

Transport::Read TlsTransport::read(char* to, std::size_t room) noexcept {
  using Outcome = TlsStream::Outcome;
  if (!hasInput_) {
    auto& io = TlsIo::ofThisThread();
    std::string_view bytes;
    if (arrived_) {
      bytes = *arrived_;
    } else {
      Read got = below_.read(io.receiveBuffer(), TlsIo::kReceiveSize);
      // Nobody needs to hear of those who only look whether anybody listens.
      const bool isOnlyLooking = stream_->isServer() && stream_->isFresh();
      if (got.got == Got::Ended) return {.got = isOnlyLooking ? Got::Ended : Got::CutOff};
      if (got.size == 0) {
        got.isBlocked = !unsent_.empty();
        return got;
      }
      bytes = {io.receiveBuffer(), got.size};
    }
    if (stream_->isServer() && stream_->isFresh() && bytes[0] >= 'A' && bytes[0] <= 'Z')
      return refusePlainText();
    stream_->feed(bytes);
    hasInput_ = true;
  }
  if (!stream_->isOpen()) {
    const Read shaken = shake();
    if (!hasInput_) arrived_.reset();
    return shaken;
  }
  const TlsStream::Decrypted result = stream_->read(to, room);
  // Alerts and new keys leave before a callback makes anything else of the output.
  const int error = send();
  hasInput_ = result.outcome == Outcome::Full && error == 0;
  if (!hasInput_) arrived_.reset();
  Read read{.size = result.size, .isBlocked = !unsent_.empty()};
  if (error != 0 || result.outcome == Outcome::Failed) {
    read.got = Got::Failed;
    read.error = kTlsError;
    sendError_ = error;
  } else if (result.outcome != Outcome::Done && result.outcome != Outcome::NeedsInput) {
    read.got = result.outcome == Outcome::Full ? Got::More : Got::Ended;
  }
  return read;
}

Transport::Read TlsTransport::drop(char* to, std::size_t room) noexcept {
  Read read = below_.drop(to, room);
  read.isBlocked = !unsent_.empty();
  return read;
}

Transport::Read TlsTransport::shake() noexcept {
  using Outcome = TlsStream::Outcome;
  const Outcome outcome = stream_->handshake();
  const int error = send();
  if (outcome == Outcome::Failed) return failed(kTlsError);
  if (error != 0) return failed(error);
  hasInput_ = wasOpened_ = outcome == Outcome::Done;
  return {.got = hasInput_ ? Got::Opened : Got::Bytes, .isBlocked = !unsent_.empty()};
}

/// A browser that was sent to http:// deserves an answer that it can show.
Transport::Read TlsTransport::refusePlainText() noexcept {
  const iovec answer = bytesOf(kPlainTextAnswer);
  static_cast<void>(below_.write(&answer, 1));
  wasPlainText_ = true;
  return failed(kTlsError);
}

Transport::Read TlsTransport::failed(int error) noexcept {
  hasInput_ = false;
  return {.got = Got::Failed, .isBlocked = !unsent_.empty(), .error = error};
}

std::size_t TlsTransport::unread() const noexcept {
  return below_.unread() + (arrived_ ? arrived_->size() : 0) + (stream_->isAmidRecord() ? 1 : 0);
}

std::string TlsTransport::describe(int error) const {
  if (error != kTlsError) return Transport::describe(error);
  if (sendError_ != 0) return Transport::describe(sendError_);
  return wasPlainText_ ? "a request without TLS" : stream_->failure();
}

// -- out --------------------------------------------------------------------------------

/// Sends what OpenSSL has just put out; the rest waits. Gives an error.
int TlsTransport::send() noexcept {
  auto& io = TlsIo::ofThisThread();
  io.buffers.used(*stream_, loop_);
  ByteQueue& output = io.output;
  if (output.empty()) return 0;
  Written written;
  if (unsent_.empty()) {
    const iovec bytes = bytesOf(output.view());
    written = below_.write(&bytes, 1);
  }
  if (written.error == 0 && written.size < output.size()) {
    try {
      unsent_.append(output.view().substr(written.size));
    } catch (const std::bad_alloc&) {
      written.error = ENOMEM;
    }
    if (unsent_.size() > kMostUnsent) written.error = ENOBUFS;
  }
  output.rewind();
  return written.error;
}

Transport::Written TlsTransport::open() noexcept {
  if (stream_->isServer()) return {};
  const Read read = shake();
  return {.isBlocked = read.isBlocked, .error = read.error};
}

Transport::Written TlsTransport::write(const iovec* pieces, int count) noexcept {
  Written all;
  std::array<iovec, 4> rest;
  std::copy_n(pieces, count, rest.begin());
  iovec* first = rest.data();
  const iovec* const end = first + count;
  while (first != end && unsent_.empty()) {
    const auto taken = stream_->write(first, static_cast<int>(end - first), kBatch);
    all.error = send();
    if (!taken && all.error == 0) all.error = kTlsError;
    if (all.error != 0) return all;
    all.size += *taken;
    for (std::size_t skip = *taken; first != end; ++first) {
      const std::size_t used = std::min(skip, first->iov_len);
      skip -= used;
      *first = {static_cast<char*>(first->iov_base) + used, first->iov_len - used};
      if (first->iov_len != 0) break;
    }
  }
  all.isBlocked = !unsent_.empty();
  return all;
}

Transport::Written TlsTransport::flush() noexcept {
  if (unsent_.empty()) return {};
  const iovec bytes = bytesOf(unsent_.view());
  Written written = below_.write(&bytes, 1);
  unsent_.consume(written.size);
  written.isBlocked = !unsent_.empty();
  return written;
}

/// close_notify, then the end of the stream below.
bool TlsTransport::endOutput() noexcept {
  if (stream_->endOutput() && send() == 0 && !unsent_.empty()) return false;
  return below_.endOutput();
}

/// In the middle of a record no last word can be said.
void TlsTransport::close() noexcept {
  if (below_.descriptor() >= 0 || owned_) {
    if (unsent_.empty() && stream_->endOutput()) static_cast<void>(send());
  }
  unsent_.clear();
  below_.close();
}

}  // namespace Workerman::Connection::detail
