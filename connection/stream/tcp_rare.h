#pragma once

/// What few connections need, in one block made when it is needed (internal).

#include <memory>

#include "../../core/loop_timer.h"
#include "tcp_connection.h"
#include "topics.h"

namespace Workerman::Connection {

struct TcpConnection::Rare {
  std::unique_ptr<Workerman::detail::LoopTimer> lingerTimer;
  std::unique_ptr<detail::Subscriber> subscriber;
  /// Where pipe() sends what arrives.
  std::weak_ptr<TcpConnection> pipedTo;
};

}  // namespace Workerman::Connection
