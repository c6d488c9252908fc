// Link: how a connection begins and ends.

#include "link.h"

#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "../../core/event_loop.h"
#include "../../core/exceptions.h"
#include "../../core/runtime.h"
#include "../../core/worker.h"
#include "../listen/connection_limits.h"
#include "connection_table.h"
#include "link_inline.h"
#include "loop_io.h"
#include "rare.h"

namespace Workerman::Connection::detail {

using Phase = Life::Phase;
using Workerman::detail::LoopTimer;

constinit thread_local std::size_t heldConnections = 0;

Link::Link() noexcept : realId_(ConnectionTable::nextId()) {}

Link::~Link() {
  if (transport_ != &socket_) delete transport_;
}

// -- what carries it --------------------------------------------------------------------

void Link::takeSocket(EventLoop& loop, int fd) {
  socket_.take(loop, fd, &Link::onReady, this);
  transport_ = &socket_;
  connection().eventLoop = &loop;
  inputEnded_ = endWaits_ = waitsForTurn_ = false;
  wanted_ = 0;
}

void Link::carryOver(EventLoop& loop, std::unique_ptr<Transport> transport) {
  transport_ = transport.release();
  connection().eventLoop = &loop;
  inputEnded_ = endWaits_ = waitsForTurn_ = false;
  wanted_ = 0;
}

bool Link::openTransport() {
  const Transport::Written written = transport_->open();
  output_.setBlocked(written.isBlocked);
  if (written.error != 0) {
    connection().handshakeFailed(transport_->describe(written.error));
    return false;
  }
  updateWatch();
  return transport_->isOpen();
}

void Link::dropTransport() noexcept {
  if (transport_ == nullptr) return;
  transport_->close();
  if (transport_ != &socket_) delete transport_;
  transport_ = nullptr;
}

void Link::leaveSocket() {
  flushOwnCork();
  if (pump_ != nullptr) std::exchange(pump_, nullptr)->abandon();
  // Half a message must not become the beginning of the next stream; what waits for a socket may.
  output_.renew(!isUp() || isSecuring());
  if (transport_ != nullptr) {
    received_.clear();
    holds_ = 0;
  }
  dropTransport();
  if (rare_) rare_->lingerTimer.reset(), rare_->closeTimer.reset();
  LoopIo::ofThisThread().bury(connection().eventLoop, std::move(state_));
}

void Link::watchFailed(int error) noexcept {
  try {
    // Not here: whoever sends does not expect its connection to end inside.
    const std::weak_ptr<TcpConnection> weak = connection().weak_from_this();
    connection().eventLoop->defer([weak, error, transport = transport_] {
      const TcpConnectionPtr alive = weak.lock();
      if (!alive) return;
      Link& link = of(*alive);
      if (link.isUp() && link.transport_ == transport) {
        link.lost("the socket cannot be watched: " + std::system_category().message(error));
      }
    });
  } catch (...) {
    handleException();
  }
}

// -- the beginning ------------------------------------------------------------------------

void Link::startAccepted() {
  if (life_.is(Phase::Connecting)) {
    // Differs from Workerman: onConnect follows the TLS handshake.
    static_cast<void>(openTransport());
    return;
  }
  const TcpConnectionPtr pin = self_;
  emit(connection().onConnect);
  updateWatch();
}

bool Link::isOpening() const noexcept {
  const Protocol* const spoken = connection().protocol.get();
  return (isUp() && !transport_->isOpen()) || (spoken != nullptr && spoken->isOpening(*this));
}

void Link::handshakeOverdue() {
  if (life_.dropsInput()) return destroyBecause({});  // it had failed before
  if (isSecuring()) {
    const TcpConnectionPtr pin = self_;
    connection().handshakeFailed("not done within handshakeTimeout");
    // Who has not taken what came before does not wait for the alert.
    if (isUp() && output_.isBlocked()) destroyBecause({});
    return;
  }
  const Protocol* const spoken = connection().protocol.get();
  if (spoken == nullptr) return;
  emit(connection().onError, ConnectionInterface::CONNECT_FAIL,
       "timed out while waiting for the " + spoken->name() + " handshake");
  if (connection().protocol.get() == spoken && spoken->isOpening(*this)) spoken->handshakeOverdue(*this);
}

void Link::holdSelf() {
  if (!isHeldByLoop_) {
    isHeldByLoop_ = true;
    ++heldConnections;
  }
  if (!self_) self_ = connection().shared_from_this();
  ConnectionTable::ofThisThread().add(connection());
}

void Link::setState(std::unique_ptr<ProtocolState> state) {
  // The former one may be at work further up the stack.
  LoopIo::ofThisThread().bury(connection().eventLoop, std::exchange(state_, std::move(state)));
}

std::string Link::changeProtocol(const Protocol* next) {
  const TypeTag* const wanted = connection().onMessage.wants();
  const TypeTag* const given = next != nullptr ? next->messageType() : textTag();
  if (wanted != nullptr && wanted != given) return describeMismatch(*wanted, *given);
  const char* const refusal = next != nullptr ? next->refusal(connection().side()) : nullptr;
  if (refusal != nullptr) return next->name() + ":// " + refusal;
  setState(nullptr);
  wanted_ = 0;
  if (pump_ != nullptr) pump_->want(0);
  connection().protocol = ProtocolName(next);
  return {};
}

void Link::handleException() noexcept {
  Workerman::detail::withCurrentException(
      [this](const std::exception& exception) { connection().error(exception); });
}

void Link::protocolReady() {
  connection().ready();
}

// -- the end ----------------------------------------------------------------------------

void Link::closeSoon() {
  sendPublished();
  const TcpConnection& mine = connection();
  if (life_.isBeforeOpen()) return destroyBecause({});
  if (!isUp() || (life_.isOver() && !life_.is(Phase::Ending))) return;
  const Protocol* const spoken = mine.protocol.get();
  if (isEstablished() && spoken && spoken->beginClose(*this, -1, {})) return;
  if (!isUp()) return;
  // Input that comes to a closed socket resets it, and what the peer has not read yet is lost.
  if (transport_->mayGetUnasked()) return linger(true);
  // Last bytes: what is corked goes now, and if the kernel takes it all there is nothing to wait for.
  if (!flushOwnCork() || !output_.isQueued()) return destroyBecause({});
  if (!life_.moveTo(Phase::Closing)) return;  // end() is under way
  limitClosing();
  updateWatch();
}

void Link::endSoon() {
  sendPublished();
  if (life_.isBeforeOpen()) return destroyBecause({});
  if (!isEstablished()) return;
  connection().onMessage = nullptr;
  life_.moveTo(Phase::Ending);
  linger(true);
}

void Link::lost(std::string_view cause) {
  connection().gone(cause);
}

void Link::linger(bool shutdownWrite) {
  if (!isUp()) return;
  received_.clear();
  if (pump_ != nullptr) pump_->consume(pump_->size());
  if (!life_.is(Phase::Ending)) life_.moveTo(shutdownWrite ? Phase::Lingering : Phase::AwaitingEnd);
  if (!flushOwnCork()) return destroyBecause({});
  updateWatch();
  if (output_.isQueued()) {
    limitClosing();
  } else {
    shutdownAndDrain();
  }
}

void Link::awaitGoodbye() noexcept {
  life_.moveTo(Phase::Farewell);
  updateWatch();
}

void Link::shutdownAndDrain() {
  if (rare_) rare_->closeTimer.reset();
  if (!life_.is(Phase::AwaitingEnd) && !transport_->endOutput()) {
    output_.setBlocked(true);
    return updateWatch();
  }
  const double patience = connection().lingerTimeout;
  if (inputEnded_ || patience <= 0) return destroyBecause({});
  auto& timer = rare().lingerTimer;
  if (!timer) timer = std::make_unique<LoopTimer>(*connection().eventLoop);
  const auto onTimeout = [](void* self) noexcept { static_cast<Link*>(self)->destroyBecause({}); };
  timer->start(patience, onTimeout, this);
}

/// What is queued leaves before the end as long as the peer takes of it. A websocket has a limit of its own.
void Link::limitClosing() {
  const double patience = connection().closeTimeout;
  const Protocol* const spoken = connection().protocol.get();
  if (!(patience > 0) || (spoken != nullptr && spoken->hasCloseCodes())) return;
  rare().takenAtLook = bytesTaken();
  auto& timer = rare().closeTimer;
  if (!timer) timer = std::make_unique<LoopTimer>(*connection().eventLoop);
  const auto onTimeout = [](void* self) noexcept { static_cast<Link*>(self)->closingOverdue(); };
  timer->start(patience, onTimeout, this);
}

void Link::closingOverdue() {
  if (bytesTaken() > rare().takenAtLook) return limitClosing();
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", static_cast<double>(connection().closeTimeout));
  ConnectionLimits::burstsOf(connection())
      .unsent.tell("closed " + connection().getRemoteAddress() + " with " + std::to_string(unsentBytes()) +
                   " bytes unsent: it has taken none for " + seconds + " seconds (closeTimeout)");
  destroyBecause("the peer took nothing of what was sent before the close");
}

void Link::destroyBecause(std::string_view cause) {
  if (life_.isTelling()) {
    // Inside onClose: forgets a reConnect() asked for there.
    life_.moveTo(Phase::Dying);
    return connection().stopConnecting();
  }
  if (life_.is(Phase::Closed)) return;
  const auto pin = connection().weak_from_this().lock();
  const std::string why(cause);  // the view may be into what is freed below
  const bool isQuiet = connection().isCloseTold() || (transport_ != nullptr && transport_->isUnannounced());
  flushOwnCork(true);
  life_.moveTo(Phase::Dying);
  connection().stopConnecting();
  if (pump_ != nullptr) std::exchange(pump_, nullptr)->abandon();
  // It stays until onClose has run, which may ask about it.
  if (transport_ != nullptr) transport_->close();
  if (rare_) rare_->lingerTimer.reset(), rare_->closeTimer.reset();
  EventLoop* const loop = connection().eventLoop;
  if (!isQuiet) tellClosed(why);
  // What onClose has sent after its reConnect() is for the next socket.
  output_.renew(life_.is(Phase::Renewing));
  dropTransport();
  received_.clear();
  holds_ = 0;
  LoopIo::ofThisThread().bury(loop, std::move(state_));
  if (!connection().startsAnew()) finalClose();
}

void Link::tellClosed(std::string_view cause) noexcept {
  TcpConnection& mine = connection();
  const Protocol* const spoken = mine.protocol.get();
  if (spoken == nullptr) return emit(mine.onClose);
  try {
    spoken->beforeClose(*this, cause);
    emit(mine.onClose);
    spoken->onClose(*this);
  } catch (...) {
    handleException();
  }
}

void Link::finalClose() {
  TcpConnection& mine = connection();
  life_.moveTo(Phase::Closed);
  mine.releaseCallbacks();
  mine.errorHandler = nullptr;
  ConnectionTable::ofThisThread().remove(mine);
  rare_.reset();
  mine.eventLoop = nullptr;
  Worker* const owner = std::exchange(mine.worker, nullptr);
  if (owner != nullptr) owner->connectionEnded(mine);
  releaseSelf();
}

Link::Rare& Link::rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}

void Link::disown() noexcept {
  if (rare_) rare_->subscriber.reset();
  connection().worker = nullptr;
}

void Link::releaseSelf() {
  if (!isHeldByLoop_) return;
  isHeldByLoop_ = false;
  --heldConnections;
  auto& runtime = Workerman::detail::Runtime::ofThisThread();
  if (runtime.loop() == nullptr || !runtime.loop()->isDispatching()) {
    dropSelf();
  } else if (!isParked_) {
    isParked_ = true;
    LoopIo::ofThisThread().release(*runtime.loop(), *this);
  }
  runtime.connectionEnded();
}

void Link::dropSelf() noexcept {
  isParked_ = false;
  if (isHeldByLoop_) return;
  const TcpConnectionPtr last = std::move(self_);
}

const Subscriber* Link::subscriber() const noexcept {
  return rare_ ? rare_->subscriber.get() : nullptr;
}

void Link::catchUp() noexcept {
  if (rare_->subscriber) rare_->subscriber->catchUp();
}

}  // namespace Workerman::Connection::detail
