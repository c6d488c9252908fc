#pragma once

/// The hot half of TcpConnection's sending, inline for the protocols (internal).

#include "../core/event_loop.h"
#include "loop_io.h"
#include "tcp_connection.h"

namespace Workerman::Connection {

inline char* TcpConnection::openCork(std::size_t size) noexcept {
  auto& io = detail::LoopIo::ofThisThread();
  // Another connection's bytes leave first.
  if (io.corked() != nullptr && io.corked() != this) io.corked()->flushCork();
  if (status_ != STATUS_ESTABLISHED || !sendQueue_.empty() || !eventLoop->isDispatching()) return nullptr;
  // A long message is worth a copy only where more will follow: input is left to answer.
  const bool moreToCome = pump_ != nullptr && pump_->size() != 0;
  const std::size_t limit = moreToCome ? detail::LoopIo::kLongCorkedMessage : detail::LoopIo::kCorkedMessage;
  return size <= limit && size <= io.corkRoom() ? io.corkTail() : nullptr;
}

inline SendResult TcpConnection::closeCork(std::size_t size) noexcept {
  detail::LoopIo::ofThisThread().addToCork(*this, size);
  // While this connection's input is parsed, pump() flushes at its end.
  if (pump_ == nullptr) eventLoop->requestFlush();
  bytesWritten += static_cast<std::int64_t>(size);
  return SendResult::sent();
}

}  // namespace Workerman::Connection
