#include "async_udp_connection.h"

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "../../core/event_loop.h"
#include "../../core/log.h"
#include "../../core/runtime.h"
#include "../../core/worker.h"
#include "../listen/rest.h"
#include "../names/resolver.h"
#include "../stream/connection_table.h"
#include "datagram.h"

namespace Workerman::Connection {

using detail::SocketAddress;
using Workerman::detail::DispatchScope;
using Workerman::detail::PollHandle;
using Workerman::detail::Runtime;

namespace {

/// Bytes that may wait for a name.
constexpr std::size_t kMostWaiting = 1024 * 1024;

/// Those of this thread that the framework holds.
std::vector<AsyncUdpConnection*>& heldHere() {
  static thread_local std::vector<AsyncUdpConnection*> all;
  return all;
}

bool isOtherTransport(std::string_view scheme) {
  for (const auto other : {"tcp", "unix", "ssl", "tls", "sslv2", "sslv3"}) {
    if (scheme == other) return true;
  }
  return false;
}

}  // namespace

struct AsyncUdpConnection::Network {
  detail::Resolution resolution;
  /// Whom the socket talks, or talked, to.
  SocketAddress peer;
  detail::RefusedDatagrams refused;
  /// After an error that may last.
  std::optional<detail::Rest> rest;
  /// Each a datagram that waits for the name.
  std::vector<std::string> waiting;
  std::size_t waitingBytes = 0;
  std::string failure;
};

AsyncUdpConnection::AsyncUdpConnection(std::string_view remoteAddress, SocketContext socketContext)
    : address_(detail::parseRemoteAddress(remoteAddress)),
      socketContext_(std::move(socketContext)),
      network_(std::make_unique<Network>()) {
  if (isOtherTransport(address_.scheme)) {
    throw std::invalid_argument("AsyncUdpConnection: " + address_.scheme + ":// is for AsyncTcpConnection");
  }
  if (address_.port == 0) {
    throw std::invalid_argument("Bad remoteAddress \"" + std::string(remoteAddress) +
                                "\": the port is missing");
  }
  if (address_.scheme != "udp") protocol = address_.scheme;
}

AsyncUdpConnection::~AsyncUdpConnection() {
  poll_.close();
  if (fd_ >= 0) ::close(fd_);
}

// -- how it begins ------------------------------------------------------------------

void AsyncUdpConnection::connect() {
  if (Runtime::ofThisThread().isStopping()) return;
  if (isTellingClose_) {
    startsAnew_ = true;
    return;
  }
  if (status_ != Status::Initial && status_ != Status::Closed) return;
  if (weak_from_this().expired()) {
    throw std::logic_error(
        "connect(): no shared_ptr owns this connection; make it with "
        "std::make_shared<AsyncUdpConnection>(…)");
  }
  EventLoop* const loop = Worker::getEventLoop();
  checkFits();
  eventLoop = loop;
  hold();
  status_ = Status::Connecting;
  network_->failure.clear();
  try {
    startConnecting();
  } catch (...) {
    status_ = Status::Initial;
    eventLoop = nullptr;
    release();
    throw;
  }
}

void AsyncUdpConnection::checkFits() const {
  const std::string& bindto = socketContext_.socket.bindto;
  if (!bindto.empty()) static_cast<void>(SocketAddress::fromLiteralAndPort(bindto));
  const Protocol* spoken = protocol.get();
  const char* const refusal = spoken != nullptr ? spoken->datagramRefusal() : nullptr;
  if (refusal != nullptr) {
    throw std::runtime_error("connect " + getRemoteAddress() + ": " + spoken->name() + ":// " + refusal);
  }
  const TypeTag* wanted = onMessage.wants();
  const TypeTag* given = spoken != nullptr ? spoken->messageType() : textTag();
  if (wanted != nullptr && wanted != given) {
    throw std::runtime_error("connect " + getRemoteAddress() + ": " + describeMismatch(*wanted, *given));
  }
}

void AsyncUdpConnection::startConnecting() {
  // As for a worker that listens on this name. Both addresses of the name "work" for datagrams, and those to
  // the one where nobody listens would be lost.
  const std::string host = address_.host == "localhost" ? "127.0.0.1" : address_.hostWithZone();
  if (const auto literal = SocketAddress::fromLiteral(host, address_.port)) {
    openSocket({*literal});
    eventLoop->defer([weak = weak_from_this()] {
      if (const auto connection = weak.lock()) static_cast<AsyncUdpConnection&>(*connection).opened();
    });
    return;
  }
  network_->resolution =
      detail::resolve(eventLoop->uvLoop(), host, address_.port,
                      [this](std::vector<SocketAddress> addresses, const std::string& error) {
                        const DispatchScope scope(*eventLoop);
                        network_->failure = error;
                        try {
                          openSocket(addresses);
                        } catch (const std::exception& e) {
                          network_->failure = e.what();
                        }
                        opened();
                      });
}

/// Takes the first address that there is a way to, else says in `failure` why there is none.
void AsyncUdpConnection::openSocket(const std::vector<SocketAddress>& addresses) {
  const std::string& bindto = socketContext_.socket.bindto;
  for (const SocketAddress& address : addresses) {
    detail::FileDescriptor socket(
        detail::openDatagramSocket(address.family(), {.broadcast = socketContext_.socket.so_broadcast}));
    const SocketAddress local = bindto.empty() ? SocketAddress() : SocketAddress::fromLiteralAndPort(bindto);
    if (socket && (bindto.empty() || ::bind(socket.get(), local.get(), local.length()) == 0) &&
        detail::connectTo(socket.get(), address) == 0) {
      poll_.open(*eventLoop, socket.get(), &AsyncUdpConnection::onPoll, this);
      fd_ = socket.release();
      network_->peer = address;
      return;
    }
    network_->failure = std::system_category().message(errno);
  }
}

void AsyncUdpConnection::opened() noexcept {
  const auto pin = weak_from_this().lock();
  // One that was closed and connected again meanwhile has another call under way.
  const bool isWaiting = status_ == Status::Connecting || status_ == Status::Closing;
  if (!isWaiting || (fd_ < 0 && network_->failure.empty())) return;
  if (fd_ < 0) {
    if (!onError)
      Workerman::detail::log("connect udp://" + getRemoteAddress() + " fail: " + network_->failure);
    emitError(CONNECT_FAIL, network_->failure);
    // Its callback may have closed it, and connected it again.
    return status_ == Status::Connecting || status_ == Status::Closing ? finalClose() : void();
  }
  const bool closes = status_ == Status::Closing;
  status_ = Status::Connected;
  sendWaiting();
  if (closes) return finalClose();
  emit(onConnect);
  watch();
}

void AsyncUdpConnection::watch() noexcept {
  if (status_ != Status::Connected) return;
  if (const int error = poll_.watch(PollHandle::Readable); error != 0) restAWhile("watching", error);
}

void AsyncUdpConnection::restAWhile(const char* what, int error) noexcept {
  poll_.unwatch();
  eventLoop->guarded([&] {
    auto& rest = network_->rest ? *network_->rest : network_->rest.emplace(*eventLoop);
    rest.start(
        "udp://" + getRemoteAddress() + ": " + what, error, uv_now(eventLoop->uvLoop()),
        [](void* self) noexcept { static_cast<AsyncUdpConnection*>(self)->watch(); }, this);
  });
}

void AsyncUdpConnection::hold() {
  if (self_) return;
  heldHere().push_back(this);
  self_ = handle();
  ++detail::heldConnections;
}

void AsyncUdpConnection::release() noexcept {
  if (!self_) return;
  const auto last = std::move(self_);
  std::erase(heldHere(), this);
  --detail::heldConnections;
  Runtime::ofThisThread().connectionEnded();
}

AsyncUdpConnectionPtr AsyncUdpConnection::handle() {
  return std::static_pointer_cast<AsyncUdpConnection>(weak_from_this().lock());
}

// -- what moves -----------------------------------------------------------------------

void AsyncUdpConnection::onPoll(void* self, int) noexcept {
  auto& connection = *static_cast<AsyncUdpConnection*>(self);
  const auto pin = connection.self_;
  const DispatchScope scope(*connection.eventLoop);
  connection.receiver_ = &pin;
  try {
    connection.receiveAll();
  } catch (...) {
    connection.handleException();
  }
  connection.receiver_ = nullptr;
}

void AsyncUdpConnection::receiveAll() {
  detail::DatagramBatch batch;
  for (int taken = 0; taken < batch.kRound; taken += batch.kSlots) {
    const int got = batch.receive(fd_);
    for (int i = 0; i < got; ++i) {
      receive(batch.bytes(i));
      if (!mayReceive()) return;
    }
    if (got < 0) restAWhile("receiving", errno);
    if (got < batch.kSlots) return;
  }
}

void AsyncUdpConnection::deliver(const Message& message) noexcept {
  if (receiver_ == nullptr) return;
  ++statistics.total_request;
  try {
    onMessage(*receiver_, message);
  } catch (...) {
    handleException();
  }
}

SendResult AsyncUdpConnection::transmit(std::string_view head, std::string_view body, std::string_view tail) {
  if (status_ == Status::Initial) connect();
  const bool isOpen = status_ == Status::Connecting || status_ == Status::Connected;
  if (isOpen && fd_ >= 0) {
    return detail::sendDatagram(fd_, nullptr, head, body, tail) ? SendResult::sent() : sendFailed();
  }
  const std::size_t size = head.size() + body.size() + tail.size();
  if (isOpen && network_->resolution.isPending() && network_->waitingBytes + size <= kMostWaiting) {
    std::string& datagram = network_->waiting.emplace_back();
    datagram.reserve(size);
    datagram.append(head).append(body).append(tail);
    network_->waitingBytes += size;
    return SendResult::buffered();
  }
  ++statistics.send_fail;
  return SendResult::failed();
}

void AsyncUdpConnection::sendWaiting() noexcept {
  for (const std::string& datagram : network_->waiting) {
    if (!detail::sendDatagram(fd_, nullptr, datagram, {}, {})) ++statistics.send_fail;
  }
  network_->waiting.clear();
  network_->waitingBytes = 0;
}

// -- how it ends ------------------------------------------------------------------------

void AsyncUdpConnection::closeAfterSending() {
  startsAnew_ = false;
  if (status_ == Status::Closing || status_ == Status::Closed) return;
  if (!network_->waiting.empty()) {
    status_ = Status::Closing;
    return;
  }
  finalClose();
}

void AsyncUdpConnection::finalClose() noexcept {
  const auto pin = weak_from_this().lock();
  network_->resolution.cancel();
  network_->waiting.clear();
  network_->waitingBytes = 0;
  network_->rest.reset();
  poll_.close();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  status_ = Status::Closed;
  eventLoop = nullptr;
  isTellingClose_ = true;
  emit(onClose);
  isTellingClose_ = false;
  if (std::exchange(startsAnew_, false)) {
    try {
      connect();
    } catch (...) {
      handleException();
    }
    if (status_ == Status::Connecting) return;
  }
  onConnect = nullptr;
  onMessage = nullptr;
  onError = nullptr;
  onClose = nullptr;
  errorHandler = nullptr;
  release();
}

void AsyncUdpConnection::closeAll(bool force) {
  std::vector<AsyncUdpConnectionPtr> all;
  for (AsyncUdpConnection* const connection : heldHere()) all.push_back(connection->self_);
  for (const auto& connection : all) {
    connection->startsAnew_ = false;
    if (!force) {
      connection->closeAfterSending();
    } else if (connection->status_ != Status::Closed) {
      connection->finalClose();
    }
  }
}

void AsyncUdpConnection::emit(const AsyncUdpConnectionCallback& callback) noexcept {
  if (!callback) return;
  const auto self = handle();
  if (!self) return;
  try {
    callback(self);
  } catch (...) {
    handleException();
  }
}

// -- who talks to whom --------------------------------------------------------------------

std::string AsyncUdpConnection::getRemoteIp() const {
  return network_->peer.isIp() ? network_->peer.ip() : address_.hostWithZone();
}

int AsyncUdpConnection::getRemotePort() const {
  return address_.port;
}

std::string AsyncUdpConnection::getRemoteAddress() const {
  return network_->peer.isIp() ? network_->peer.text()
                               : detail::formatAddress(address_.hostWithZone(), address_.port);
}

SocketAddress AsyncUdpConnection::remoteEnd() const {
  return network_->peer;
}

detail::RefusedDatagrams& AsyncUdpConnection::refused() noexcept {
  return network_->refused;
}

}  // namespace Workerman::Connection
