// The seams that core declares: making listeners, and the connections of a
// thread as a whole.

#include "../../core/listener.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "../../core/process/inherited_sockets.h"
#include "../../core/process/status_report.h"
#include "../../core/runtime.h"
#include "../../core/worker.h"
#include "../datagram/async_udp_connection.h"
#include "../datagram/datagram.h"
#include "../names/address.h"
#include "../protocol_registry.h"
#include "../proxy/trusted_proxies.h"
#include "../stream/connection_table.h"
#include "../stream/link_inline.h"
#include "../stream/loop_io.h"
#include "../tls/tls_context.h"
#include "address_holder.h"
#include "tcp_listener.h"
#include "udp_listener.h"

namespace Workerman::detail {
namespace {

using namespace Connection::detail;

[[noreturn]] void throwCannotListen(const Worker& worker, const std::string& cause) {
  throw std::runtime_error("cannot listen on " + worker.socketName() + ": " + cause);
}

/// For `errno`.
[[noreturn]] void throwCannotBind(const Worker& worker, const SocketAddress& where, bool isDatagram) {
  const int error = errno;
  throwCannotListen(worker, std::system_category().message(error) +
                                (error == EADDRINUSE ? describeHolder(where, isDatagram) : ""));
}

SocketAddress whereToListen(const Worker& worker, const Address& address) {
  if (address.isUnix) return SocketAddress::fromUnixPath(address.unixPath);
  const std::string host = address.hostWithZone();
  if (const auto literal =
          SocketAddress::fromLiteral(host == "localhost" ? "127.0.0.1" : host, address.port)) {
    return *literal;
  }
  throwCannotListen(worker, "'" + host + "' is no IP address");
}

/// A socket's file that a crashed process of ours left behind; a living one still answers.
void removeStale(const std::string& path, const SocketAddress& where) {
  struct stat status {};
  const FileId file = fileIdOf(path.c_str());
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  if (status.st_uid != ::geteuid()) return;
  const FileDescriptor probe(openSocket(AF_UNIX, SOCK_STREAM));
  if (probe && connectTo(probe.get(), where) != 0 && errno == ECONNREFUSED) removeIfStill(path.c_str(), file);
}

FileDescriptor openListener(const Worker& worker, const Address& address) {
  const auto& options = worker.socketContext().socket;
  const SocketAddress where = whereToListen(worker, address);
  if (address.isUnix) removeStale(address.unixPath, where);
  FileDescriptor socket(listenOn(where, {.backlog = options.backlog.value_or(Worker::DEFAULT_BACKLOG),
                                         .reusePort = worker.reusePort || options.so_reuseport,
                                         .v6Only = options.ipv6_v6only}));
  if (!socket) throwCannotBind(worker, where, false);
  return socket;
}

FileDescriptor openDatagrams(const Worker& worker, const Address& address) {
  const auto& options = worker.socketContext().socket;
  const SocketAddress where = whereToListen(worker, address);
  FileDescriptor socket(
      openDatagramSocket(where.family(), {.reusePort = worker.reusePort || options.so_reuseport,
                                          .broadcast = options.so_broadcast,
                                          .v6Only = options.ipv6_v6only}));
  // Differs from Workerman: without SO_REUSEADDR, with which a second socket takes the port away unnoticed.
  if (!socket || ::bind(socket.get(), where.get(), where.length()) != 0) {
    throwCannotBind(worker, where, true);
  }
  tellLocalEnds(socket.get());
  return socket;
}

/// Gives a socket that another process has opened the options of one that we open.
FileDescriptor adopt(const Worker& worker, int fd, bool isUdp) {
  const auto& options = worker.socketContext().socket;
  const int on = 1;
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (worker.reusePort || options.so_reuseport) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (isUdp && options.so_broadcast) ::setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  if (!isUdp && localAddress(fd).isIp()) setTcpOptions(fd);
  if (isUdp) tellLocalEnds(fd);
  if (!isUdp && options.backlog) ::listen(fd, *options.backlog);
  return FileDescriptor(fd);
}

void checkCallbackFits(const Worker& worker, const Connection::Protocol* protocol, bool isUdp) {
  const HandleKind takes = worker.onMessage.handleKind();
  if (!isUdp && takes == HandleKind::udp) {
    throwCannotListen(worker, "onMessage names UdpConnectionPtr, but this is no udp:// worker");
  }
  if (isUdp && takes == HandleKind::tcp) {
    throwCannotListen(worker,
                      "onMessage takes TCP connections, which is what auto means on a Worker: "
                      "declare UdpConnectionPtr or ConnectionPtr");
  }
  const char* const refusal = isUdp && protocol != nullptr ? protocol->datagramRefusal() : nullptr;
  if (refusal != nullptr) throwCannotListen(worker, protocol->name() + ":// " + refusal);
  const char* const wrongSide = protocol != nullptr ? protocol->refusal(Connection::Side::Server) : nullptr;
  if (wrongSide != nullptr) throwCannotListen(worker, protocol->name() + ":// " + wrongSide);
  const TypeTag* wanted = worker.onMessage.wants();
  const TypeTag* given = protocol != nullptr ? protocol->messageType() : textTag();
  if (wanted != nullptr && wanted != given) throwCannotListen(worker, describeMismatch(*wanted, *given));
}

void checkProxyProtocol(const Worker& worker, bool isUdp) {
  if (!worker.proxyProtocol) return;
  if (isUdp) throwCannotListen(worker, "proxyProtocol is for streams, not for datagrams");
  if (TrustedProxies(worker.trustedProxies).empty()) {
    throwCannotListen(worker, "proxyProtocol needs trustedProxies, as in {\"10.0.0.0/8\", \"::1\"}");
  }
}

/// What openListeningSocket() opens, and what it has found out for makeListener().
class WorkerSocket final : public OpenSocket {
 public:
  WorkerSocket(FileDescriptor socket, SocketFile ownFile, const Connection::Protocol* spoken, bool udp,
               std::shared_ptr<TlsServer> secured)
      : descriptor(std::move(socket)),
        protocol(spoken),
        tls(std::move(secured)),
        isUdp(udp),
        file_(std::move(ownFile)) {}
  WorkerSocket(const WorkerSocket&) = delete;
  WorkerSocket& operator=(const WorkerSocket&) = delete;
  ~WorkerSocket() override { takeFile().remove(); }

  int port() const noexcept override { return localAddress(descriptor.get()).port(); }
  InheritedSocket inheritance() const noexcept override { return {descriptor.get(), file_.id, anyPort}; }
  void reloadCertificates() override {
    if (tls) tls->renew();
  }
  /// The file that whoever asks has to remove; none in a forked process, since others go on listening there.
  SocketFile takeFile() {
    SocketFile file = std::exchange(file_, {});
    return opener_ == ::getpid() ? file : SocketFile();
  }

  FileDescriptor descriptor;
  const Connection::Protocol* protocol;
  /// Shared by all sockets of a worker, since tickets of one process are to count in all.
  std::shared_ptr<TlsServer> tls;
  bool isUdp;
  bool anyPort = false;
  bool isAdopted = false;

 private:
  SocketFile file_;
  pid_t opener_ = ::getpid();
};

std::shared_ptr<TlsServer> tlsFor(const Worker& worker, const OpenSocket* sibling) {
  if (sibling != nullptr) return static_cast<const WorkerSocket*>(sibling)->tls;
  try {
    return std::make_shared<TlsServer>(worker.socketContext().ssl);
  } catch (const std::runtime_error& e) {
    throwCannotListen(worker, e.what());
  }
}

}  // namespace

std::unique_ptr<OpenSocket> openListeningSocket(Worker& worker, const OpenSocket* sibling,
                                                InheritedSockets* inherited) {
  const std::string& name = worker.socketName();
  const auto kind = worker.transport == "unix" ? AddressKind::Unix : AddressKind::Inet;
  Address address = parseListenAddress(name, kind);
  if (name.find("://") == std::string::npos)
    throwCannotListen(worker, "it begins with no scheme, as in tcp://" + name);
  if (!address.isUnix && address.port == 0 && !name.ends_with(":0")) {
    throwCannotListen(worker, "the port is missing; 0 asks for a free one");
  }
  const bool isSecured = address.scheme == "ssl" || address.scheme == "tls" || worker.transport == "ssl";
  const bool isUdp = !address.isUnix && (address.scheme == "udp" || worker.transport == "udp");
  if (isUdp && isSecured) throwCannotListen(worker, "TLS is spoken in streams, not in datagrams (udp)");
  if (address.isUnix && !isSecured) worker.transport = "unix";
  if (isSecured) worker.transport = "ssl";
  if (isUdp) worker.transport = "udp";
  const bool isTransport = address.scheme == "tcp" || address.scheme == "unix" || address.scheme == "udp" ||
                           address.scheme == "ssl" || address.scheme == "tls";
  if (Connection::detail::isSameScheme(address.scheme, "wss")) {
    throwCannotListen(
        worker, "wss:// is spoken by clients; a Worker listens on websocket:// with transport = \"ssl\"");
  }
  if (!isTransport) worker.protocol = address.scheme;
  const Connection::Protocol* protocol = worker.protocol.empty() ? nullptr : requireProtocol(worker.protocol);
  checkCallbackFits(worker, protocol, isUdp);
  checkProxyProtocol(worker, isUdp);
  if (sibling != nullptr) address.port = static_cast<std::uint16_t>(sibling->port());
  InheritedSocket given;
  if (inherited != nullptr) {
    const SocketAddress where = whereToListen(worker, address);
    given = inherited->take(isUdp ? SOCK_DGRAM : SOCK_STREAM, where.get(), where.length());
  }
  const bool isNew = given.fd < 0;
  FileDescriptor socket = !isNew  ? adopt(worker, given.fd, isUdp)
                          : isUdp ? openDatagrams(worker, address)
                                  : openListener(worker, address);
  SocketFile ownFile;
  if (address.isUnix) ownFile = {address.unixPath, isNew ? fileIdOf(address.unixPath.c_str()) : given.file};
  auto opened = std::make_unique<WorkerSocket>(std::move(socket), std::move(ownFile), protocol, isUdp,
                                               isSecured ? tlsFor(worker, sibling) : nullptr);
  opened->anyPort = !address.isUnix && address.port == 0;
  opened->isAdopted = !isNew;
  return opened;
}

std::unique_ptr<Listener> makeListener(Worker& worker, EventLoop& loop, OpenSocket& socket) {
  auto& opened = static_cast<WorkerSocket&>(socket);
  if (opened.isUdp) {
    return std::make_unique<UdpListener>(worker, loop, std::move(opened.descriptor), opened.protocol);
  }
  return std::make_unique<TcpListener>(worker, loop, std::move(opened.descriptor), opened.takeFile(),
                                       opened.protocol, opened.tls, opened.isAdopted);
}

std::size_t heldConnections() noexcept {
  return Connection::detail::heldConnections;
}

void countConnections(WorkerStatus& status) noexcept {
  const auto& counted = Connection::ConnectionInterface::statistics;
  status.connections = static_cast<std::uint64_t>(counted.connection_count);
  status.sendFail = static_cast<std::uint64_t>(counted.send_fail);
  status.totalRequest = static_cast<std::uint64_t>(counted.total_request);
}

std::vector<ConnectionStatus> listConnections(const Worker& worker) {
  std::vector<ConnectionStatus> all;
  for (const auto& [id, connection] : Connection::TcpConnection::connections) {
    ConnectionStatus status;
    status.worker = connection->worker != nullptr ? connection->worker->name : worker.name;
    status.id = static_cast<std::uint64_t>(connection->id);
    status.transport = std::string(connection->transport);
    status.protocol = std::string(connection->protocol);
    // As the class is called that PHP finds for the scheme.
    if (!status.protocol.empty()) status.protocol[0] = static_cast<char>(std::toupper(status.protocol[0]));
    status.isIpV4 = connection->isIpV4();
    status.isIpV6 = connection->isIpV6();
    status.recvQueue = connection->getRecvBufferQueueSize();
    status.sendQueue = connection->getSendBufferQueueSize();
    status.bytesRead = static_cast<std::uint64_t>(connection->bytesRead);
    status.bytesWritten = static_cast<std::uint64_t>(connection->bytesWritten);
    status.status = connection->getStatus(false);
    status.localAddress = connection->getLocalAddress();
    status.remoteAddress = connection->getRemoteAddress();
    all.push_back(std::move(status));
  }
  return all;
}

std::size_t closeConnections(const Worker* worker, Closing how) {
  std::size_t accepted = 0;
  for (const auto& [id, connection] : ConnectionView(worker)) {
    const bool isOpen = connection->getStatus() == Connection::TcpConnection::STATUS_ESTABLISHED;
    const bool isAccepted = connection->worker != nullptr;
    // An accepted one that is not open yet is in the midst of the TLS handshake.
    const bool isOpening =
        isAccepted && connection->getStatus() == Connection::TcpConnection::STATUS_CONNECTING;
    const auto* const spoken =
        isOpen || (isOpening && how == Closing::WhenFinished) ? connection->protocol.get() : nullptr;
    if (isOpen && how != Closing::WhenFinished && isAccepted) ++accepted;
    if (how == Closing::AtOnce) {
      connection->destroy();
    } else if (how == Closing::WhenFinished) {
      // Half of the time for replies that are being made, the rest for what follows them.
      if (spoken != nullptr)
        spoken->finishUp(Link::of(*connection), Runtime::ofThisThread().timeToFinish() / 2);
    } else if (spoken != nullptr && spoken->hasCloseCodes()) {
      connection->close(1001);
    } else if (isOpen && (!connection->bufferIsEmpty() || unreadBytes(connection->getSocket()) != 0)) {
      // A socket that is closed with input unread takes back what the peer has not got yet.
      connection->end();
    } else {
      connection->close();
    }
  }
  // A worker has no datagram connections: what it gave to onMessage ends with its socket.
  if (worker == nullptr && how != Closing::WhenFinished) {
    Connection::AsyncUdpConnection::closeAll(how == Closing::AtOnce);
  }
  return accepted;
}

void disownConnections(const Worker& worker) noexcept {
  for (const auto& [id, connection] : worker.connections) Link::of(*connection).disown();
}

void attachConnections(EventLoop& loop) {
  LoopIo::ofThisThread().attachTo(loop);
}

}  // namespace Workerman::detail
