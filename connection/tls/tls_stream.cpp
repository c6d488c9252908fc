#include "tls_stream.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <strings.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

#include "tls_context.h"
#include "tls_io.h"
#include "tls_words.h"

namespace Workerman::Connection::detail {
namespace {

struct X509Deleter {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, X509Deleter>;

bool isAddress(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<TlsContext> context) : context_(std::move(context)) {
  begin();
  SSL_set_accept_state(ssl_);
  if (const std::string& name = context_->options().peer_name; context_->verifiesPeerName()) peerName_ = name;
}

TlsStream::TlsStream(std::shared_ptr<TlsContext> context, const std::string& host, std::string server)
    : context_(std::move(context)), server_(std::move(server)) {
  const auto& options = context_->options();
  peerName_ = options.peer_name.empty() ? host : options.peer_name;
  // A name's last dot is for resolvers; certificates and SNI have none (RFC 6066 section 3).
  if (peerName_.ends_with('.')) peerName_.pop_back();
  begin();
  SSL_set_connect_state(ssl_);
  if (options.SNI_enabled && !peerName_.empty() && !isAddress(peerName_))
    SSL_set_tlsext_host_name(ssl_, peerName_.c_str());
  if (context_->verifiesPeer() && context_->verifiesPeerName()) {
    X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl_);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = isAddress(peerName_)
                        ? X509_VERIFY_PARAM_set1_ip_asc(rules, peerName_.c_str())
                        : X509_VERIFY_PARAM_set1_host(rules, peerName_.data(), peerName_.size());
    if (set != 1) {
      SSL_free(ssl_);
      throw std::runtime_error("TLS: '" + peerName_ + "' is no name that a certificate could have");
    }
  }
  if (SSL_SESSION* const session = context_->sessionWith(server_)) SSL_set_session(ssl_, session);
}

void TlsStream::begin() {
  ssl_ = SSL_new(context_->get());
  if (ssl_ == nullptr) throw std::bad_alloc();
  SSL_set_app_data(ssl_, this);
  auto& io = TlsIo::ofThisThread();
  SSL_set0_rbio(ssl_, io.share());
  SSL_set0_wbio(ssl_, io.share());
}

TlsStream::~TlsStream() {
  if (bufferPlace != TlsBuffers::kNowhere) TlsIo::ofThisThread().buffers.forget(*this);
  SSL_free(ssl_);
}

void TlsStream::keepBuffers(bool keeps) noexcept {
  if (keeps) {
    SSL_clear_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
  } else {
    SSL_set_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
    SSL_free_buffers(ssl_);
  }
}

bool TlsStream::isServer() const noexcept {
  return context_->isServer();
}

bool TlsStream::isAmidRecord() const noexcept {
  return SSL_has_pending(ssl_) == 1;
}

bool TlsStream::awaitsTickets() const noexcept {
  return isOpen_ && !isServer() && !hasRead_ && SSL_version(ssl_) >= TLS1_3_VERSION;
}

/// Runs `fn` with this stream's input.
template <class Fn>
auto TlsStream::call(Fn&& fn) {
  auto& io = TlsIo::ofThisThread();
  io.output.rewind();  // of another stream, if memory was too short to send it
  io.input = input_;
  io.isDry = false;
  const auto result = fn();
  input_ = io.input;
  io.input = {};
  return result;
}

void TlsStream::fail(std::string why) {
  failure_ = std::move(why);
}

/// OpenSSL's own answer, SSL_get_error(), takes what others have left in its error queue for ours, unless
/// that is emptied before each call, which costs more than a short record does.
TlsStream::Outcome TlsStream::outcomeOfFailure() {
  if (TlsIo::ofThisThread().isDry) return Outcome::NeedsInput;
  const unsigned long error = ERR_peek_last_error();
  const bool isAlert = ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
  if (!isAlert && (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0) return Outcome::Ended;
  std::string why = takeTlsError();
  fail(!refusal_.empty() ? refusal_ : why.empty() ? "TLS has failed" : std::move(why));
  return Outcome::Failed;
}

TlsStream::Outcome TlsStream::handshake() {
  ERR_clear_error();
  const int result = call([&] { return SSL_do_handshake(ssl_); });
  if (result != 1) {
    const Outcome outcome = outcomeOfFailure();
    if (outcome != Outcome::Ended) return outcome;
    fail("the peer has ended the TLS handshake");
    return Outcome::Failed;
  }
  if (std::string why = checkPeer(); !why.empty()) {
    fail(std::move(why));
    return Outcome::Failed;
  }
  isOpen_ = true;
  return Outcome::Done;
}

/// What OpenSSL has not been asked to look at.
std::string TlsStream::checkPeer() const {
  const auto& options = context_->options();
  const bool checksName =
      context_->verifiesPeerName() && !peerName_.empty() && !(context_->verifiesPeer() && !isServer());
  const auto& digests = options.peer_fingerprint.digests();
  if (!checksName && digests.empty()) return {};
  const Certificate certificate(SSL_get1_peer_certificate(ssl_));
  if (!certificate) return "the peer has shown no certificate";
  if (checksName) {
    const int fits = isAddress(peerName_)
                         ? X509_check_ip_asc(certificate.get(), peerName_.c_str(), 0)
                         : X509_check_host(certificate.get(), peerName_.data(), peerName_.size(),
                                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr);
    if (fits != 1) return describeVerification(X509_V_ERR_HOSTNAME_MISMATCH, certificate.get(), peerName_);
  }
  for (const auto& [digest, wanted] : digests) {
    const std::string actual = fingerprintOf(certificate.get(), digest.c_str());
    if (actual.empty()) return "peer_fingerprint: there is no digest '" + digest + "'";
    if (::strcasecmp(actual.c_str(), wanted.c_str()) != 0) {
      return "the certificate's " + digest + " fingerprint is " + actual + ", not " + wanted;
    }
  }
  return {};
}

TlsStream::Decrypted TlsStream::read(char* to, std::size_t room) {
  return call([&] {
    auto& io = TlsIo::ofThisThread();
    hasRead_ = hasRead_ || !io.input.empty();
    Decrypted result;
    for (;;) {
      std::size_t got = 0;
      io.isDry = false;
      if (SSL_read_ex(ssl_, to + result.size, room - result.size, &got) != 1) {
        result.outcome = outcomeOfFailure();
        hasEnded_ = result.outcome == Outcome::Ended;
        return result;
      }
      result.size += got;
      // Asking again would cost as much as a record does.
      if (io.input.empty() && SSL_has_pending(ssl_) == 0) return result;
      if (result.size == room) {
        result.outcome = Outcome::Full;
        return result;
      }
    }
  });
}

bool TlsStream::encrypt(const char* data, std::size_t size) {
  std::size_t done = 0;
  // The output takes everything, so it is all or nothing.
  if (SSL_write_ex(ssl_, data, size, &done) == 1) return true;
  fail(takeTlsError());
  return false;
}

std::optional<std::size_t> TlsStream::write(std::string_view text, std::size_t limit) {
  const std::size_t size = std::min(text.size(), limit);
  if (size != 0 && !encrypt(text.data(), size)) return std::nullopt;
  return size;
}

std::optional<std::size_t> TlsStream::write(const iovec* pieces, int count, std::size_t limit) {
  char* const staging = TlsIo::ofThisThread().staging();
  std::size_t staged = 0;
  std::size_t taken = 0;
  for (int i = 0; i < count; ++i) {
    std::string_view piece(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    while (!piece.empty() && taken < limit) {
      std::size_t size = 0;
      if (staged == 0 && piece.size() >= TlsIo::kRecord) {
        // Whole records straight from the caller's bytes.
        size =
            std::min(piece.size(), std::max(limit - taken, TlsIo::kRecord)) / TlsIo::kRecord * TlsIo::kRecord;
        if (!encrypt(piece.data(), size)) return std::nullopt;
      } else {
        size = std::min(piece.size(), TlsIo::kRecord - staged);
        std::memcpy(staging + staged, piece.data(), size);
        staged += size;
        if (staged == TlsIo::kRecord && !encrypt(staging, std::exchange(staged, 0))) return std::nullopt;
      }
      piece.remove_prefix(size);
      taken += size;
    }
  }
  if (staged != 0 && !encrypt(staging, staged)) return std::nullopt;
  return taken;
}

bool TlsStream::endOutput() noexcept {
  if (!isOpen_ || hasEndedOutput_ || !failure_.empty()) return false;
  hasEndedOutput_ = true;
  SSL_shutdown(ssl_);
  ERR_clear_error();
  return true;
}

std::optional<SslInfo> TlsStream::info() const {
  if (!isOpen_) return std::nullopt;
  SslInfo info;
  info.version = SSL_get_version(ssl_);
  info.cipher = SSL_get_cipher_name(ssl_);
  if (const char* const name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name)) info.serverName = name;
  const unsigned char* alpn = nullptr;
  unsigned int alpnSize = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpnSize);
  info.alpnProtocol.assign(reinterpret_cast<const char*>(alpn), alpnSize);
  info.isResumed = SSL_session_reused(ssl_) == 1;
  if (const Certificate certificate(SSL_get1_peer_certificate(ssl_)); certificate) {
    info.peerCertificate = describeCertificate(certificate.get());
  }
  return info;
}

bool TlsStream::accepts(int fault, X509* certificate) noexcept {
  // checkPeer() looks at it alone.
  if (!context_->verifiesPeer()) return true;
  if (fault == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT && context_->options().allow_self_signed) return true;
  try {
    refusal_ = describeVerification(fault, certificate, peerName_);
  } catch (const std::bad_alloc&) {
    // The handshake fails all the same.
  }
  return false;
}

bool TlsStream::keepSession(SSL_SESSION* session) noexcept {
  if (server_.empty()) return false;
  try {
    context_->remember(server_, session);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace Workerman::Connection::detail
