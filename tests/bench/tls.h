#pragma once

/// The generator's side of TLS.

#include <openssl/types.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace bench {

/// A TLS connection to 127.0.0.1. It offers TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519 only, so that
/// every server does the same work, and checks no certificate. Failures of TLS end the process.
class TlsSocket {
 public:
  /// Connects and does the handshake, blocking.
  /// @param resumed go on with the session of the last connection that has got a ticket, or fail
  explicit TlsSocket(uint16_t port, bool resumed = false);
  /// The same, and the websocket upgrade.
  static TlsSocket openWebSocket(uint16_t port, std::string_view path);
  TlsSocket(TlsSocket&& other) noexcept;
  ~TlsSocket();

  int fd() const { return fd_; }
  /// Reads until the server has sent a ticket, blocking.
  void awaitTicket();

  /// As send(2) without blocking, all or nothing: a batch of records leaves in one call; what the socket does
  /// not take is kept until flush().
  ssize_t send(const char* bytes, size_t size);
  /// As recv(2): one call of it, decrypted. -1 with EAGAIN if that completes no record of data. `size` must
  /// be at least 64 KiB.
  ssize_t receive(uint8_t* to, size_t size);
  /// False: something is left.
  bool flush();

 private:
  struct Free {
    void operator()(SSL* ssl) const;
  };
  void handshake();

  int fd_;
  std::unique_ptr<SSL, Free> ssl_;
  std::string unsent_;
};

}  // namespace bench
