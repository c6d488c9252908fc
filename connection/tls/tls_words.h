#pragma once

/// What OpenSSL has to say, in words (internal).

#include <openssl/types.h>

#include <string>

#include "../ssl_info.h"

namespace Workerman::Connection::detail {

/// What is wrong with a certificate, as a sentence without a stop: `fault` is
/// one of X509_V_ERR_*, `host` who was to be spoken to; empty for a server.
std::string describeVerification(long fault, X509* certificate, const std::string& host);
/// What is in OpenSSL's error queue, which is empty then.
std::string takeTlsError();

CertificateInfo describeCertificate(X509* certificate);
/// Hexadecimal, lower case; empty for a digest that OpenSSL does not know.
std::string fingerprintOf(X509* certificate, const char* digest);

}  // namespace Workerman::Connection::detail
