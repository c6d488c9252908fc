#pragma once

#include "../../core/seconds.h"

namespace Workerman::Connection {

/// How long to wait before each of several tries to reconnect: longer and
/// longer, and each time a little different, so that the clients of a server
/// that comes back do not all come at once. Not in Workerman.
///
///     con->onClose = [](auto con) { con->reConnect(ReconnectDelay{.first = 1, .max = 30}); };
///
/// @see AsyncTcpConnection::reConnect()
struct ReconnectDelay {
  /// Seconds before the first try; 0 or more. (Infinite: never, unless `max` cuts it.)
  Seconds first = 1;
  /// What each further wait is longer by; 1 or more.
  double factor = 2;
  /// Seconds that no wait exceeds; 0 or more, infinite for no such limit.
  Seconds max = 30;
  /// The part of each wait that chance may take off, from 0 (none of it) to 1
  /// (all of it): with 0.2 a wait of 10 seconds is one of 8 to 10.
  double jitter = 0.2;
};

namespace detail {

/// The seconds to wait after `tries` tries without success; `chance`: from 0 to 1.
/// @throws std::invalid_argument naming the member that is out of range.
double secondsUntilRetry(const ReconnectDelay& delay, unsigned tries, double chance);

}  // namespace detail

}  // namespace Workerman::Connection
