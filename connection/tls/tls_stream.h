#pragma once

/// One connection's TLS, without a socket (internal).

#include <openssl/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../ssl_info.h"
#include "../stream/byte_queue.h"
#include "tls_buffers.h"

struct iovec;
struct ssl_session_st;

namespace Workerman::Connection::detail {

class TlsContext;

/// Bytes in and bytes out: ciphertext comes by feed(), what is to be sent
/// stands in TlsIo's output after each call, for the caller to take at once.
///
/// Not open until handshake() is Done. After Failed nothing more can be done
/// but to send what is in the output (an alert) and close.
class TlsStream {
 public:
  enum class Outcome {
    Done,
    Full,  ///< There is more than fits.
    NeedsInput,
    Ended,  ///< The peer has said that it sends no more (close_notify).
    Failed,
  };

  /// A server's.
  explicit TlsStream(std::shared_ptr<TlsContext> context);
  /// A client's: `host` is a name or an address without brackets. The session
  /// that was used last with `server`, its whole address, goes on if that agrees.
  /// @throws std::runtime_error
  TlsStream(std::shared_ptr<TlsContext> context, const std::string& host, std::string server);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  bool isOpen() const noexcept { return isOpen_; }
  bool isServer() const noexcept;

  /// `ciphertext` is read by the calls that follow, and must live until read()
  /// has given another outcome than Full.
  void feed(std::string_view ciphertext) noexcept {
    input_ = ciphertext;
    isFresh_ = false;
  }
  /// Nothing was ever fed.
  bool isFresh() const noexcept { return isFresh_; }
  /// read() has given Ended.
  bool hasEnded() const noexcept { return hasEnded_; }
  /// A part of a record has come.
  bool isAmidRecord() const noexcept;
  /// A client's: its server may be sending it tickets for later sessions, which
  /// it does unasked (RFC 8446 section 4.6.1).
  bool awaitsTickets() const noexcept;

  /// Goes on with the handshake: never Full or Ended.
  [[nodiscard]] Outcome handshake();

  struct Decrypted {
    std::size_t size = 0;
    /// What stopped it; Done: all input is used.
    Outcome outcome = Outcome::Done;
  };
  /// Decrypts as much of the input as there is, or as fits.
  [[nodiscard]] Decrypted read(char* to, std::size_t room);

  /// Encrypts the pieces as one text, in full records but for the last, until
  /// `limit` bytes or a little more are done: gives how many. Nothing: it has failed.
  [[nodiscard]] std::optional<std::size_t> write(const iovec* pieces, int count, std::size_t limit);
  /// The same for one piece.
  [[nodiscard]] std::optional<std::size_t> write(std::string_view text, std::size_t limit);

  /// Tells the peer that no more follows. False: it was told before, or cannot be.
  bool endOutput() noexcept;

  /// Whether OpenSSL keeps its buffers between records; it does not from the start on.
  void keepBuffers(bool keeps) noexcept;
  /// Where TlsBuffers has this stream.
  std::uint8_t bufferPlace = TlsBuffers::kNowhere;

  /// In words; empty unless something has failed.
  const std::string& failure() const noexcept { return failure_; }
  /// Nothing before it is open.
  std::optional<SslInfo> info() const;

  /// Text that waits to be encrypted: for the handshake, or for what was
  /// encrypted before to leave.
  ByteQueue waiting;

  /// For the context: OpenSSL has found fault with a certificate of the peer's.
  /// Whether that is forgiven; if not, failure() will tell it.
  bool accepts(int fault, X509* certificate) noexcept;
  /// For the context: takes `session` over, for the next connection to the same server.
  bool keepSession(ssl_session_st* session) noexcept;

 private:
  template <class Fn>
  auto call(Fn&& fn);
  Outcome outcomeOfFailure();
  void fail(std::string why);
  void begin();
  std::string checkPeer() const;
  bool encrypt(const char* data, std::size_t size);

  std::shared_ptr<TlsContext> context_;
  SSL* ssl_;
  std::string_view input_;
  /// A client's: who is spoken to, and the key of the session with it.
  std::string peerName_, server_;
  std::string failure_;
  /// What is wrong with the peer's certificate.
  std::string refusal_;
  bool isFresh_ = true;
  bool isOpen_ = false;
  bool hasRead_ = false;
  bool hasEnded_ = false;
  bool hasEndedOutput_ = false;
};

}  // namespace Workerman::Connection::detail
