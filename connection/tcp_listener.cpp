#include "tcp_listener.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "../core/event_loop.h"
#include "../core/worker.h"
#include "address.h"
#include "connection_table.h"
#include "loop_io.h"
#include "protocol_registry.h"
#include "resolver.h"
#include "tcp_connection.h"

namespace Workerman::Connection::detail {
namespace {

/// Connections taken per round, so that those already open get their turn.
constexpr int kAcceptBatch = 256;
/// How long to leave a full descriptor table alone.
constexpr double kRestSeconds = 0.1;

}  // namespace

TcpListener::TcpListener(Worker& worker, EventLoop& loop, FileDescriptor socket, std::string unixPath,
                         const Protocol* protocol)
    : worker_(worker),
      loop_(loop),
      socket_(std::move(socket)),
      unixPath_(std::move(unixPath)),
      protocol_(protocol),
      rest_(loop) {
  poll_.open(loop_, socket_.get(), &TcpListener::onPoll, this);
}

TcpListener::~TcpListener() {
  if (isGone_ != nullptr) *isGone_ = true;
  poll_.close();
  if (!unixPath_.empty()) ::unlink(unixPath_.c_str());
}

void TcpListener::resume() {
  isPaused_ = false;
  poll_.watch(PollHandle::Readable);
}

void TcpListener::pause() noexcept {
  isPaused_ = true;
  rest_.stop();
  poll_.watch(PollHandle::None);
}

int TcpListener::port() const noexcept { return localAddress(socket_.get()).port(); }

void TcpListener::onPoll(void* self, int, int) noexcept {
  auto& listener = *static_cast<TcpListener*>(self);
  const auto worker = listener.worker_.weak_from_this().lock();
  const Workerman::detail::DispatchScope scope(listener.loop_);
  bool isGone = false;
  listener.isGone_ = &isGone;
  listener.loop_.guarded([&] { listener.acceptAll(isGone); });
  if (!isGone) listener.isGone_ = nullptr;
}

void TcpListener::acceptAll(const bool& isGone) {
  for (int taken = 0; taken < kAcceptBatch; ++taken) {
    // A callback may pause or close this listener.
    if (isGone || isPaused_) return;
    SocketAddress peer;
    FileDescriptor socket(acceptFrom(socket_.get(), &peer));
    if (socket) {
      takeOver(std::move(socket), peer);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return restAWhile();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }
    // Anything else is about the one connection that is gone already.
  }
}

void TcpListener::restAWhile() {
  Worker::log("accept: " + std::system_category().message(errno) + "; trying again in " +
              std::to_string(static_cast<int>(kRestSeconds * 1000)) + " ms");
  poll_.watch(PollHandle::None);
  rest_.start(
      kRestSeconds, [](void* self) noexcept { static_cast<TcpListener*>(self)->resume(); }, this);
}

void TcpListener::takeOver(FileDescriptor socket, const SocketAddress& peer) {
  if (peer.isIp()) setTcpOptions(socket.get());
  const auto connection = TcpConnection::accepted(loop_, socket.get(), peer.text());
  static_cast<void>(socket.release());
  Worker& worker = worker_;
  connection->worker = &worker;
  connection->transport = worker.transport == "unix" ? CompactText::literal<"unix">() : CompactText::literal<"tcp">();
  connection->protocol = ProtocolName(protocol_);
  connection->onConnect = worker.onConnect;
  connection->onMessage = worker.onMessage;
  connection->onClose = worker.onClose;
  connection->onError = worker.onError;
  connection->onBufferFull = worker.onBufferFull;
  connection->onBufferDrain = worker.onBufferDrain;
  connection->onWebSocketConnect = worker.onWebSocketConnect;
  connection->onWebSocketConnected = worker.onWebSocketConnected;
  connection->onWebSocketClose = worker.onWebSocketClose;
  connection->onWebSocketPing = worker.onWebSocketPing;
  connection->onWebSocketPong = worker.onWebSocketPong;
  worker.connectionStarted();
  connection->startAccepted();
}

}  // namespace Workerman::Connection::detail

// -- the seams that core declares -----------------------------------------------------

namespace Workerman::detail {
namespace {

using namespace Connection::detail;

[[noreturn]] void throwCannotListen(const Worker& worker, const std::string& cause) {
  throw std::runtime_error("cannot listen on " + worker.socketName() + ": " + cause);
}

SocketAddress whereToListen(const Worker& worker, const Address& address) {
  if (address.isUnix) return SocketAddress::fromUnixPath(address.unixPath);
  const std::string host = address.hostWithZone();
  if (const auto literal = SocketAddress::fromLiteral(host == "localhost" ? "127.0.0.1" : host, address.port)) {
    return *literal;
  }
  throwCannotListen(worker, "'" + host + "' is no IP address");
}

bool isSocketFile(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

FileDescriptor openListener(const Worker& worker, const Address& address) {
  const auto& options = worker.socketContext().socket;
  const SocketAddress where = whereToListen(worker, address);
  // A socket's file that a crashed process left behind; a living one still answers.
  if (address.isUnix && isSocketFile(address.unixPath)) {
    FileDescriptor probe(openSocket(AF_UNIX, SOCK_STREAM));
    if (probe && connectTo(probe.get(), where) != 0 && errno == ECONNREFUSED) ::unlink(address.unixPath.c_str());
  }
  FileDescriptor socket(listenOn(where, {.backlog = options.backlog.value_or(Worker::DEFAULT_BACKLOG),
                                         .reusePort = worker.reusePort || options.so_reuseport,
                                         .v6Only = options.ipv6_v6only}));
  if (!socket) throwCannotListen(worker, std::system_category().message(errno));
  return socket;
}

void checkCallbackFits(const Worker& worker, const Connection::Protocol* protocol) {
  if (worker.onMessage.handleKind() == HandleKind::udp) {
    throwCannotListen(worker, "onMessage names UdpConnectionPtr, but this is no udp:// worker");
  }
  const TypeTag* wanted = worker.onMessage.wants();
  const TypeTag* given = protocol != nullptr ? protocol->messageType() : textTag();
  if (wanted != nullptr && wanted != given) throwCannotListen(worker, describeMismatch(*wanted, *given));
}

}  // namespace

std::unique_ptr<Listener> makeListener(Worker& worker, EventLoop& loop) {
  const std::string& name = worker.socketName();
  const auto kind = worker.transport == "unix" ? AddressKind::Unix : AddressKind::Inet;
  const Address address = parseListenAddress(name, kind);
  if (name.find("://") == std::string::npos) throwCannotListen(worker, "it begins with no scheme, as in tcp://" + name);
  if (!address.isUnix && address.port == 0 && !name.ends_with(":0")) {
    throwCannotListen(worker, "the port is missing; 0 asks for a free one");
  }
  if (address.scheme == "udp" || worker.transport == "udp") throwCannotListen(worker, "udp is not available yet");
  if (address.scheme == "ssl" || worker.transport == "ssl") throwCannotListen(worker, "TLS is not available yet");
  if (address.isUnix) worker.transport = "unix";
  if (address.scheme != "tcp" && address.scheme != "unix") worker.protocol = address.scheme;
  const Connection::Protocol* protocol = worker.protocol.empty() ? nullptr : requireProtocol(worker.protocol);
  checkCallbackFits(worker, protocol);
  FileDescriptor socket = openListener(worker, address);
  return std::make_unique<TcpListener>(worker, loop, std::move(socket), address.unixPath, protocol);
}

std::size_t heldConnections() noexcept { return Connection::detail::heldConnections; }

void closeConnections(const Worker* worker, bool force) {
  for (const auto& [id, connection] : ConnectionView(worker)) {
    if (force) {
      connection->destroy();
    } else if (connection->getStatus() == Connection::TcpConnection::STATUS_ESTABLISHED &&
               connection->protocol.get() != nullptr && connection->protocol.get()->hasCloseCodes()) {
      connection->close(1001);
    } else {
      connection->close();
    }
  }
}

void disownConnections(const Worker& worker) noexcept {
  for (const auto& [id, connection] : worker.connections) connection->worker = nullptr;
}

void attachConnections(EventLoop& loop) { LoopIo::ofThisThread().attachTo(loop); }

}  // namespace Workerman::detail
