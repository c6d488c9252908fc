#pragma once

/// What is known of a TLS connection once it is open.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace Workerman::Connection {

/// A peer's certificate. Text is UTF-8.
struct CertificateInfo {
  std::string subject;             ///< "CN=example.org,O=Example", as RFC 2253 writes it.
  std::string issuer;              ///< The same of who signed it.
  std::vector<std::string> names;  ///< The hosts and addresses it is for.
  std::string serialNumber;        ///< Hexadecimal.
  std::int64_t validFrom = 0;      ///< Seconds since 1970.
  std::int64_t validTo = 0;        ///< The same.
  std::string fingerprint;         ///< SHA-256, 64 hexadecimal digits in lower case.
  std::string pem;
};

/// @see TcpConnection::getSslInfo()
struct SslInfo {
  std::string version;       ///< "TLSv1.3"
  std::string cipher;        ///< "TLS_AES_128_GCM_SHA256"
  std::string serverName;    ///< What the client has asked for (SNI); empty if nothing.
  std::string alpnProtocol;  ///< What both have agreed on; empty if nothing.
  bool isResumed = false;    ///< An earlier session goes on: no certificates were exchanged this time.
  /// The peer's; nothing where it has shown none, as most clients.
  std::optional<CertificateInfo> peerCertificate;
};

}  // namespace Workerman::Connection
