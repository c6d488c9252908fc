#pragma once

/// Certificates made on the fly, in files of a folder that goes with the test.

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <doctest/doctest.h>

#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace testing {

struct CertificateOptions {
  /// The common name, and what follows "DNS:" and "IP:" in the subjectAltName.
  std::string commonName = "localhost";
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  /// Days from now.
  double validFrom = -1;
  double validTo = 30;
  bool isAuthority = false;
  /// Bits of an RSA key; 0: a P-256 one, which is made in no time.
  int rsaBits = 0;
};

/// A key and a certificate.
class Identity {
 public:
  /// Signed by `issuer`; null: by itself.
  explicit Identity(const CertificateOptions& options, const Identity* issuer = nullptr)
      : key_(options.rsaBits == 0 ? EVP_EC_gen("P-256") : EVP_RSA_gen(static_cast<unsigned>(options.rsaBits)),
             EVP_PKEY_free),
        certificate_(X509_new(), X509_free) {
    REQUIRE(key_);
    X509* const raw = certificate_.get();
    static long serial = 1000;
    X509_set_version(raw, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(raw), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(raw), static_cast<long>(options.validFrom * 86400));
    X509_gmtime_adj(X509_getm_notAfter(raw), static_cast<long>(options.validTo * 86400));
    X509_set_pubkey(raw, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.commonName.c_str()), -1, -1, 0);
    const Identity& signer = issuer != nullptr ? *issuer : *this;
    X509_set_issuer_name(raw, X509_get_subject_name(signer.certificate_.get()));
    extend(NID_basic_constraints, options.isAuthority ? "critical,CA:TRUE" : "CA:FALSE", signer);
    if (options.isAuthority) extend(NID_key_usage, "critical,keyCertSign,cRLSign", signer);
    extend(NID_subject_key_identifier, "hash", signer);
    if (!options.names.empty()) extend(NID_subject_alt_name, options.names, signer);
    REQUIRE(X509_sign(raw, signer.key_.get(), EVP_sha256()) > 0);
  }

  std::string certificatePem() const {
    return pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate_.get()); });
  }
  /// Encrypted unless `passphrase` is empty.
  std::string keyPem(const std::string& passphrase = "") const {
    return pem([&](BIO* bio) {
      return PEM_write_bio_PKCS8PrivateKey(bio, key_.get(), passphrase.empty() ? nullptr : EVP_aes_256_cbc(),
                                           passphrase.data(), static_cast<int>(passphrase.size()), nullptr,
                                           nullptr);
    });
  }
  /// A list that revokes `revoked`, signed by this authority.
  std::string revocationPem(const Identity& revoked) const {
    const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(list.get(), 1);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> now(ASN1_TIME_new(), ASN1_TIME_free);
    X509_gmtime_adj(now.get(), -60);
    X509_CRL_set1_lastUpdate(list.get(), now.get());
    X509_REVOKED* const entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked.certificate_.get()));
    X509_REVOKED_set_revocationDate(entry, now.get());
    X509_CRL_add0_revoked(list.get(), entry);
    X509_gmtime_adj(now.get(), 86400);
    X509_CRL_set1_nextUpdate(list.get(), now.get());
    REQUIRE(X509_CRL_sign(list.get(), key_.get(), EVP_sha256()) > 0);
    return pem([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, list.get()); });
  }
  /// What a file is called after in a folder for `capath`.
  unsigned long nameHash() const { return X509_subject_name_hash(certificate_.get()); }
  /// Hexadecimal, lower case.
  std::string fingerprint(const EVP_MD* digest = EVP_sha256()) const {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    REQUIRE(X509_digest(certificate_.get(), digest, bytes, &size) == 1);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      char pair[3];
      std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
      text += pair;
    }
    return text;
  }

 private:
  template <class Write>
  static std::string pem(Write&& write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    REQUIRE(write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }
  void extend(int kind, const std::string& value, const Identity& signer) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, signer.certificate_.get(), certificate_.get(), nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    REQUIRE(extension != nullptr);
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

/// An authority and the files of what it has signed.
class Certificates {
  TemporaryFolder folder_;
  int number_ = 0;

 public:
  const Identity authority{{.commonName = "Test Authority", .names = "", .isAuthority = true}};
  /// The authority's certificate: for `cafile`.
  const std::string cafile = write("ca.pem", authority.certificatePem());

  /// A certificate of that authority with its key in one file: for `local_cert`.
  std::string issue(const CertificateOptions& options = {}) {
    const Identity identity(options, &authority);
    return write(fresh(), identity.certificatePem() + identity.keyPem());
  }
  /// One that nobody else has signed.
  std::string selfSigned(const CertificateOptions& options = {}) {
    const Identity identity(options);
    return write(fresh(), identity.certificatePem() + identity.keyPem());
  }
  std::string write(const std::string& name, const std::string& contents) const {
    const std::string path = folder_.path + "/" + name;
    std::FILE* const file = std::fopen(path.c_str(), "w");
    REQUIRE(file != nullptr);
    CHECK(std::fwrite(contents.data(), 1, contents.size(), file) == contents.size());
    std::fclose(file);
    return path;
  }
  const std::string& folder() const { return folder_.path; }

 private:
  std::string fresh() { return std::to_string(++number_) + ".pem"; }
};

}  // namespace testing
