#include "tls_words.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <system_error>

namespace Workerman::Connection::detail {
namespace {

template <auto free>
struct Free {
  template <class T>
  void operator()(T* object) const noexcept {
    free(object);
  }
};

using MemoryBio = std::unique_ptr<BIO, Free<BIO_free_all>>;

template <class Fn>
std::string written(Fn&& fn) {
  const MemoryBio bio(BIO_new(BIO_s_mem()));
  if (!bio) return {};
  fn(bio.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string text(const X509_NAME* name) {
  constexpr unsigned long kStyle = XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  return written([&](BIO* bio) { X509_NAME_print_ex(bio, name, 0, kStyle); });
}

std::int64_t secondsOf(const ASN1_TIME* time) {
  tm parts{};
  return time != nullptr && ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts))
                                                               : 0;
}

std::string dateOf(const ASN1_TIME* time) {
  return written([&](BIO* bio) { ASN1_TIME_print(bio, time); });
}

std::string ipText(const ASN1_OCTET_STRING* address) {
  char buffer[INET6_ADDRSTRLEN] = "";
  const int size = ASN1_STRING_length(address);
  if (size == 4 || size == 16) {
    ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), buffer, sizeof buffer);
  }
  return buffer;
}

std::vector<std::string> namesOf(X509* certificate) {
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>> all(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS) {
      const auto* const dns = name->d.dNSName;
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(dns)),
                         static_cast<std::size_t>(ASN1_STRING_length(dns)));
      // Whatever a peer has put there: it will be printed.
      const auto isOdd = [](char c) { return c <= ' ' || c > '~'; };
      std::replace_if(names.back().begin(), names.back().end(), isOdd, '?');
    } else if (name->type == GEN_IPADD) {
      names.push_back(ipText(name->d.iPAddress));
    }
  }
  return names;
}

std::string listOf(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  std::string list;
  for (std::size_t i = 0; i < names.size() && i < kMost; ++i) list += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? list + ", …" : list;
}

std::string wrongName(X509* certificate, const std::string& host) {
  if (certificate == nullptr) return "the certificate is not for " + host;
  const auto names = namesOf(certificate);
  return "the certificate is not for " + host + ", but for " +
         (names.empty() ? text(X509_get_subject_name(certificate)) : listOf(names));
}

/// The words for what OpenSSL and the alerts of peers say most often; null for the rest.
const char* wordsFor(int reason) {
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
      return "the two sides have no TLS version in common";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
      return "what the peer sends is not TLS";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
      return "the two sides have no cipher in common";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return "the peer refuses the handshake: usually no cipher or certificate suits both sides";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the peer asks for a certificate of this side (local_cert)";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "the peer has shown no certificate";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the peer does not know the authority that signed this side's certificate";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      return "the peer refuses this side's certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "the peer says that this side's certificate has expired";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return "the peer says that this side's certificate is revoked";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return "the peer does not accept this side's certificate";
    case SSL_R_CALLBACK_FAILED:
      return "there is no certificate for the name that the client asks for (SNI)";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
      return "the peer has no certificate for this name (SNI)";
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
      return "the two sides have no protocol in common (ALPN)";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return "the peer has closed the connection during the TLS handshake";
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_DH_KEY_TOO_SMALL:
      return "a key is too small for this security_level";
    default:
      return nullptr;
  }
}

/// The same for files that cannot be read.
const char* wordsForFile(unsigned long error) {
  const int library = ERR_GET_LIB(error);
  const int reason = ERR_GET_REASON(error);
  if (library == ERR_LIB_PKCS12 && reason == PKCS12_R_PKCS12_CIPHERFINAL_ERROR)
    return "its passphrase is missing or wrong";
  const bool hasNone =
      (library == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE) || library == ERR_LIB_OSSL_DECODER;
  return hasNone ? "there is none in this file" : nullptr;
}

/// Empties the queue and gives the last error in it that says more than where OpenSSL has met it.
unsigned long tellingError() {
  unsigned long telling = 0;
  while (const unsigned long error = ERR_get_error()) {
    const bool isVague = !ERR_SYSTEM_ERROR(error) && (ERR_GET_REASON(error) & ERR_RFLAG_COMMON) != 0;
    // Of a file that is not there, the system's words come first.
    const bool isRepeated = ERR_SYSTEM_ERROR(telling) && ERR_GET_LIB(error) == ERR_LIB_BIO;
    if (telling == 0 || !(isVague || isRepeated)) telling = error;
  }
  return telling;
}

}  // namespace

std::string describeVerification(long fault, X509* certificate, const std::string& host) {
  switch (fault) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the certificate has expired" +
             (certificate == nullptr ? "" : " (" + dateOf(X509_get0_notAfter(certificate)) + ")");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the certificate is not valid yet" +
             (certificate == nullptr ? "" : " (before " + dateOf(X509_get0_notBefore(certificate)) + ")");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return wrongName(certificate, host);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "the certificate is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
      return "the certificate is signed by an authority that is not trusted here" +
             (certificate == nullptr ? "" : ": " + text(X509_get_issuer_name(certificate)));
    case X509_V_ERR_CERT_REVOKED:
      return "the certificate has been revoked";
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
      return "the chain of certificates is longer than verify_depth";
    default:
      return std::string("the certificate is refused: ") + X509_verify_cert_error_string(fault);
  }
}

std::string takeTlsError() {
  const unsigned long error = tellingError();
  if (error == 0) return {};
  if (ERR_SYSTEM_ERROR(error)) return std::system_category().message(ERR_GET_REASON(error));
  const char* const known =
      ERR_GET_LIB(error) == ERR_LIB_SSL ? wordsFor(ERR_GET_REASON(error)) : wordsForFile(error);
  const char* const reason = known != nullptr ? known : ERR_reason_error_string(error);
  return reason != nullptr ? reason : "OpenSSL error " + std::to_string(error);
}

std::string fingerprintOf(X509* certificate, const char* digest) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const EVP_MD* const algorithm = EVP_get_digestbyname(digest);
  if (algorithm == nullptr || X509_digest(certificate, algorithm, bytes, &size) != 1) return {};
  std::string hexadecimal;
  constexpr char kDigits[] = "0123456789abcdef";
  for (unsigned int i = 0; i < size; ++i) {
    hexadecimal += kDigits[bytes[i] >> 4];
    hexadecimal += kDigits[bytes[i] & 15];
  }
  return hexadecimal;
}

CertificateInfo describeCertificate(X509* certificate) {
  CertificateInfo info;
  info.subject = text(X509_get_subject_name(certificate));
  info.issuer = text(X509_get_issuer_name(certificate));
  info.names = namesOf(certificate);
  info.validFrom = secondsOf(X509_get0_notBefore(certificate));
  info.validTo = secondsOf(X509_get0_notAfter(certificate));
  info.fingerprint = fingerprintOf(certificate, "sha256");
  info.pem = written([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  info.serialNumber = written([&](BIO* bio) { i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate)); });
  return info;
}

}  // namespace Workerman::Connection::detail
