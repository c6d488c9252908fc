#pragma once

/// Seams to the connection layer, which core must not include: declared here,
/// defined in connection/ (internal).

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "fwd.h"
#include "message.h"

namespace Workerman::detail {

/// A socket that a worker listens on. Closes it when destroyed.
class Listener {
 public:
  virtual ~Listener() = default;
  /// Takes connections from now on, and those that waited.
  virtual void resume() = 0;
  virtual void pause() noexcept = 0;
  virtual int descriptor() const noexcept = 0;
  /// The port it listens on, also where 0 was asked for; 0 for a unix socket.
  virtual int port() const noexcept = 0;
};

/// What a worker's limits have to remember while it listens or has connections.
class ConnectionLimitsBase {
 public:
  virtual ~ConnectionLimitsBase() = default;
  /// A connection of the worker is gone for good.
  virtual void ended(const Connection::TcpConnection& connection) noexcept = 0;
};
std::unique_ptr<ConnectionLimitsBase> makeConnectionLimits(Worker& worker, EventLoop& loop);

/// Opens the socket that `worker` names, without accepting yet.
/// @throws std::runtime_error naming the address and the cause;
/// std::invalid_argument for an address, protocol or callback that does not fit.
std::unique_ptr<Listener> makeListener(Worker& worker, EventLoop& loop);

/// The topics of a worker: who has subscribed, and what waits to reach them.
class Topics {
 public:
  virtual ~Topics() = default;
  /// Sends `data` to those who subscribed to `topic` and gives their number;
  /// `toBridge`: tells the worker's bridge as well.
  virtual std::size_t publish(std::string_view topic, Message data, bool toBridge) = 0;
  /// Sends `data` to all connections of the worker and gives their number.
  virtual std::size_t broadcast(Message data) = 0;
};
std::shared_ptr<Topics> makeTopics(Worker& worker);

/// How many connections of this thread the framework holds.
std::size_t heldConnections() noexcept;

/// Starts closing what `worker` accepted; null: all connections of this thread.
/// `force`: at once, else with good-byes and what is queued.
void closeConnections(const Worker* worker, bool force);

/// Makes the connections that are left of `worker` nobody's.
void disownConnections(const Worker& worker) noexcept;

/// Prepares what the connections of a loop share.
void attachConnections(EventLoop& loop);

}  // namespace Workerman::detail
