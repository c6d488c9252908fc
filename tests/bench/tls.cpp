#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "net.h"
#include "report.h"
#include "wire.h"

namespace bench {
namespace {

[[noreturn]] void failWithTls(const char* what) {
  const unsigned long error = ERR_peek_last_error();
  fail(std::string(what) + ": " + (error != 0 ? ERR_reason_error_string(error) : "unknown"));
}

/// What all connections share. Nothing of a connection's is left in the BIOs and buffers when a call returns.
struct Shared {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  BIO* input = BIO_new(BIO_s_mem());
  BIO* output = BIO_new(BIO_s_mem());
  SSL_SESSION* session = nullptr;
  unsigned tickets = 0;
  std::string outgoing;
  std::vector<uint8_t> received = std::vector<uint8_t>(size_t{1} << 18);

  Shared() {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, [](SSL*, SSL_SESSION* fresh) { return Shared::get().keep(fresh); });
    const bool isSet = SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1 &&
                       SSL_CTX_set1_groups_list(context, "X25519") == 1;
    if (!isSet) failWithTls("OpenSSL");
    BIO_set_mem_eof_return(input, -1);
  }
  int keep(SSL_SESSION* fresh) {
    SSL_SESSION_free(std::exchange(session, fresh));
    ++tickets;
    return 1;
  }
  static Shared& get() {
    static Shared shared;
    return shared;
  }
};

}  // namespace

void TlsSocket::Free::operator()(SSL* ssl) const {
  SSL_free(ssl);
}

TlsSocket::TlsSocket(uint16_t port, bool resumed)
    : fd_(connectTo(port)), ssl_(SSL_new(Shared::get().context)) {
  auto& shared = Shared::get();
  BIO_up_ref(shared.input);
  BIO_up_ref(shared.output);
  SSL_set_bio(ssl_.get(), shared.input, shared.output);
  SSL_set_connect_state(ssl_.get());
  if (resumed) SSL_set_session(ssl_.get(), shared.session);
  handshake();
  if (SSL_session_reused(ssl_.get()) != int{resumed}) fail("the server has not resumed the session");
}

TlsSocket::TlsSocket(TlsSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ssl_(std::move(other.ssl_)), unsent_(std::move(other.unsent_)) {}

TlsSocket::~TlsSocket() {
  if (fd_ < 0) return;
  // Without it OpenSSL would not go on with the session.
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN);
  const linger reset{1, 0};  // leaves no TIME_WAIT behind, which would use up the ports
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd_);
}

void TlsSocket::handshake() {
  auto& shared = Shared::get();
  for (;;) {
    const int result = SSL_do_handshake(ssl_.get());
    if (!flush()) fail("send");
    if (result == 1) return;
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) failWithTls("handshake");
    const ssize_t size = recv(fd_, shared.received.data(), shared.received.size(), 0);
    if (size <= 0) fail("the server closed during the handshake");
    BIO_write(shared.input, shared.received.data(), static_cast<int>(size));
  }
}

TlsSocket TlsSocket::openWebSocket(uint16_t port, std::string_view path) {
  TlsSocket socket(port);
  const std::string request = upgradeRequest(port, path);
  socket.send(request.data(), request.size());
  std::string head;
  std::vector<uint8_t> piece(65536);
  while (!head.ends_with("\r\n\r\n")) {
    const ssize_t size = socket.receive(piece.data(), piece.size());
    if (size > 0) head.append(reinterpret_cast<char*>(piece.data()), static_cast<size_t>(size));
    if (size == 0 || (size < 0 && errno != EAGAIN)) fail("the server closed during the upgrade");
  }
  if (!acceptsUpgrade(head)) fail("the upgrade was refused:\n" + head);
  return socket;
}

void TlsSocket::awaitTicket() {
  const timeval limit{5, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  auto& shared = Shared::get();
  const unsigned before = shared.tickets;
  std::vector<uint8_t> piece(65536);
  while (shared.tickets == before) {
    const bool isTicket = receive(piece.data(), piece.size()) < 0 && shared.tickets != before;
    if (!isTicket) fail("no ticket comes");
  }
}

bool TlsSocket::flush() {
  auto& shared = Shared::get();
  std::string& bytes = unsent_.empty() ? shared.outgoing : unsent_;
  const size_t before = bytes.size();
  const size_t fresh = BIO_ctrl_pending(shared.output);
  bytes.resize(before + fresh);
  if (fresh > 0) BIO_read(shared.output, bytes.data() + before, static_cast<int>(fresh));
  const ssize_t sent = bytes.empty() ? 0 : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) fail(std::string("send: ") + std::strerror(errno));
  unsent_ = bytes.substr(sent > 0 ? static_cast<size_t>(sent) : 0);
  shared.outgoing.clear();
  return unsent_.empty();
}

ssize_t TlsSocket::send(const char* bytes, size_t size) {
  if (!unsent_.empty() && !flush()) {
    errno = EAGAIN;
    return -1;
  }
  size_t written = 0;
  if (SSL_write_ex(ssl_.get(), bytes, size, &written) != 1) failWithTls("SSL_write");
  flush();
  return static_cast<ssize_t>(written);
}

ssize_t TlsSocket::receive(uint8_t* to, size_t size) {
  auto& shared = Shared::get();
  // Room for a record that OpenSSL holds the beginning of.
  const size_t room = std::min(shared.received.size(), size) - 32768;
  const ssize_t got = recv(fd_, shared.received.data(), room, 0);
  if (got <= 0) return got;
  BIO_write(shared.input, shared.received.data(), static_cast<int>(got));
  size_t total = 0;
  for (;;) {
    size_t part = 0;
    if (SSL_read_ex(ssl_.get(), to + total, size - total, &part) == 1) {
      total += part;
      continue;
    }
    if (SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_READ) failWithTls("SSL_read");
    if (total > 0) return static_cast<ssize_t>(total);
    errno = EAGAIN;
    return -1;
  }
}

}  // namespace bench
