#pragma once

/// Seams to the connection layer, which core must not include: declared here,
/// defined in connection/ (internal).

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fwd.h"
#include "message.h"

namespace Workerman::detail {

// Of the processes that share or inherit sockets, and tell of their connections: core/process.
struct InheritedSocket;
class InheritedSockets;
struct WorkerStatus;
struct ConnectionStatus;

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
  /// Reads certificates and keys anew, for the connections that are to come.
  /// @throws std::runtime_error; then those read before are used further.
  virtual void reloadCertificates() = 0;
};

/// What a worker's limits have to remember while it listens or has connections.
class ConnectionLimitsBase {
 public:
  virtual ~ConnectionLimitsBase() = default;
  /// A connection of the worker is gone for good.
  virtual void ended(const Connection::TcpConnection& connection) noexcept = 0;
};
std::unique_ptr<ConnectionLimitsBase> makeConnectionLimits(Worker& worker, EventLoop& loop);

/// A bound socket that no loop watches yet; forked processes may share it.
/// Closes it when destroyed; a unix socket's file goes with the process that
/// made it.
class OpenSocket {
 public:
  virtual ~OpenSocket() = default;
  virtual int port() const noexcept = 0;
  /// What the next process has to know of it, should it inherit it. Still closed here.
  virtual InheritedSocket inheritance() const noexcept = 0;
  /// As Listener's.
  virtual void reloadCertificates() = 0;
};

/// Opens the socket that `worker` names; needs no loop. `sibling`: the same
/// address once more (with reusePort), also where the port was 0. `inherited`:
/// one of these is taken, if one fits, rather than a new one made.
/// @throws std::runtime_error naming the address and the cause;
/// std::invalid_argument for an address, protocol or callback that does not fit.
std::unique_ptr<OpenSocket> openListeningSocket(Worker& worker, const OpenSocket* sibling = nullptr,
                                                InheritedSockets* inherited = nullptr);

/// Takes over what openListeningSocket() has opened and watches it with `loop`,
/// without accepting yet.
std::unique_ptr<Listener> makeListener(Worker& worker, EventLoop& loop, OpenSocket& socket);

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

/// Fills in what the connections of this thread amount to.
void countConnections(WorkerStatus& status) noexcept;
/// The stream connections of this thread, accepted or made: those that no
/// Worker accepted count as those of `worker`.
/// @see Workerman manual: install/start-and-stop, `connections`
std::vector<ConnectionStatus> listConnections(const Worker& worker);

/// How a connection is ended that did not ask for it.
enum class Closing {
  AtOnce,
  AfterSending,  ///< with a good-bye where the protocol has one, and what is queued
  WhenFinished,  ///< with a good-bye, once nothing is under way, where the protocol has one; others end by
                 ///< themselves
};

/// Starts closing what `worker` accepted; null: all connections of this thread.
/// Gives how many accepted ones were open and have been told to close now.
std::size_t closeConnections(const Worker* worker, Closing how);

/// Makes the connections that are left of `worker` nobody's.
void disownConnections(const Worker& worker) noexcept;

/// Prepares what the connections of a loop share.
void attachConnections(EventLoop& loop);

}  // namespace Workerman::detail
