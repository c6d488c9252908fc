#include "tls_context.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <stdexcept>

#include "tls_stream.h"
#include "tls_words.h"

namespace Workerman::Connection::detail {
namespace {

/// Forward secrecy and authenticated encryption only, the cheapest first.
constexpr const char* kServerCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kServerSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
/// PHP's default.
constexpr int kVerifyDepth = 9;
/// Servers whose sessions a client remembers.
constexpr std::size_t kMostSessions = 256;
/// Contexts of clients that a thread keeps ready.
constexpr std::size_t kMostContexts = 8;

[[noreturn]] void fail(const std::string& what) {
  const std::string cause = takeTlsError();
  throw std::runtime_error("TLS: " + what + (cause.empty() ? "" : ": " + cause));
}

void require(bool isFine, const std::string& what) {
  if (!isFine) fail(what);
}

std::string lowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

std::vector<std::string> split(std::string_view list, std::string_view separators) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(separators), list.size());
    std::string_view part = list.substr(0, end);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

std::string alpnWireOf(const std::string& list) {
  std::string wire;
  for (const std::string& name : split(list, ",")) {
    require(name.size() <= 255, "alpn_protocols: '" + name + "' is longer than 255 bytes");
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

int onPassphrase(char* to, int room, int, void* given) noexcept {
  const auto& passphrase = *static_cast<const std::string*>(given);
  if (passphrase.size() > static_cast<std::size_t>(room)) return 0;
  std::memcpy(to, passphrase.data(), passphrase.size());
  return static_cast<int>(passphrase.size());
}

int onVerify(int isFine, X509_STORE_CTX* store) noexcept {
  if (isFine == 1) return 1;
  auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const int error = X509_STORE_CTX_get_error(store);
  if (static_cast<TlsStream*>(SSL_get_app_data(ssl))
          ->accepts(error, X509_STORE_CTX_get_current_cert(store))) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  return 0;
}

int onServerName(SSL* ssl, int*, void* given) noexcept {
  const auto& context = *static_cast<const TlsContext*>(given);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (SSL_CTX* const found = name != nullptr ? context.forName(name) : nullptr) {
    return SSL_set_SSL_CTX(ssl, found) != nullptr ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return context.hasUsualCertificate() ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int onAlpn(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
           unsigned int offeredSize, void* given) noexcept {
  const std::string& ours = static_cast<const TlsContext*>(given)->alpnWire();
  const int result = SSL_select_next_proto(const_cast<unsigned char**>(chosen), size,
                                           reinterpret_cast<const unsigned char*>(ours.data()),
                                           static_cast<unsigned int>(ours.size()), offered, offeredSize);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int onNewSession(SSL* ssl, SSL_SESSION* session) noexcept {
  return static_cast<TlsStream*>(SSL_get_app_data(ssl))->keepSession(session) ? 1 : 0;
}

bool hasRevocations(SSL_CTX* context) {
  STACK_OF(X509_OBJECT)* const all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
  for (int i = 0; i < sk_X509_OBJECT_num(all); ++i) {
    if (X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_CRL) return true;
  }
  return false;
}

/// Changes when a file does.
std::string stampOf(const std::string& file) {
  struct stat status {};
  if (file.empty() || ::stat(file.c_str(), &status) != 0) return file + "\n";
  return file + "\n" + std::to_string(status.st_ino) + "." + std::to_string(status.st_size) + "." +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "\n";
}

std::string keyOf(const SslOptions& o) {
  const auto number = [](const auto& value) { return value ? std::to_string(*value) + "\n" : "-\n"; };
  std::string key = stampOf(o.local_cert) + stampOf(o.local_pk) + stampOf(o.cafile) + o.capath + "\n" +
                    o.passphrase + "\n" + o.peer_name + "\n" + o.ciphers + "\n" + o.alpn_protocols + "\n" +
                    number(o.verify_peer) + number(o.verify_peer_name) + number(o.verify_depth) +
                    number(o.crypto_method) + number(o.security_level) + (o.allow_self_signed ? "s" : "-") +
                    (o.SNI_enabled ? "n" : "-");
  for (const auto& [digest, value] : o.peer_fingerprint.digests()) key += "\n" + digest + "=" + value;
  return key;
}

}  // namespace

void SslCtxDeleter::operator()(SSL_CTX* context) const noexcept {
  SSL_CTX_free(context);
}

void SslSessionDeleter::operator()(SSL_SESSION* session) const noexcept {
  SSL_SESSION_free(session);
}

TlsContext::TlsContext(Role role, const SslOptions& options)
    : role_(role), options_(options), alpnWire_(alpnWireOf(options.alpn_protocols)) {
  if (isServer() && options_.local_cert.empty() &&
      (options_.SNI_server_certs.empty() || !options_.SNI_enabled)) {
    throw std::runtime_error(
        "TLS: a server needs a certificate: SocketContext{.ssl = {.local_cert = \"file.pem\"}}");
  }
  // OpenSSL would take it for every name below it.
  if (options_.peer_name.starts_with('.')) {
    throw std::runtime_error("TLS: peer_name '" + options_.peer_name +
                             "' begins with a dot: it is one whole name");
  }
  context_ = make(options_.local_cert, options_.local_pk);
  if (!isServer() || !options_.SNI_enabled) return;
  for (const auto& [name, file] : options_.SNI_server_certs) {
    const std::string lower = lowerCase(name);
    if (lower.starts_with('.')) {
      throw std::runtime_error("TLS: SNI_server_certs: '" + name + "' begins with a dot; a pattern is *" +
                               name);
    }
    byName_.emplace_back(lower.starts_with("*.") ? lower.substr(1) : lower, make(file, {}));
  }
}

TlsContext::~TlsContext() = default;

std::shared_ptr<TlsContext> TlsContext::ofClient(const SslOptions& options) {
  static thread_local std::vector<std::pair<std::string, std::shared_ptr<TlsContext>>> ready;
  std::string key = keyOf(options);
  const auto found =
      std::find_if(ready.begin(), ready.end(), [&](const auto& entry) { return entry.first == key; });
  if (found != ready.end()) {
    std::rotate(ready.begin(), found, found + 1);
    return ready.front().second;
  }
  auto fresh = std::make_shared<TlsContext>(Role::Client, options);
  if (ready.size() == kMostContexts) ready.pop_back();
  ready.insert(ready.begin(), {std::move(key), fresh});
  return fresh;
}

TlsContext::Ctx TlsContext::make(const std::string& certificate, const std::string& key) {
  ERR_clear_error();
  Ctx context(SSL_CTX_new(isServer() ? TLS_server_method() : TLS_client_method()));
  require(context != nullptr, "OpenSSL cannot start");
  SSL_CTX* const raw = context.get();
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_read_ahead(raw, 1);
  if (options_.security_level) SSL_CTX_set_security_level(raw, *options_.security_level);
  setVersions(raw);
  setCiphers(raw);
  if (!certificate.empty()) loadCertificate(raw, certificate, key);
  setVerification(raw);
  isServer() ? setServer(raw) : setClient(raw);
  return context;
}

/// PHP's bits are the versions'; the lowest one says client or server and does not matter here.
void TlsContext::setVersions(SSL_CTX* context) const {
  struct Version {
    int bit;
    int number;
    std::uint64_t off;
  };
  constexpr Version kVersions[] = {{STREAM_CRYPTO_METHOD_TLSv1_0_SERVER, TLS1_VERSION, SSL_OP_NO_TLSv1},
                                   {STREAM_CRYPTO_METHOD_TLSv1_1_SERVER, TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
                                   {STREAM_CRYPTO_METHOD_TLSv1_2_SERVER, TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
                                   {STREAM_CRYPTO_METHOD_TLSv1_3_SERVER, TLS1_3_VERSION, SSL_OP_NO_TLSv1_3}};
  const int wanted = options_.crypto_method.value_or(STREAM_CRYPTO_METHOD_TLSv1_2_SERVER |
                                                     STREAM_CRYPTO_METHOD_TLSv1_3_SERVER);
  int lowest = 0;
  for (const Version& version : kVersions) {
    if ((wanted & version.bit) == 0) {
      SSL_CTX_set_options(context, version.off);
    } else if (lowest == 0) {
      lowest = version.number;
    }
  }
  require(lowest != 0,
          "crypto_method names no version of TLS: STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT and the like");
  require(SSL_CTX_set_min_proto_version(context, lowest) == 1, "crypto_method");
}

/// One list for all versions, as PHP's: the names of TLS 1.3 begin with TLS_.
void TlsContext::setCiphers(SSL_CTX* context) const {
  std::string list, suites;
  for (const std::string& name : split(options_.ciphers, ":, ")) {
    std::string& to = name.starts_with("TLS_") ? suites : list;
    to += (to.empty() ? "" : ":") + name;
  }
  if (isServer()) {
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (options_.ciphers.empty()) list = kServerCiphers;
    if (suites.empty()) suites = kServerSuites;
  }
  require(list.empty() || SSL_CTX_set_cipher_list(context, list.c_str()) == 1, "ciphers '" + list + "'");
  require(suites.empty() || SSL_CTX_set_ciphersuites(context, suites.c_str()) == 1,
          "ciphers '" + suites + "'");
}

void TlsContext::loadCertificate(SSL_CTX* context, const std::string& certificate,
                                 const std::string& key) const {
  // Always set: OpenSSL would ask at the terminal.
  SSL_CTX_set_default_passwd_cb(context, onPassphrase);
  const std::string& passphrase = options_.passphrase;
  SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<std::string*>(&passphrase));
  require(SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1,
          "cannot read the certificate " + certificate);
  const std::string& keyFile = key.empty() ? certificate : key;
  const bool isRead = SSL_CTX_use_PrivateKey_file(context, keyFile.c_str(), SSL_FILETYPE_PEM) == 1;
  const unsigned long error = ERR_peek_last_error();
  const bool isOther =
      ERR_GET_LIB(error) == ERR_LIB_X509 && (ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH ||
                                             ERR_GET_REASON(error) == X509_R_KEY_TYPE_MISMATCH);
  require(isRead || isOther, "cannot read the private key " + keyFile);
  if (isOther || SSL_CTX_check_private_key(context) != 1) {
    throw std::runtime_error("TLS: the key " + keyFile + " does not fit " + certificate);
  }
}

void TlsContext::setVerification(SSL_CTX* context) {
  const bool verifies = verifiesPeer();
  // A server has to ask for whatever is checked.
  const bool asks = isServer() && (verifies || !options_.peer_fingerprint.empty() ||
                                   (verifiesPeerName() && !options_.peer_name.empty()));
  const int mode = asks       ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                   : verifies ? SSL_VERIFY_PEER
                              : SSL_VERIFY_NONE;
  SSL_CTX_set_verify(context, mode, mode != SSL_VERIFY_NONE ? onVerify : nullptr);
  SSL_CTX_set_verify_depth(context, options_.verify_depth.value_or(kVerifyDepth));
  if (!verifies) return;
  if (options_.cafile.empty() && options_.capath.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    ERR_clear_error();
    return;
  }
  if (!options_.cafile.empty()) {
    require(SSL_CTX_load_verify_file(context, options_.cafile.c_str()) == 1,
            "cannot read cafile " + options_.cafile);
  }
  if (!options_.capath.empty()) {
    struct stat status {};
    if (::stat(options_.capath.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
      throw std::runtime_error("TLS: capath " + options_.capath + " is no directory");
    }
    require(SSL_CTX_load_verify_dir(context, options_.capath.c_str()) == 1,
            "cannot read capath " + options_.capath);
  }
  // Where there are lists of what was revoked, they count.
  if (hasRevocations(context)) X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_CRL_CHECK);
}

void TlsContext::setServer(SSL_CTX* context) {
  // Tickets carry the sessions: nothing to store, and all processes of a worker share their keys.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // One each time, not two: a twentieth of a full handshake's cost, for a second connection at the same time.
  SSL_CTX_set_num_tickets(context, 1);
  constexpr unsigned char kId[] = "workerman";
  SSL_CTX_set_session_id_context(context, kId, sizeof kId - 1);
  if (!alpnWire_.empty()) SSL_CTX_set_alpn_select_cb(context, onAlpn, this);
  // In any case: without it a resumed session does not know the name that was asked for.
  SSL_CTX_set_tlsext_servername_callback(context, onServerName);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  if (verifiesPeer() && !options_.cafile.empty()) {
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options_.cafile.c_str()));
  }
}

void TlsContext::deriveTicketKeys(const TlsContext& before) {
  std::vector<unsigned char> keys(
      static_cast<std::size_t>(SSL_CTX_get_tlsext_ticket_keys(get(), nullptr, 0)));
  SSL_CTX_get_tlsext_ticket_keys(before.get(), keys.data(), static_cast<long>(keys.size()));
  const std::vector<unsigned char> old = keys;
  for (std::size_t done = 0; done < keys.size(); done += SHA512_DIGEST_LENGTH) {
    unsigned char digest[SHA512_DIGEST_LENGTH];
    std::vector<unsigned char> block = old;
    block.push_back(static_cast<unsigned char>(done));
    SHA512(block.data(), block.size(), digest);
    std::copy_n(digest, std::min(sizeof digest, keys.size() - done), keys.data() + done);
  }
  SSL_CTX_set_tlsext_ticket_keys(get(), keys.data(), static_cast<long>(keys.size()));
}

void TlsContext::setClient(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, onNewSession);
  if (!alpnWire_.empty()) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(alpnWire_.data());
    require(SSL_CTX_set_alpn_protos(context, bytes, static_cast<unsigned int>(alpnWire_.size())) == 0,
            "alpn_protocols");
  }
}

void TlsContext::remember(const std::string& server, SSL_SESSION* session) {
  if (sessions_.size() >= kMostSessions && !sessions_.contains(server)) sessions_.erase(sessions_.begin());
  sessions_[server].reset(session);
}

SSL_SESSION* TlsContext::sessionWith(const std::string& server) const noexcept {
  const auto found = sessions_.find(server);
  return found != sessions_.end() && SSL_SESSION_is_resumable(found->second.get()) == 1 ? found->second.get()
                                                                                        : nullptr;
}

SSL_CTX* TlsContext::forName(std::string_view name) const noexcept {
  SSL_CTX* wild = nullptr;
  for (const auto& [known, context] : byName_) {
    const auto isAlike = [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); };
    const bool isPattern = known.starts_with('.');
    const std::string_view compared =
        isPattern && name.find('.') != name.npos ? name.substr(name.find('.')) : name;
    if (!std::equal(known.begin(), known.end(), compared.begin(), compared.end(), isAlike)) continue;
    if (!isPattern) return context.get();
    wild = context.get();
  }
  return wild;
}

}  // namespace Workerman::Connection::detail
