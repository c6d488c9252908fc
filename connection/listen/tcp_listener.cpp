#include "tcp_listener.h"

#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <system_error>

#include "../../core/event_loop.h"
#include "../../core/worker.h"
#include "../stream/link_inline.h"
#include "../tls/tls_stream.h"
#include "connection_limits.h"

namespace Workerman::Connection::detail {

using Workerman::detail::PollHandle;

namespace {

/// Connections taken per round, so that those already open get their turn.
constexpr int kAcceptBatch = 256;
/// Connections in a row that may be gone before they are accepted.
constexpr int kMostGone = 16;

/// Errors of accept() about the one connection that it would have given: the next may be in order.
/// @see accept(2), "Error handling"
bool isAboutOne(int error) noexcept {
  return error == ECONNABORTED || error == EPROTO || error == ENOPROTOOPT || error == EOPNOTSUPP ||
         error == ENETDOWN || error == ENETUNREACH || error == EHOSTDOWN || error == EHOSTUNREACH ||
         error == ENONET;
}

}  // namespace

TcpListener::TcpListener(Worker& worker, EventLoop& loop, FileDescriptor socket, SocketFile file,
                         const Protocol* protocol, std::shared_ptr<TlsServer> tls, bool isAdopted)
    : worker_(worker),
      loop_(loop),
      socket_(std::move(socket)),
      file_(std::move(file)),
      protocol_(protocol),
      tls_(std::move(tls)),
      mayLackOptions_(isAdopted),
      rest_(loop) {
  if (worker.proxyProtocol)
    gate_ = std::make_unique<ProxyGate>(worker, loop, static_cast<ProxyGateClient&>(*this));
  poll_.open(loop_, socket_.get(), &TcpListener::onPoll, this);
}

TcpListener::~TcpListener() {
  if (isGone_ != nullptr) *isGone_ = true;
  poll_.close();
  file_.remove();
}

void TcpListener::resume() {
  isPaused_ = false;
  if (const int error = poll_.watch(PollHandle::Readable); error != 0) restAWhile("watching", error);
  if (gate_) gate_->resume();
}

void TcpListener::pause() noexcept {
  isPaused_ = true;
  rest_.stop();
  poll_.unwatch();
  if (gate_) gate_->pause();
}

int TcpListener::port() const noexcept {
  return localAddress(socket_.get()).port();
}

void TcpListener::onPoll(void* self, int) noexcept {
  auto& listener = *static_cast<TcpListener*>(self);
  const auto worker = listener.worker_.weak_from_this().lock();
  const Workerman::detail::DispatchScope scope(listener.loop_);
  bool isGone = false;
  listener.isGone_ = &isGone;
  listener.loop_.guarded([&] { listener.acceptAll(isGone); });
  if (!isGone) listener.isGone_ = nullptr;
}

void TcpListener::acceptAll(const bool& isGone) {
  int gone = 0;
  for (int taken = 0; taken < kAcceptBatch; ++taken) {
    // A callback may pause or close this listener.
    if (isGone || isPaused_ || rest_.active()) return;
    SocketAddress peer;
    FileDescriptor socket(acceptFrom(socket_.get(), &peer));
    if (socket) {
      gone = 0;
      if (mayLackOptions_) setTcpOptions(socket.get());
      // What is refused is closed at once: the queue must not fill up with it.
      auto& limits = ConnectionLimits::of(worker_);
      if (gate_) {
        if (limits.admitsUnknown(peer, gate_->waiting())) askProxy(std::move(socket), peer);
      } else if (limits.admits(peer)) {
        takeOver(std::move(socket), peer, limits.now());
      }
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      mayLackOptions_ = false;
      return;
    } else if (!isAboutOne(errno) || ++gone == kMostGone) {
      return restAWhile("accept", errno);
    }
  }
}

void TcpListener::restAWhile(const char* what, int error) {
  poll_.unwatch();
  rest_.start(
      worker_.getSocketName() + ": " + what, error, uv_now(loop_.uvLoop()),
      [](void* self) noexcept { static_cast<TcpListener*>(self)->resume(); }, this);
}

void TcpListener::askProxy(FileDescriptor socket, const SocketAddress& peer) {
  try {
    gate_->admit(std::move(socket), peer);
  } catch (const std::system_error& e) {
    restAWhile("accept", e.code().value());
  }
}

void TcpListener::passed(FileDescriptor socket, const SocketAddress& peer, std::uint64_t acceptedAt) {
  if (ConnectionLimits::of(worker_).admits(peer)) takeOver(std::move(socket), peer, acceptedAt);
}

void TcpListener::takeOver(FileDescriptor socket, const SocketAddress& peer, std::uint64_t acceptedAt) {
  TcpConnectionPtr connection;
  try {
    auto tls = tls_ ? std::make_unique<TlsStream>(tls_->context) : nullptr;
    connection = TcpConnection::accepted(loop_, socket.get(), PeerAddress(peer), std::move(tls));
  } catch (const std::system_error& e) {
    return restAWhile("accept",
                      e.code().value());  // no room among what the system watches; the socket closes
  }
  static_cast<void>(socket.release());
  Worker& worker = worker_;
  connection->worker = &worker;
  // A client whose address a proxy has told is no unix peer, even if the proxy is.
  const bool isUnix = worker.transport == "unix" && !peer.isIp();
  connection->transport = tls_     ? CompactText::literal<"ssl">()
                          : isUnix ? CompactText::literal<"unix">()
                                   : CompactText::literal<"tcp">();
  connection->protocol = ProtocolName(protocol_);
  connection->takeOver(worker);
  worker.connectionStarted();
  ConnectionLimits::of(worker).started(*connection, acceptedAt);
  Link::of(*connection).startAccepted();
}

}  // namespace Workerman::Connection::detail
