#pragma once

/// The hot half of Link, inline for the protocols (internal).

#include "../../core/event_loop.h"
#include "link.h"
#include "loop_io.h"
#include "tcp_connection.h"

namespace Workerman::Connection::detail {

inline Link& Link::of(TcpConnection& connection) noexcept {
  return connection;
}
inline const Link& Link::of(const TcpConnection& connection) noexcept {
  return connection;
}
inline TcpConnection& Link::connection() noexcept {
  return static_cast<TcpConnection&>(*this);
}
inline const TcpConnection& Link::connection() const noexcept {
  return static_cast<const TcpConnection&>(*this);
}

[[gnu::always_inline]] inline void Link::deliver(const Message& message) noexcept {
  TcpConnection& mine = connection();
  ++ConnectionInterface::statistics.total_request;
  if (!mine.onMessage) return;
  try {
    mine.onMessage(pump_->connection(), message);
  } catch (const Workerman::detail::MessageMismatch& e) {
    // The protocol was changed, and the callback was not: that is this connection's affair alone.
    refusePackage(e.what());
  } catch (...) {
    handleException();
  }
}

template <class Write, class Otherwise>
inline SendResult Link::compose(std::size_t size, Write&& write, Otherwise&& otherwise) {
  if (char* const bytes = openCork(size)) [[likely]]
    return closeCork(write(bytes));
  return otherwise();
}

/// Room for `size` bytes that will leave with the others of this callback; null: there is none.
inline char* Link::openCork(std::size_t size) noexcept {
  auto& io = LoopIo::ofThisThread();
  const bool isMine = io.corked() == this;
  // Another connection's bytes leave first.
  if (!isMine && io.corked() != nullptr) io.corked()->flushCork();
  if (!isEstablished() || !output_.isIdle()) return nullptr;
  // Without a callback that ends, nobody would flush.
  if (!isMine && !connection().eventLoop->isDispatching()) return nullptr;
  if (size > io.corkRoom()) return nullptr;
  // A long message is worth a copy only where more will follow: input is left to answer.
  const bool isWorthIt = size <= LoopIo::kCorkedMessage ||
                         (size <= LoopIo::kLongCorkedMessage && pump_ != nullptr && pump_->size() != 0);
  return isWorthIt ? io.corkTail() : nullptr;
}

inline SendResult Link::closeCork(std::size_t size) noexcept {
  LoopIo::afterFirstUse().addToCork(*this, size);
  // While this connection's input is parsed, pump() flushes at its end.
  if (pump_ == nullptr) connection().eventLoop->requestFlush();
  connection().bytesWritten += static_cast<std::int64_t>(size);
  return SendResult::sent();
}

template <class Slot, class... Args>
void Link::emit(const Slot& slot, Args&&... args) noexcept {
  if (!slot) return;
  const auto self = connection().weak_from_this().lock();
  if (!self) return;
  try {
    slot(self, std::forward<Args>(args)...);
  } catch (...) {
    handleException();
  }
}

}  // namespace Workerman::Connection::detail
