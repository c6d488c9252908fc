#pragma once

/// TLS over another transport (internal).

#include <memory>
#include <string>

#include "../stream/byte_queue.h"
#include "../stream/transport.h"
#include "tls_stream.h"

namespace Workerman::Connection::detail {

/// What is read is decrypted and what is written encrypted; the handshake is done by read() and open(). Until
/// that is over nothing may be written.
class TlsTransport final : public Transport {
 public:
  /// `below` must outlive this. `arrived`: ciphertext that has been read from it already.
  TlsTransport(EventLoop& loop, std::unique_ptr<TlsStream> stream, Transport& below,
               std::string arrived = {});
  /// The same with a transport of its own below.
  TlsTransport(EventLoop& loop, std::unique_ptr<TlsStream> stream, std::unique_ptr<Transport> below);
  ~TlsTransport() override;

  Read read(char* to, std::size_t room) noexcept override;
  Read drop(char* to, std::size_t room) noexcept override;
  int takeError() noexcept override { return below_.takeError(); }
  Written write(const iovec* pieces, int count) noexcept override;
  Written open() noexcept override;
  bool isOpen() const noexcept override { return stream_->isOpen(); }
  std::size_t waiting() const noexcept override { return unsent_.size(); }
  Written flush() noexcept override;
  bool endOutput() noexcept override;
  void close() noexcept override;
  int watch(int events) noexcept override { return below_.watch(events); }
  int descriptor() const noexcept override { return below_.descriptor(); }
  std::size_t unacknowledged() const noexcept override { return below_.unacknowledged(); }
  std::size_t unread() const noexcept override;
  bool mayGetUnasked() const noexcept override { return stream_->awaitsTickets(); }
  bool isUnannounced() const noexcept override { return stream_->isServer() && !wasOpened_; }
  std::optional<SslInfo> sslInfo() const override { return stream_->info(); }
  std::string describe(int error) const override;

 private:
  Read shake() noexcept;
  Read refusePlainText() noexcept;
  Read failed(int error) noexcept;
  int send() noexcept;

  EventLoop& loop_;
  std::unique_ptr<TlsStream> stream_;
  std::unique_ptr<Transport> owned_;
  Transport& below_;
  /// Encrypted, and not yet taken by what is below.
  ByteQueue unsent_;
  std::unique_ptr<std::string> arrived_;
  /// Of what was read from below, some is not decrypted yet.
  bool hasInput_ = false;
  bool wasPlainText_ = false;
  /// What kept an answer that reading called for from being sent.
  int sendError_ = 0;
  /// Got::Opened has been told, which a handshake whose last bytes could not be sent does not come to.
  bool wasOpened_ = false;
};

}  // namespace Workerman::Connection::detail
