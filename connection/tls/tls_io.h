#pragma once

/// What the TLS connections of one thread share while bytes move (internal).

#include <openssl/types.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "../stream/byte_queue.h"
#include "tls_buffers.h"

namespace Workerman::Connection::detail {

/// One BIO for all: whoever calls OpenSSL says first what has arrived, and takes
/// what is to leave right afterwards. So no connection has buffers of its own,
/// and many records leave in one system call.
class TlsIo {
 public:
  /// What one read of a socket takes; decrypted, together with a record that
  /// OpenSSL still holds, it fits into LoopIo's receive buffer.
  static constexpr std::size_t kReceiveSize = 128 * 1024;
  /// The most text in one record (RFC 8446 section 5.1).
  static constexpr std::size_t kRecord = 16 * 1024;

  static TlsIo& ofThisThread();
  TlsIo();
  TlsIo(const TlsIo&) = delete;
  TlsIo& operator=(const TlsIo&) = delete;
  ~TlsIo();

  char* receiveBuffer() noexcept { return memory_->received; }
  /// Where the pieces of a record are put together.
  char* staging() noexcept { return memory_->staging; }

  /// The BIO's two sides: what OpenSSL reads from, and adds to.
  std::string_view input;
  /// OpenSSL has asked for more input than there was.
  bool isDry = false;
  ByteQueue output;
  TlsBuffers buffers;

  /// Another reference to the BIO, for a new SSL.
  BIO* share() noexcept;

 private:
  struct Memory {
    char received[kReceiveSize];
    char staging[kRecord];
  };

  std::unique_ptr<Memory> memory_;
  BIO* bio_;
};

}  // namespace Workerman::Connection::detail
