#pragma once

/// Peers of our TLS that are not ours: OpenSSL itself on a plain socket, and a
/// relay between two ends of ours that sees what goes over the wire.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raw_peer.h"

namespace testing {

struct TlsRecord {
  int type;          ///< 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data
  std::size_t size;  ///< without the header
};

/// The records that `bytes` consist of (RFC 8446 section 5.1); one that is cut off does not count.
inline std::vector<TlsRecord> recordsIn(std::string_view bytes) {
  std::vector<TlsRecord> records;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  while (bytes.size() >= 5) {
    const std::size_t size = static_cast<std::size_t>(byte(3) << 8 | byte(4));
    if (bytes.size() < 5 + size) break;
    records.push_back({byte(0), size});
    bytes.remove_prefix(5 + size);
  }
  return records;
}

/// One end of TLS, by OpenSSL. Certificates are not verified.
class TlsPeer {
 public:
  /// `certificate`: a server's, a PEM file; empty for a client. `version`: the only one; 0 for any.
  TlsPeer(RawSocket plain, const std::string& certificate = "", int version = 0) : socket(std::move(plain)) {
    const bool isServer = !certificate.empty();
    SSL_CTX* const context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method());
    if (version != 0) {
      SSL_CTX_set_min_proto_version(context, version);
      SSL_CTX_set_max_proto_version(context, version);
    }
    if (isServer) {
      REQUIRE(SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1);
      REQUIRE(SSL_CTX_use_PrivateKey_file(context, certificate.c_str(), SSL_FILETYPE_PEM) == 1);
    }
    ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    isServer ? SSL_set_accept_state(ssl) : SSL_set_connect_state(ssl);
  }
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;
  ~TlsPeer() { SSL_free(ssl); }

  /// Goes on with the handshake. True: it is done.
  bool handshake() {
    feed();
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl);
    error = result == 1 ? "" : lastError();
    flush();
    return result == 1;
  }
  void write(std::string_view text) {
    CHECK(SSL_write(ssl, text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size()));
    flush();
  }
  /// What has arrived; nothing if there is nothing.
  std::string read() {
    feed();
    std::string text;
    char piece[16384];
    int got = 0;
    ERR_clear_error();
    while ((got = SSL_read(ssl, piece, sizeof piece)) > 0) text.append(piece, static_cast<std::size_t>(got));
    error = lastError();
    flush();
    return text;
  }
  /// Says close_notify; the socket stays as it is.
  void endOutput() {
    SSL_shutdown(ssl);
    ERR_clear_error();
    flush();
  }
  /// read() has met our end's close_notify.
  bool isEnded() const { return (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0; }
  /// What OpenSSL would have sent, for the test to send.
  std::string takeOutput() {
    std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl)), '\0');
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void flush() {
    if (const std::string bytes = takeOutput(); !bytes.empty() && socket) {
      static_cast<void>(::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
  }

  RawSocket socket;
  SSL* ssl;
  /// What the last call had to say, as OpenSSL names it.
  std::string error;

 private:
  void feed() {
    const std::string bytes = socket.receiveAll();
    if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl), bytes.data(), static_cast<int>(bytes.size()));
  }
  static std::string lastError() {
    const unsigned long code = ERR_peek_last_error();
    return code == 0 ? "" : ERR_reason_error_string(code);
  }
};

/// Passes on what a client and a server say, and keeps a copy. Nothing moves but in move().
class TlsRelay {
 public:
  /// One direction.
  struct Way {
    std::string seen;  ///< all that has come
    std::string waiting;
    bool isAtEnd = false;
    /// Changes what is passed on, if it is set.
    std::function<std::string(std::string)> change;
  };

  explicit TlsRelay(int port) : port_(port) {}

  int port() const { return listener_.port(); }
  /// Moves on at most `most` bytes each way.
  void move(std::size_t most = SIZE_MAX) {
    if (listener_.acceptInto(client_) && !server_) server_ = connectRaw(port_);
    if (!client_) return;
    pass(client_, server_, toServer, most);
    pass(server_, client_, toClient, most);
  }
  /// Ends both connections, without a word of TLS.
  void cut() {
    client_.close();
    server_.close();
  }
  RawSocket& client() { return client_; }
  RawSocket& server() { return server_; }

  Way toServer, toClient;

 private:
  static void pass(RawSocket& from, RawSocket& to, Way& way, std::size_t most) {
    if (!from || !to) return;
    std::string bytes = from.receiveAll();
    way.seen += bytes;
    way.waiting += way.change ? way.change(std::move(bytes)) : std::move(bytes);
    if (!way.waiting.empty()) {
      const ssize_t sent =
          ::send(to.fd(), way.waiting.data(), std::min(most, way.waiting.size()), MSG_NOSIGNAL);
      if (sent > 0) way.waiting.erase(0, static_cast<std::size_t>(sent));
    }
    if (from.isAtEnd() && way.waiting.empty() && !std::exchange(way.isAtEnd, true))
      ::shutdown(to.fd(), SHUT_WR);
  }

  RawListener listener_;
  int port_;
  RawSocket client_, server_;
};

}  // namespace testing
