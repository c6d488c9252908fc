#pragma once

/// What few connections need, in one block made when it is needed (internal).

#include <cstdint>
#include <memory>

#include "../../core/loop_timer.h"
#include "link.h"
#include "topics.h"

namespace Workerman::Connection::detail {

struct Link::Rare {
  /// After FIN: how long the peer is waited for.
  std::unique_ptr<Workerman::detail::LoopTimer> lingerTimer;
  /// While what is queued leaves before the end: how long without any progress.
  std::unique_ptr<Workerman::detail::LoopTimer> closeTimer;
  std::int64_t takenAtLook = 0;
  /// What the peer had taken when it was last looked whether the connection is idle.
  std::int64_t takenAtSweep = 0;
  std::unique_ptr<Subscriber> subscriber;
  /// Where pipe() sends what arrives.
  std::weak_ptr<TcpConnection> pipedTo;
};

}  // namespace Workerman::Connection::detail
