#pragma once

/// A transport without a socket, and a connection that is carried over it: cuts what is read and written
/// wherever a test wants, and fails at the operation that it wants.

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <workerman/workerman.h>

#include "connection/stream/link_inline.h"
#include "connection/stream/transport.h"
#include "core/poll_handle.h"

namespace testing {

/// What stands at both ends of a MemoryTransport. Outlives it, so that a test can look at what has become of
/// it.
struct Wire {
  std::string in;                   ///< what the peer has sent and we have not read
  bool isInEnded = false;           ///< the peer sends no more
  std::string out;                  ///< what we have sent
  bool isOutEnded = false;          ///< we send no more
  std::size_t readMost = SIZE_MAX;  ///< bytes that one read gives at the most
  std::size_t room = SIZE_MAX;      ///< bytes that can be written before there is no room
  std::size_t unacknowledged = 0;   ///< of what was written
  bool isAcknowledged = true;       ///< what is written from now on
  int watched = 0;                  ///< PollHandle::Events
  bool isClosed = false;
  int pendingError = 0;     ///< as SO_ERROR
  unsigned writes = 0;      ///< how often we have tried to send
  unsigned operations = 0;  ///< how many there have been
  unsigned failAt = 0;      ///< which of them fails, counted from 1; 0: none
  int error = ECONNRESET;   ///< with what
  bool hasFailed = false;

  /// Counts one operation; true: it fails.
  bool fails() noexcept {
    if (++operations != failAt) return false;
    return hasFailed = true;
  }
  /// What may be told of now, of that which is watched.
  int events() const noexcept {
    using Workerman::detail::PollHandle;
    if (isClosed) return 0;
    const bool isReadable = !in.empty() || isInEnded || pendingError != 0;
    const int all = (isReadable ? PollHandle::Readable : 0) |
                    (room != 0 || pendingError != 0 ? PollHandle::Writable : 0) |
                    (isInEnded || pendingError != 0 ? PollHandle::PeerEnd : 0);
    return all & watched;
  }
};

class MemoryTransport final : public Workerman::Connection::detail::Transport {
 public:
  explicit MemoryTransport(std::shared_ptr<Wire> wire) noexcept : wire_(std::move(wire)) {}
  ~MemoryTransport() override { wire_->isClosed = true; }

  Read read(char* to, std::size_t room) noexcept override {
    if (wire_->fails()) return {.got = Got::Failed, .error = wire_->error};
    if (wire_->in.empty()) return {.got = wire_->isInEnded ? Got::Ended : Got::Bytes};
    const std::size_t size = std::min({room, wire_->readMost, wire_->in.size()});
    wire_->in.copy(to, size);
    wire_->in.erase(0, size);
    return {.size = size};
  }
  Written write(const iovec* pieces, int count) noexcept override {
    ++wire_->writes;
    if (wire_->fails()) return {.error = wire_->error};
    Written written;
    for (int i = 0; i < count && wire_->room != 0; ++i) {
      const std::size_t size = std::min(pieces[i].iov_len, wire_->room);
      wire_->out.append(static_cast<const char*>(pieces[i].iov_base), size);
      written.size += size;
      if (!wire_->isAcknowledged) wire_->unacknowledged += size;
      if (wire_->room != SIZE_MAX) wire_->room -= size;
    }
    return written;
  }
  bool endOutput() noexcept override { return wire_->isOutEnded = true; }
  void close() noexcept override { wire_->isClosed = true; }
  int watch(int events) noexcept override {
    if (events == wire_->watched) return 0;
    if (wire_->fails()) return wire_->error;
    wire_->watched = events;
    return 0;
  }
  int takeError() noexcept override {
    return wire_->fails() ? wire_->error : std::exchange(wire_->pendingError, 0);
  }
  int descriptor() const noexcept override { return -1; }
  std::size_t unacknowledged() const noexcept override { return wire_->unacknowledged; }
  std::size_t unread() const noexcept override { return wire_->in.size(); }

 private:
  std::shared_ptr<Wire> wire_;
};

/// Tells a connection once of what there is to tell. False: there was nothing, or nothing came of it, as
/// where its share of the loop's turn is used up.
inline bool step(Wire& wire, Workerman::Connection::detail::Link& link) {
  const unsigned before = wire.operations;
  const int events = wire.events();
  if (events != 0) Workerman::Connection::detail::Link::onReady(&link, events);
  return wire.operations != before;
}

/// A connection over a MemoryTransport, on this thread's loop, as an accepted one that was set up.
class MemoryConnection final : public Workerman::Connection::TcpConnection {
 public:
  using Transport = Workerman::Connection::detail::Transport;

  explicit MemoryConnection(Workerman::Connection::detail::Life::Phase phase) : TcpConnection(phase) {}

  /// Speaks `protocol` (empty: raw bytes) over `wire`.
  static std::shared_ptr<MemoryConnection> make(const std::shared_ptr<Wire>& wire,
                                                std::string_view protocol = {}) {
    return make(wire, std::make_unique<MemoryTransport>(wire),
                Workerman::Connection::detail::Life::Phase::Established, protocol);
  }
  /// The same with a transport of one's own over the wire, in the phase that it begins with.
  static std::shared_ptr<MemoryConnection> make(const std::shared_ptr<Wire>& wire,
                                                std::unique_ptr<Transport> transport,
                                                Workerman::Connection::detail::Life::Phase phase,
                                                std::string_view protocol = {}) {
    const auto connection = std::make_shared<MemoryConnection>(phase);
    connection->wire_ = wire;
    connection->protocol = protocol;
    connection->carryOver(*Workerman::Worker::getEventLoop(), std::move(transport));
    connection->holdSelf();
    if (phase == Workerman::Connection::detail::Life::Phase::Established) connection->updateWatch();
    return connection;
  }

  Workerman::Connection::detail::Link& link() noexcept {
    return Workerman::Connection::detail::Link::of(*this);
  }
  Wire& wire() noexcept { return *wire_; }

  /// As testing::step().
  bool step() { return testing::step(*wire_, link()); }
  /// What the peer sends, told of until there is nothing more to tell.
  void arrive(std::string_view bytes) {
    wire_->in += bytes;
    settle();
  }
  /// Until there is nothing more to tell.
  void settle() {
    while (step()) {
    }
  }

 private:
  std::shared_ptr<Wire> wire_;
};

/// What stands at the end of one wire, for exchange().
struct WireEnd {
  Wire& wire;
  Workerman::Connection::detail::Link& link;
};

/// Moves what one has sent to the other, until both are still.
inline void exchange(WireEnd a, WireEnd b) {
  const auto move = [](Wire& from, Wire& to) {
    to.in += std::exchange(from.out, {});
    to.isInEnded = from.isOutEnded || from.isClosed;
  };
  do {
    move(a.wire, b.wire);
    move(b.wire, a.wire);
  } while (static_cast<int>(step(a.wire, a.link)) + static_cast<int>(step(b.wire, b.link)) != 0);
}
inline void exchange(MemoryConnection& a, MemoryConnection& b) {
  exchange({a.wire(), a.link()}, {b.wire(), b.link()});
}

}  // namespace testing
