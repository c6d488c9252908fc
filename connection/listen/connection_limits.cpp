#include "connection_limits.h"

#include <uv.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "../../core/event_loop.h"
#include "../../core/log.h"
#include "../../core/worker.h"
#include "../socket.h"
#include "../stream/link_inline.h"

namespace Workerman::Connection::detail {
namespace {

/// Sweeps per idleTimeout: a connection is closed at most this fraction late.
constexpr int kSweeps = 4;
/// How long it has to be quiet before the next refusal is news.
constexpr std::uint64_t kBurstGap = 10'000;
/// Finished handshakes are looked for when there are this many entries more.
constexpr std::size_t kOpeningSlack = 64;

/// What is overdue gets a moment too, so that it does not keep the loop busy.
double timerSeconds(double seconds) {
  return std::max(seconds, 0.001);
}

/// A websocket is told why (RFC 6455 section 7.4.1), anything else just ends.
void closeIdle(TcpConnection& connection) {
  const Protocol* spoken = connection.protocol.get();
  const bool saysGoodbye = connection.getStatus() == TcpConnection::STATUS_ESTABLISHED && spoken != nullptr &&
                           spoken->hasCloseCodes();
  if (saysGoodbye) {
    connection.close(1001, "idle for too long");
  } else {
    connection.destroy();
  }
}

/// The worker's connection of that id while its opening handshake is not done; else null.
TcpConnectionPtr stillOpening(const Worker& worker, std::int64_t id) {
  const auto found = worker.connections.find(id);
  if (found == worker.connections.end()) return nullptr;
  return Link::of(*found->second).isOpening() ? found->second : nullptr;
}

}  // namespace

bool Burst::begins(std::uint64_t nowMilliseconds) noexcept {
  const bool isFirst = !isAny_ || nowMilliseconds - last_ > kBurstGap;
  isAny_ = true;
  last_ = nowMilliseconds;
  return isFirst;
}

ConnectionLimits::ConnectionLimits(Worker& worker, EventLoop& loop)
    : worker_(worker), loop_(loop), idleTimer_(loop), openingTimer_(loop) {}

ConnectionLimits& ConnectionLimits::of(Worker& worker) {
  return static_cast<ConnectionLimits&>(worker.limits());
}

ConnectionLimits::Bursts& ConnectionLimits::burstsOf(const TcpConnection& connection) {
  static thread_local Bursts ofThread;
  return connection.worker != nullptr ? of(*connection.worker).bursts_ : ofThread;
}

std::uint64_t ConnectionLimits::now() const noexcept {
  return uv_now(loop_.uvLoop());
}

// -- how many -----------------------------------------------------------------------

bool ConnectionLimits::admits(const SocketAddress& peer) {
  if (isFull(0)) return refuse(peer, "maxConnections");
  return !isFullFor(peer) || refuse(peer, "maxConnectionsPerIp");
}

bool ConnectionLimits::admitsUnknown(const SocketAddress& proxy, std::size_t waiting) {
  return !isFull(waiting) || refuse(proxy, "maxConnections");
}

bool ConnectionLimits::refuse(const SocketAddress& peer, const char* full) {
  ++worker_.refusedConnections;
  if (refusals_.begins(now())) {
    Workerman::detail::log("worker " + worker_.name + " (" + worker_.getSocketName() +
                           "): a connection from " + (peer.isIp() ? peer.ip() : "a unix socket") +
                           " is refused, " + full + " is reached; more refusals are only counted");
  }
  return false;
}

bool ConnectionLimits::isFull(std::size_t waiting) const noexcept {
  const std::size_t most = worker_.maxConnections;
  return most != 0 && worker_.connectionCount() + waiting >= most;
}

bool ConnectionLimits::isFullFor(const SocketAddress& peer) {
  const std::size_t most = worker_.maxConnectionsPerIp;
  if (most == 0) {
    countsAddresses_ = false;
    perAddress_.clear();
    return false;
  }
  if (!countsAddresses_) countAddresses();
  if (!peer.isIp()) return false;
  const auto known = perAddress_.find(peer.ip());
  return known != perAddress_.end() && known->second >= most;
}

/// The limit is new: those that are connected count as well.
void ConnectionLimits::countAddresses() {
  countsAddresses_ = true;
  for (const auto& [id, connection] : worker_.connections) {
    if (const std::string ip = connection->getRemoteIp(); !ip.empty()) ++perAddress_[ip];
  }
}

void ConnectionLimits::started(const TcpConnection& connection, std::uint64_t since) {
  if (countsAddresses_) {
    if (const std::string ip = connection.getRemoteIp(); !ip.empty()) ++perAddress_[ip];
  }
  if (worker_.idleTimeout > 0) watchIdle();
  if (!(worker_.handshakeTimeout > 0) || !Link::of(connection).isOpening()) return;
  if (opening_.size() >= openingLimit_) forgetOpened();
  // Almost always the youngest; a proxy's header may have taken its time.
  auto place = opening_.end();
  while (place != opening_.begin() && std::prev(place)->since > since) --place;
  const bool isFirst = place == opening_.begin();
  opening_.insert(place, {connection.id, since});
  if (isFirst || !openingTimer_.active()) awaitOldest();
}

void ConnectionLimits::awaitOldest() {
  const double age = static_cast<double>(now() - opening_.front().since) / 1000;
  const auto onTimer = [](void* self) noexcept { static_cast<ConnectionLimits*>(self)->endOverdue(); };
  openingTimer_.start(timerSeconds(worker_.handshakeTimeout - age), onTimer, this);
}

void ConnectionLimits::ended(const TcpConnection& connection) noexcept {
  if (!countsAddresses_) return;
  const auto known = perAddress_.find(connection.getRemoteIp());
  if (known != perAddress_.end() && --known->second == 0) perAddress_.erase(known);
}

void ConnectionLimits::tlsFailed(const TcpConnection& connection, std::string_view cause) {
  if (!tlsFailures_.begins(now())) return;
  Workerman::detail::log("worker " + worker_.name + " (" + worker_.getSocketName() + "): no TLS with " +
                         connection.getRemoteAddress() + ": " + std::string(cause) +
                         "; failures that follow soon are not logged");
}

// -- how long -----------------------------------------------------------------------

void ConnectionLimits::watchIdle() {
  if (idleTimer_.active()) return;
  const auto onTimer = [](void* self) noexcept { static_cast<ConnectionLimits*>(self)->sweep(); };
  idleTimer_.start(timerSeconds(worker_.idleTimeout / kSweeps), onTimer, this);
}

void ConnectionLimits::sweep() {
  const bool isWanted = worker_.idleTimeout > 0;
  // Before any callback runs: one may end this object.
  if (isWanted && worker_.connectionCount() != 0) watchIdle();
  EventLoop& loop = loop_;
  for (const auto& [id, connection] : ConnectionView(&worker_)) {
    TcpConnection& each = *connection;
    Link& link = Link::of(each);
    if (!isWanted) {
      link.markActive();
    } else if (link.sweptIdle() > kSweeps) {
      link.markActive();
      loop.guarded([&each] { closeIdle(each); });
    }
  }
}

/// Ends handshakes that take too long, and forgets those that are done.
void ConnectionLimits::endOverdue() {
  const double limit = worker_.handshakeTimeout;
  std::vector<TcpConnectionPtr> overdue;
  const auto isOver = [&](const Opening& entry) {
    return !(limit > 0) || static_cast<double>(now() - entry.since) >= limit * 1000;
  };
  while (!opening_.empty()) {
    const TcpConnectionPtr connection = stillOpening(worker_, opening_.front().id);
    if (connection && !isOver(opening_.front())) break;
    if (connection && limit > 0) overdue.push_back(connection);
    opening_.pop_front();
  }
  if (!opening_.empty()) awaitOldest();
  // The last: what this calls back may end this object.
  EventLoop& loop = loop_;
  for (const auto& connection : overdue) {
    if (Link::of(*connection).isOpening()) loop.guarded([&] { Link::of(*connection).handshakeOverdue(); });
  }
}

/// Keeps the entries fewer than twice the connections that are opening.
void ConnectionLimits::forgetOpened() {
  std::erase_if(opening_,
                [this](const Opening& entry) { return stillOpening(worker_, entry.id) == nullptr; });
  openingLimit_ = opening_.size() * 2 + kOpeningSlack;
}

}  // namespace Workerman::Connection::detail

namespace Workerman::detail {

std::unique_ptr<ConnectionLimitsBase> makeConnectionLimits(Worker& worker, EventLoop& loop) {
  return std::make_unique<Connection::detail::ConnectionLimits>(worker, loop);
}

}  // namespace Workerman::detail
