#pragma once

/// The hot half of TcpConnection's sending, inline for the protocols (internal).

#include "../../core/event_loop.h"
#include "loop_io.h"
#include "tcp_connection.h"

namespace Workerman::Connection {

inline char* TcpConnection::openCork(std::size_t size) noexcept {
  using detail::LoopIo;
  auto& io = LoopIo::ofThisThread();
  const bool isMine = io.corked() == this;
  // Another connection's bytes leave first.
  if (!isMine && io.corked() != nullptr) io.corked()->flushCork();
  if (status_ != STATUS_ESTABLISHED || !sendQueue_.empty()) return nullptr;
  // Without a callback that ends, nobody would flush.
  if (!isMine && !eventLoop->isDispatching()) return nullptr;
  if (size > io.corkRoom()) return nullptr;
  // A long message is worth a copy only where more will follow: input is left to answer.
  const bool isWorthIt = size <= LoopIo::kCorkedMessage ||
                         (size <= LoopIo::kLongCorkedMessage && pump_ != nullptr && pump_->size() != 0);
  return isWorthIt ? io.corkTail() : nullptr;
}

inline SendResult TcpConnection::closeCork(std::size_t size) noexcept {
  detail::LoopIo::afterFirstUse().addToCork(*this, size);
  // While this connection's input is parsed, pump() flushes at its end.
  if (pump_ == nullptr) eventLoop->requestFlush();
  bytesWritten += static_cast<std::int64_t>(size);
  return SendResult::sent();
}

}  // namespace Workerman::Connection
