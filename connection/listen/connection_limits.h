#pragma once

/// How many connections a worker takes and how long it waits for them (internal).

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "../../core/fwd.h"
#include "../../core/listener.h"
#include "../../core/loop_timer.h"
#include "../burst_log.h"

namespace Workerman::Connection::detail {

class SocketAddress;

/// Tells the first of several like events from the rest, which come within
/// seconds of each other, so that a flood of them is one line in the log.
class Burst {
 public:
  /// Counts one event. True for the first of a burst.
  bool begins(std::uint64_t nowMilliseconds) noexcept;

 private:
  std::uint64_t last_ = 0;
  bool isAny_ = false;
};

/// The limits of one worker, see Worker::maxConnections and what follows it.
/// They are read when they are needed, so that a new value counts from the next
/// accept or sweep on.
///
/// What it costs: nothing without limits, one timer for all idle connections
/// and one for all opening handshakes, and a little memory for each connection
/// whose handshake is not done; one byte in each connection.
class ConnectionLimits final : public Workerman::detail::ConnectionLimitsBase {
 public:
  ConnectionLimits(Worker& worker, EventLoop& loop);
  /// Those of a worker that listens.
  static ConnectionLimits& of(Worker& worker);

  /// Whether there is room for another connection, from `peer`. If not, the
  /// refusal is counted and the first of a burst logged.
  bool admits(const SocketAddress& peer);
  /// The same for a connection from `proxy`, before it is known whose it is:
  /// maxConnections alone, with `waiting` more that are in this state.
  bool admitsUnknown(const SocketAddress& proxy, std::size_t waiting);
  /// Milliseconds of the loop's clock.
  std::uint64_t now() const noexcept;
  /// A connection was taken over: `connection` is set up, nothing has run.
  /// `acceptedAt`: when its socket was accepted, by now().
  void started(const TcpConnection& connection, std::uint64_t acceptedAt);
  void ended(const TcpConnection& connection) noexcept override;
  /// What the peers of one worker can cause as often as they like.
  struct Bursts {
    BurstLog badPackages;
    BurstLog unsent;
  };
  /// Those of the worker that accepted `connection`, or of this thread where none did.
  static Bursts& burstsOf(const TcpConnection& connection);
  /// A client's TLS handshake has failed: logged, but for those that follow soon.
  void tlsFailed(const TcpConnection& connection, std::string_view cause);

 private:
  struct Opening {
    std::int64_t id;
    std::uint64_t since;  // milliseconds of the loop's clock
  };

  bool isFull(std::size_t waiting) const noexcept;
  bool isFullFor(const SocketAddress& peer);
  bool refuse(const SocketAddress& peer, const char* full);
  void countAddresses();
  void watchIdle();
  void sweep();
  void awaitOldest();
  void endOverdue();
  void forgetOpened();

  Worker& worker_;
  EventLoop& loop_;
  Burst refusals_;
  Burst tlsFailures_;
  Bursts bursts_;
  bool countsAddresses_ = false;
  std::unordered_map<std::string, std::uint32_t> perAddress_;
  /// Connections whose handshake was not done when last looked at, by age.
  std::deque<Opening> opening_;
  std::size_t openingLimit_ = 0;
  Workerman::detail::LoopTimer idleTimer_;
  Workerman::detail::LoopTimer openingTimer_;
};

}  // namespace Workerman::Connection::detail
