// TcpConnection: how it begins and ends.

#include "tcp_connection.h"

#include <unistd.h>

#include <stdexcept>
#include <system_error>

#include "../../core/event_loop.h"
#include "../../core/exceptions.h"
#include "../../core/runtime.h"
#include "../../core/worker.h"
#include "../socket.h"
#include "../tls/tls_stream.h"
#include "connection_table.h"
#include "loop_io.h"
#include "tcp_rare.h"

namespace Workerman::Connection {

using detail::ConnectionTable;
using detail::LoopIo;

constinit thread_local ConnectionInterface::Statistics ConnectionInterface::statistics;

void ConnectionInterface::error(const std::exception& exception) noexcept {
  ++statistics.throw_exception;
  const auto stop = [](const std::exception& cause) {
    Worker::stopAll(250, Workerman::detail::describe(cause));
  };
  try {
    if (!errorHandler) return stop(exception);
    errorHandler(exception);
  } catch (...) {
    Workerman::detail::withCurrentException(stop);
  }
}

constinit thread_local std::size_t detail::heldConnections = 0;

const std::map<int, std::string> TcpConnection::STATUS_TO_STRING{
    {STATUS_INITIAL, "INITIAL"}, {STATUS_CONNECTING, "CONNECTING"}, {STATUS_ESTABLISHED, "ESTABLISHED"},
    {STATUS_ENDING, "ENDING"},   {STATUS_CLOSING, "CLOSING"},       {STATUS_CLOSED, "CLOSED"}};

TcpConnection::TcpConnection() : id(ConnectionTable::nextId()), realId_(id) {
  ++statistics.connection_count;
  ConnectionTable::ofThisThread().add(realId_, *this);
}

TcpConnection::~TcpConnection() {
  poll_.close();
  if (fd_ >= 0) ::close(fd_);
  ConnectionTable::ofThisThread().remove(realId_);
  --statistics.connection_count;
}

TcpConnectionPtr TcpConnection::accepted(EventLoop& loop, int fd, detail::PeerAddress peer,
                                         std::unique_ptr<detail::TlsStream> tls) {
  struct Accepted final : TcpConnection {};
  const auto connection = std::make_shared<Accepted>();
  connection->remoteAddress_ = std::move(peer);
  connection->adoptSocket(loop, fd);
  connection->holdSelf();
  if (tls) {
    connection->tls_ = std::move(tls);
    connection->status_ = STATUS_CONNECTING;
  }
  return connection;
}

void TcpConnection::startAccepted() {
  if (tls_) return updateWatch();  // Differs from Workerman: onConnect follows the TLS handshake.
  const TcpConnectionPtr pin = self_;
  emit(onConnect);
  updateWatch();
}

void TcpConnection::holdSelf() {
  if (!std::exchange(isHeld_, true)) ++detail::heldConnections;
  if (!self_) self_ = shared_from_this();
  ConnectionTable::ofThisThread().add(realId_, *this);
}

void TcpConnection::adoptSocket(EventLoop& loop, int fd) {
  poll_.open(loop, fd, &TcpConnection::onPoll, this);
  eventLoop = &loop;
  fd_ = fd;
  hasEnded_ = isDraining_ = awaitsGoodbye_ = holdsOutput_ = false;
  wanted_ = 0;
}

void TcpConnection::closeSocket() noexcept {
  if (pump_ != nullptr) {
    pump_->abandon();
    pump_ = nullptr;
  }
  poll_.close();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void TcpConnection::leaveSocket() {
  flushOwnCork();
  if (fd_ >= 0) {
    sayTlsGoodbye();
    // Half a message must not become the beginning of the next stream.
    sendQueue_.clear();
    if (isInTlsHandshake()) sendQueue_.swap(tls_->waiting);
    receiveQueue_.clear();
    isPaused_ = outputEnds_ = false;
  }
  closeSocket();
  tls_.reset();
  if (rare_) rare_->lingerTimer.reset();
  LoopIo::ofThisThread().bury(eventLoop, std::move(protocolState_));
}

void TcpConnection::setProtocolState(std::unique_ptr<ProtocolState> state) {
  // The former one may be at work further up the stack.
  LoopIo::ofThisThread().bury(eventLoop, std::exchange(protocolState_, std::move(state)));
}

const std::string& TcpConnection::describeError(int error) {
  thread_local std::map<int, std::string> known;
  const auto found = known.find(error);
  if (found != known.end()) return found->second;
  return known.emplace(error, std::system_category().message(error)).first->second;
}

void TcpConnection::handleException() noexcept {
  Workerman::detail::withCurrentException([this](const std::exception& exception) { error(exception); });
}

void TcpConnection::closeAfterSending() {
  sendPublished();
  if (status_ <= STATUS_CONNECTING) return destroy();
  if (status_ == STATUS_CLOSING || status_ == STATUS_CLOSED) return;
  const Protocol* spoken = protocol.get();
  if (status_ == STATUS_ESTABLISHED && spoken && spoken->beginClose(*this, -1, {})) return;
  if (fd_ < 0) return;
  // Input that comes to a closed socket resets it, and what the peer has not read yet is lost: the tickets
  // would.
  if (tls_ && tls_->awaitsTickets()) return linger(true);
  // Last bytes: what is corked goes now, and if the kernel takes it all there is nothing to wait for.
  if (!flushOwnCork() || sendQueue_.empty()) return destroyBecause({});
  status_ = STATUS_CLOSING;
  updateWatch();
}

void TcpConnection::closeWithCode(int code, std::string_view reason) {
  const Protocol* spoken = protocol.get();
  if (spoken == nullptr || !spoken->hasCloseCodes()) {
    throw std::logic_error("close(code, reason) is for websockets; close(text) sends text");
  }
  sendPublished();
  if (status_ == STATUS_ESTABLISHED) {
    // -1 is what beginClose() takes for "the usual one".
    if (code < 0)
      throw std::invalid_argument("close(" + std::to_string(code) + "): a close code is not negative");
    if (spoken->beginClose(*this, code, reason)) return;
  }
  closeAfterSending();
}

void TcpConnection::destroy() {
  sendPublished();
  destroyBecause({});
}

void TcpConnection::lost(std::string_view cause) {
  destroyBecause(cause);
}

void TcpConnection::end() {
  sendPublished();
  if (status_ <= STATUS_CONNECTING) return destroy();
  if (status_ != STATUS_ESTABLISHED) return;
  onMessage = nullptr;
  status_ = STATUS_ENDING;
  linger(true);
}

void TcpConnection::linger(bool shutdownWrite) {
  if (fd_ < 0) return;
  receiveQueue_.clear();
  if (pump_ != nullptr) pump_->consume(pump_->size());
  isDraining_ = true;
  awaitsGoodbye_ = false;
  sendsFin_ = shutdownWrite;
  if (status_ == STATUS_ESTABLISHED) status_ = STATUS_CLOSING;
  if (!flushOwnCork()) return destroyBecause({});
  updateWatch();
  if (sendQueue_.empty()) shutdownAndDrain();
}

void TcpConnection::awaitGoodbye() noexcept {
  status_ = STATUS_CLOSING;
  awaitsGoodbye_ = true;
  updateWatch();
}

void TcpConnection::shutdownAndDrain() {
  if (sendsFin_ && !sendFin()) return;
  if (hasEnded_ || lingerTimeout <= 0) return destroyBecause({});
  auto& timer = rare().lingerTimer;
  if (!timer) timer = std::make_unique<Workerman::detail::LoopTimer>(*eventLoop);
  const auto onTimeout = [](void* self) noexcept { static_cast<TcpConnection*>(self)->destroyBecause({}); };
  timer->start(lingerTimeout, onTimeout, this);
}

void TcpConnection::destroyBecause(std::string_view cause) {
  if (isDestroying_) {
    // Inside onClose: forgets a reConnect() asked for there.
    status_ = STATUS_CLOSED;
    return stopConnecting();
  }
  if (status_ == STATUS_CLOSED) return;
  const auto pin = weak_from_this().lock();
  const std::string why(cause);  // the view may be into what is freed below
  const bool isQuiet = isCloseTold();
  isDestroying_ = true;
  flushOwnCork();
  stopConnecting();
  if (fd_ >= 0) sayTlsGoodbye();
  closeSocket();
  if (rare_) rare_->lingerTimer.reset();
  status_ = STATUS_CLOSED;
  EventLoop* const loop = eventLoop;
  if (!isQuiet) tellClosed(why);
  // What onClose has sent after its reConnect() is for the next socket.
  if (status_ == STATUS_CLOSED) sendQueue_.clear();
  tls_.reset();
  receiveQueue_.clear();
  isPaused_ = outputEnds_ = false;
  LoopIo::ofThisThread().bury(loop, std::move(protocolState_));
  isDestroying_ = false;
  if (!startsAnew()) finalClose();
}

void TcpConnection::tellClosed(std::string_view cause) noexcept {
  if (isInTlsHandshake() && tls_->isServer()) return;  // nobody was told of it
  const Protocol* spoken = protocol.get();
  if (spoken == nullptr) return emit(onClose);
  try {
    spoken->beforeClose(*this, cause);
    emit(onClose);
    spoken->onClose(*this);
  } catch (...) {
    handleException();
  }
}

void TcpConnection::releaseCallbacks() noexcept {
  onConnect = nullptr;
  onWebSocketConnect = nullptr;
  onWebSocketConnected = nullptr;
  onWebSocketClose = nullptr;
  onWebSocketPing = nullptr;
  onWebSocketPong = nullptr;
  onMessage = nullptr;
  onClose = nullptr;
  onError = nullptr;
  onBufferFull = nullptr;
  onBufferDrain = nullptr;
  errorHandler = nullptr;
}

void TcpConnection::finalClose() {
  status_ = STATUS_CLOSED;
  releaseCallbacks();
  ConnectionTable::ofThisThread().remove(realId_);
  rare_.reset();
  eventLoop = nullptr;
  Worker* const owner = std::exchange(worker, nullptr);
  if (owner != nullptr) owner->connectionEnded(*this);
  releaseSelf();
}

TcpConnection::Rare& TcpConnection::rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}

void TcpConnection::disown() noexcept {
  if (rare_) rare_->subscriber.reset();
  worker = nullptr;
}

void TcpConnection::releaseSelf() {
  if (!isHeld_) return;
  isHeld_ = false;
  --detail::heldConnections;
  auto& runtime = Workerman::detail::Runtime::ofThisThread();
  if (runtime.loop() == nullptr || !runtime.loop()->isDispatching()) {
    dropSelf();
  } else if (!std::exchange(isParked_, true)) {
    LoopIo::ofThisThread().release(*runtime.loop(), *this);
  }
  runtime.connectionEnded();
}

void TcpConnection::dropSelf() noexcept {
  isParked_ = false;
  if (isHeld_) return;
  const TcpConnectionPtr last = std::move(self_);
}

}  // namespace Workerman::Connection
