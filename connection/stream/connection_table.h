#pragma once

/// This thread's TCP connections, ordered by id (internal; what users see of
/// it is ConnectionView).

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../core/fwd.h"

namespace Workerman::Connection::detail {

/// How many connections of this thread hold themselves: those that are in use.
extern constinit thread_local std::size_t heldConnections;

/// Ids only grow, so a sorted vector takes new connections at its end; what is
/// removed leaves a gap until half of it are gaps. 16 bytes a connection.
class ConnectionTable {
 public:
  static ConnectionTable& ofThisThread();

  /// Harmless when it is there already.
  void add(TcpConnection& connection);
  void remove(const TcpConnection& connection) noexcept;
  std::size_t size() const noexcept { return entries_.size() - gaps_; }

  /// The first connection from `id` upwards that is still alive, or null.
  /// Null `worker`: anyone's.
  TcpConnectionPtr firstFrom(std::int64_t id, const Worker* worker, std::int64_t& foundId) const;

  static std::int64_t nextId() noexcept;

 private:
  struct Entry {
    std::int64_t id;
    TcpConnection* connection;  // null: a gap
  };
  std::vector<Entry>::const_iterator lowerBound(std::int64_t id) const;

  std::vector<Entry> entries_;
  std::size_t gaps_ = 0;
};

}  // namespace Workerman::Connection::detail
