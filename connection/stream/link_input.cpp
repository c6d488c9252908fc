// Link: what arrives.

#include <algorithm>
#include <chrono>
#include <cstring>

#include "../../core/event_loop.h"
#include "../../core/exceptions.h"
#include "../listen/connection_limits.h"
#include "link_inline.h"
#include "loop_io.h"
#include "rare.h"

namespace Workerman::Connection::detail {

using Phase = Life::Phase;
using Workerman::detail::PollHandle;

namespace {

/// An unfinished package up to this size is kept in front of the shared buffer,
/// so that the next read needs no buffer of the connection's own.
constexpr std::size_t kSharedLeftOver = 16 * 1024;
/// An announced package beyond this size gets memory that is used again for the next one.
constexpr std::size_t kLargePackage = 256 * 1024;
/// A connection's share of one turn of the loop: so many times Input::kLook messages, or this long.
constexpr unsigned kLooks = 8;
constexpr std::int64_t kTurnNanoseconds = 1'000'000;

std::int64_t nowNanoseconds() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace

void Link::onReady(void* self, int events) noexcept {
  auto& link = *static_cast<Link*>(self);
  const Workerman::detail::DispatchScope scope(*link.connection().eventLoop);
  try {
    if ((events & PollHandle::Writable) && link.output_.isQueued()) link.writeQueued();
    if (!link.isUp()) return;
    if (events & PollHandle::Readable) {
      link.receive();
    } else if (events & PollHandle::PeerEnd) {
      link.noticeEnd();
    }
  } catch (...) {
    link.handleException();
  }
}

void Link::receive() {
  if ((holds_ & ForOthers) != 0 && life_.takesInput()) return;
  // What nearly every event is, without a detour: bytes from the socket, behind no others.
  if (transport_ == &socket_ && received_.empty() && !life_.dropsInput()) [[likely]] {
    char* const data = LoopIo::ofThisThread().receiveBuffer();
    const ssize_t got = socket_.receive(data, LoopIo::kReceiveSize);
    if (got <= 0) return cameInstead(&socket_, SocketTransport::nothing(got));
    connection().bytesRead += got;
    markActive();
    return takeIn(data, static_cast<std::size_t>(got));
  }
  const Transport* const from = transport_;
  Transport::Got got;
  do {
    got = readOnce();
  } while ((got == Transport::Got::More || got == Transport::Got::Opened) && isUp() && transport_ == from);
}

/// Gives what lies in the receive buffer to the protocol, and keeps what is left of it.
inline void Link::takeIn(char* data, std::size_t size) {
  const std::size_t unused = pump(data, size, false);
  if (unused == 0) [[likely]]
    return;
  if (wanted_ > kLargePackage && received_.capacity() == 0) {
    received_ = LoopIo::ofThisThread().takeLarge();
  } else if (wanted_ > unused) {
    received_.reserve(std::min<std::size_t>(wanted_, LoopIo::kMostReserved));
  }
  received_.append({data + size - unused, unused});
}

/// Reads what there is, gives it to the protocol and deals with what came instead or behind it.
Transport::Got Link::readOnce() {
  auto& io = LoopIo::ofThisThread();
  const bool drops = life_.dropsInput();
  const std::size_t left = received_.size();
  const bool isShared = left <= kSharedLeftOver;
  char* data = nullptr;
  char* tail = nullptr;
  std::size_t room = 0;
  if (isShared) {
    data = io.receiveBuffer();
    tail = data + left;
    room = LoopIo::kReceiveSize - left;
  } else {
    const std::size_t missing = wanted_ > left ? wanted_ - left : 0;
    tail = received_.reserve(std::clamp(missing, kSharedLeftOver, LoopIo::kMostReserved));
    room = received_.tailRoom();
  }
  Transport* const from = transport_;
  const Transport::Read read = drops ? from->drop(tail, room) : from->read(tail, room);
  if (read.isBlocked != output_.isBlocked()) {
    output_.setBlocked(read.isBlocked);
    updateWatch();
  }
  if (read.size != 0) {
    connection().bytesRead += static_cast<std::int64_t>(read.size);
    markActive();
  }
  if (read.size != 0 && !drops) {
    if (!isShared) {
      received_.commit(read.size);
      receiveQueued(false);
    } else {
      if (left != 0) {
        std::memcpy(data, received_.data(), left);
        received_.clear();
      }
      takeIn(data, left + read.size);
    }
  }
  if (read.got != Transport::Got::Bytes && read.got != Transport::Got::More) cameInstead(from, read);
  return read.got;
}

/// Deals with what `from` has given instead of bytes, or behind them.
void Link::cameInstead(const Transport* from, Transport::Read read) {
  using Got = Transport::Got;
  if (!isUp() || transport_ != from) return;
  switch (read.got) {
    case Got::Bytes:
    case Got::More:
      return;
    case Got::Opened:
      return opened();
    case Got::Ended:
      inputEnded_ = true;
      // In front of it there are bytes, or what the protocol has yet to make of bytes that it has.
      endWaits_ = !life_.dropsInput() && isInputHeld() && (!received_.empty() || (holds_ & ForOthers) != 0);
      return endWaits_ ? updateWatch() : peerEnded();
    case Got::CutOff:
      return cutOff();
    case Got::Failed:
      return readFailed(read.error);
  }
}

void Link::opened() {
  const TcpConnectionPtr pin = self_;
  // What was sent meanwhile leaves first. Whoever reads next finds out as well that the socket has failed.
  if (output_.isQueued()) static_cast<void>(moveOutput());
  connection().secured();
}

void Link::receiveQueued(bool isResumed) {
  // Out of the way of whatever a callback does to this connection.
  ByteQueue bytes;
  bytes.swap(received_);
  const std::size_t unused = pump(bytes.data(), bytes.size(), isResumed);
  if (unused == 0) return LoopIo::ofThisThread().keepLarge(std::move(bytes));
  bytes.consume(bytes.size() - unused);
  received_.swap(bytes);
}

void Link::receiveLeftOver(std::string_view bytes) {
  connection().bytesRead += static_cast<std::int64_t>(bytes.size());
  received_.append(bytes);
  receiveQueued(false);
}

/// Gives the bytes to the protocol, message by message; returns how many are left.
std::size_t Link::pump(char* data, std::size_t size, bool isResumed) {
  TcpConnection& mine = connection();
  Input input(self_, data, size, wanted_);
  pump_ = &input;
  // What is resumed may have something to go on with although no byte is left.
  while ((input.size() != 0 || isResumed) && mayReceive(input)) {
    const Protocol* const spoken = mine.protocol.get();
    const std::size_t before = input.size();
    isResumed = false;
    if (spoken == nullptr) {
      if (before == 0) break;
      const std::string_view all = input.view();
      input.consume(all.size());
      deliverText(all);
      continue;
    }
    spoken->receive(*this, input);
    if (input.size() == before && mine.protocol.get() == spoken) break;
  }
  pump_ = nullptr;
  if (LoopIo::ofThisThread().corked() == this) flushCork();
  if (input.abandoned()) return 0;
  if ((holds_ & ForOthers) != 0 && !waitsForTurn_) [[unlikely]] {
    waitsForTurn_ = true;
    LoopIo::ofThisThread().takeTurnLater(*mine.eventLoop, self_);
  }
  wanted_ = static_cast<std::uint32_t>(std::min<std::size_t>(input.wanted(), UINT32_MAX));
  return input.size();
}

/// Every so many messages: whether this turn still has time for this connection.
bool Link::mayGoOn(Input& input) noexcept {
  const std::int64_t now = nowNanoseconds();
  if (input.lookAgain(now) < kLooks && now - input.since() < kTurnNanoseconds) return true;
  yield();
  return false;
}

void Link::takeTurn() noexcept {
  waitsForTurn_ = false;
  // Who is held otherwise as well goes on when that is over.
  if (holds_ != ForOthers) return;
  holds_ = 0;
  if (isUp()) resume();
}

/// What has been held back goes on its way; then the end, if it came behind that.
void Link::resume() noexcept {
  const Workerman::detail::DispatchScope scope(*connection().eventLoop);
  try {
    receiveQueued(true);
    // Half a package that is left will never be whole.
    if (endWaits_ && isUp() && !isInputHeld()) peerEnded();
  } catch (...) {
    handleException();
  }
}

// -- holding ----------------------------------------------------------------------------

void Link::hold(Hold why) noexcept {
  holds_ |= why;
  updateWatch();
}

void Link::release(Hold why) {
  if ((holds_ & why) == 0) return;
  holds_ &= static_cast<std::uint8_t>(~why);
  endNoticed_ = false;
  if (!isUp() || life_.is(Phase::Connecting) || (holds_ & ~ForOthers) != 0) return;
  updateWatch();
  // Differs from Workerman: inside this connection's own onMessage the rest is
  // delivered when the callback returns, so that a peer cannot cause a
  // recursion as deep as its messages are many.
  if (pump_ != nullptr) return;
  holds_ = 0;
  resume();
}

/// While input is held back: the peer's end, or an error of the socket. What little came before it is read,
/// so that the end is seen; more than that waits where it is.
void Link::noticeEnd() {
  if (const int error = transport_->takeError(); error != 0) return readFailed(error);
  endNoticed_ = transport_->unread() > kSharedLeftOver;
  const Transport* const from = transport_;
  constexpr int kMostReads = 8;
  for (int reads = 0; !endNoticed_ && !inputEnded_ && isUp() && transport_ == from; ++reads) {
    readOnce();
    // More than a little, or an end that does not come.
    endNoticed_ = received_.size() > kSharedLeftOver || reads == kMostReads;
  }
  updateWatch();
}

void Link::consumeReceived(std::size_t length) noexcept {
  if (pump_ != nullptr) {
    pump_->consume(std::min(length, pump_->size()));
  } else {
    received_.consume(length);
  }
}

bool Link::hasUnreadInput() const noexcept {
  return receivedBytes() != 0 || (isUp() && transport_->unread() != 0);
}

void Link::updateWatch() noexcept {
  if (!isUp()) return;
  const bool isHeld = (holds_ & ~ForOthers) != 0;
  const bool reads = !inputEnded_ && (life_.dropsInput() || isSecuring() || (life_.takesInput() && !isHeld));
  const bool looksForEnd = !inputEnded_ && !endNoticed_ && life_.takesInput() && isHeld;
  // What is queued waits for the handshake's end, whose own bytes may wait for room.
  const bool wantsRoom = isSecuring() ? output_.isBlocked() : output_.wantsRoom();
  const int events = (reads ? PollHandle::Readable : 0) | (looksForEnd ? PollHandle::PeerEnd : 0) |
                     (wantsRoom ? PollHandle::Writable : 0);
  if (const int error = transport_->watch(events)) [[unlikely]]
    watchFailed(error);
}

// -- what comes instead of bytes -----------------------------------------------------------

void Link::peerEnded() {
  inputEnded_ = true;
  endWaits_ = false;
  if (isSecuring()) return destroyBecause({});  // nobody needs to hear of those who only look who listens
  flushOwnCork();
  if (endPiped()) return;
  // Differs from Workerman: what is queued for a peer that only stopped sending still leaves. A
  // websocket's peer says good-bye first; without that it is lost.
  const Protocol* const spoken = connection().protocol.get();
  const bool isDone = spoken != nullptr && spoken->hasCloseCodes();
  if (!isDone && output_.isQueued() && !life_.is(Phase::AwaitingEnd)) {
    if (isEstablished() && life_.moveTo(Phase::Closing)) limitClosing();
    return updateWatch();
  }
  lost("the peer closed the connection");
}

/// The stream below ends where the transport should have said so first: whoever cut it off may not be the
/// peer.
void Link::cutOff() {
  inputEnded_ = true;
  if (isSecuring()) {
    return connection().handshakeFailed("the peer has closed the connection during the TLS handshake");
  }
  constexpr std::string_view kCause = "the stream was cut off: the peer has closed it without close_notify";
  // Where the stream's end is the end of what it carries, a part passes for the whole.
  const TcpConnectionPtr pin = self_;
  if (isEstablished() && connection().protocol.get() == nullptr) {
    emit(connection().onError, ConnectionInterface::TLS_FAIL, kCause);
  }
  if (isUp()) lost(kCause);
}

void Link::readFailed(int error) {
  const TcpConnectionPtr pin = self_;
  const bool isOfSocket = error > 0;
  const std::string cause = transport_->describe(error);
  if (isSecuring()) {
    if (isOfSocket) inputEnded_ = true;
    return connection().handshakeFailed(cause);
  }
  if (isOfSocket) return lost(cause);
  const std::string why = "TLS: " + cause;
  if (isEstablished() && !connection().isStillConnecting()) {
    emit(connection().onError, ConnectionInterface::TLS_FAIL, std::string_view(why));
  }
  if (isUp()) lost(why);
}

// -- what protocols refuse -------------------------------------------------------------------

void Link::refusePackage(std::string_view why) noexcept {
  const TcpConnectionPtr pin = self_;
  try {
    const Protocol* const spoken = connection().protocol.get();
    ConnectionLimits::burstsOf(connection())
        .badPackages.tell("Protocol " + (spoken != nullptr ? spoken->name() : std::string("tcp")) +
                          " Error package. " + std::string(why) + "; the connection of " +
                          connection().getRemoteAddress());
  } catch (const std::bad_alloc&) {
    // It is refused all the same.
  }
  connection().destroy();
}

bool Link::refuseForException() noexcept {
  if (connection().errorHandler) {
    handleException();
    return true;
  }
  Workerman::detail::withCurrentException(
      [this](const std::exception& e) { refusePackage(Workerman::detail::describe(e)); });
  return false;
}

}  // namespace Workerman::Connection::detail
