#pragma once

/// What TLS connections with the same options share (internal).

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/socket_context.h"

namespace Workerman::Connection::detail {

struct SslCtxDeleter {
  void operator()(SSL_CTX* context) const noexcept;
};
struct SslSessionDeleter {
  void operator()(SSL_SESSION* session) const noexcept;
};

/// The options in OpenSSL's terms, with the certificates and keys that they
/// name, read once.
class TlsContext {
 public:
  enum class Role { Client, Server };

  /// @throws std::runtime_error naming the option, the file and what is wrong.
  TlsContext(Role role, const SslOptions& options);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  /// For a client of this thread: the same one for the same options, until a
  /// file that they name has changed. @throws as the constructor
  static std::shared_ptr<TlsContext> ofClient(const SslOptions& options);

  SSL_CTX* get() const noexcept { return context_.get(); }
  bool isServer() const noexcept { return role_ == Role::Server; }
  const SslOptions& options() const noexcept { return options_; }
  bool verifiesPeer() const noexcept { return options_.verify_peer.value_or(!isServer()); }
  bool verifiesPeerName() const noexcept { return options_.verify_peer_name.value_or(!isServer()); }

  /// @name A client's sessions, by server
  /// @{
  void remember(const std::string& server, SSL_SESSION* session);
  /// Null if there is none; stays the context's.
  SSL_SESSION* sessionWith(const std::string& server) const noexcept;
  /// @}

  /// A server's: that for a name that a client asks for; null: the usual one.
  SSL_CTX* forName(std::string_view name) const noexcept;
  /// Whether there is a certificate for names that SNI_server_certs lacks.
  bool hasUsualCertificate() const noexcept { return !options_.local_cert.empty(); }
  /// A server's: keys of tickets that follow from those of `before`, so that processes which read the same
  /// files anew still share them. Tickets of `before` are worth nothing any more: what it checked may be
  /// outdated.
  void deriveTicketKeys(const TlsContext& before);
  /// What alpn_protocols says, as it is sent (RFC 7301 section 3.1).
  const std::string& alpnWire() const noexcept { return alpnWire_; }

 private:
  using Ctx = std::unique_ptr<SSL_CTX, SslCtxDeleter>;
  Ctx make(const std::string& certificate, const std::string& key);
  void setVersions(SSL_CTX* context) const;
  void setCiphers(SSL_CTX* context) const;
  void loadCertificate(SSL_CTX* context, const std::string& certificate, const std::string& key) const;
  void setVerification(SSL_CTX* context);
  void setServer(SSL_CTX* context);
  void setClient(SSL_CTX* context);

  Role role_;
  SslOptions options_;
  std::string alpnWire_;
  Ctx context_;
  /// Of SNI_server_certs: names in lower case, "*.example.org" as ".example.org".
  std::vector<std::pair<std::string, Ctx>> byName_;
  std::map<std::string, std::unique_ptr<SSL_SESSION, SslSessionDeleter>> sessions_;
};

/// A listening worker's: what new connections use, replaced when certificates are read anew.
struct TlsServer {
  explicit TlsServer(const SslOptions& options)
      : context(std::make_shared<TlsContext>(TlsContext::Role::Server, options)) {}
  /// Reads the files again. @throws as TlsContext; the old ones stay then.
  void renew() {
    auto fresh = std::make_shared<TlsContext>(TlsContext::Role::Server, context->options());
    fresh->deriveTicketKeys(*context);
    context = std::move(fresh);
  }

  std::shared_ptr<TlsContext> context;
};

}  // namespace Workerman::Connection::detail
