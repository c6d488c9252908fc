#include "connection/tls/tls_stream.h"

#include <sys/uio.h>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "connection/tls/tls_io.h"
#include "connection/tls/tls_words.h"
#include "support/tls_ends.h"

using namespace testing;
using Workerman::Connection::detail::TlsIo;
using Workerman::Connection::detail::TlsStream;
using Outcome = TlsStream::Outcome;

namespace {

/// The lengths of the records.
std::vector<std::size_t> recordsOf(std::string_view bytes) {
  std::vector<std::size_t> lengths;
  while (bytes.size() >= 5) {
    const auto at = [&](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
    };
    lengths.push_back(at(3) << 8 | at(4));
    bytes.remove_prefix(std::min(bytes.size(), 5 + lengths.back()));
  }
  return lengths;
}

}  // namespace

TEST_CASE("tls stream: a handshake and text, whole and in pieces of every size") {
  for (const std::size_t size : {1u, 2u, 3u, 5u, 6u, 7u, 64u, 1000u, 100'000u}) {
    CAPTURE(size);
    Ends ends;
    ends.open(size);
    CHECK(ends.client.write("question", 100) == 8);
    CHECK(Ends::received(ends.server, takeOutput(), size) == "question");
    CHECK(ends.server.write("answer", 100) == 6);
    CHECK(Ends::received(ends.client, takeOutput(), size) == "answer");
  }
}

TEST_CASE("tls stream: text that finds too little room is given piece by piece, and nothing is lost") {
  Ends ends;
  ends.open();
  std::string text;
  for (int i = 0; text.size() < 50'000; ++i) text += std::to_string(i) + " ";
  REQUIRE(ends.client.write(text, text.size()) == text.size());
  const std::string bytes = takeOutput();
  for (const std::size_t room : {1000u, 16383u, 16384u, 16385u, 50'000u}) {
    CAPTURE(room);
    Ends other;
    other.open();
    REQUIRE(other.client.write(text, text.size()) == text.size());
    CHECK(Ends::received(other.server, takeOutput(), 1 << 20, room) == text);
  }
  CHECK(Ends::received(ends.server, bytes, 1 << 20, 7) == text);
}

TEST_CASE("tls stream: pieces fill records of 16 KiB (RFC 8446 section 5.1), up to a limit") {
  struct Case {
    std::vector<std::size_t> pieces;
    std::size_t limit;
    std::size_t taken;
    std::vector<std::size_t> texts;
  };
  constexpr std::size_t kFull = TlsIo::kRecord;
  const Case cases[] = {
      {{10, 20, 30}, 1000, 60, {60}},
      {{10, kFull}, 1 << 20, kFull + 10, {kFull, 10}},
      {{10, 3 * kFull, 5}, 1 << 20, 3 * kFull + 15, {kFull, kFull, kFull, 15}},
      {{2 * kFull}, 1 << 20, 2 * kFull, {kFull, kFull}},
      {{3 * kFull}, 2 * kFull, 2 * kFull, {kFull, kFull}},
      {{0, 0}, 1000, 0, {}},
  };
  for (const Case& each : cases) {
    CAPTURE(each.taken);
    Ends ends;
    ends.open();
    std::string all;
    std::vector<std::string> texts;
    for (const std::size_t size : each.pieces)
      texts.emplace_back(size, static_cast<char>('a' + texts.size()));
    std::vector<iovec> pieces;
    for (std::string& text : texts) {
      pieces.push_back({text.data(), text.size()});
      all += text;
    }
    CHECK(ends.client.write(pieces.data(), static_cast<int>(pieces.size()), each.limit) == each.taken);
    const std::string bytes = takeOutput();
    // A record of TLS 1.3 has one byte for its type and 16 for its tag.
    std::vector<std::size_t> lengths = recordsOf(bytes);
    for (std::size_t& length : lengths) length -= 17;
    CHECK(lengths == each.texts);
    CHECK(Ends::received(ends.server, bytes, 1 << 20) == all.substr(0, each.taken));
  }
}

TEST_CASE("tls stream: the end of each direction is told once, and the other goes on") {
  Ends ends;
  ends.open();
  CHECK(ends.client.write("last", 100) == 4);
  CHECK(ends.client.endOutput());
  CHECK_FALSE(ends.client.endOutput());
  auto last = Outcome::Done;
  CHECK(Ends::received(ends.server, takeOutput(), 1 << 20, 1 << 16, &last) == "last");
  CHECK(last == Outcome::Ended);
  CHECK(ends.server.hasEnded());
  CHECK(ends.server.write("still here", 100) == 10);
  CHECK(Ends::received(ends.client, takeOutput(), 1 << 20) == "still here");
}

TEST_CASE("tls stream: a record that was changed on its way fails, with an alert for the peer") {
  Ends ends;
  ends.open();
  CHECK(ends.client.write("text", 100) == 4);
  std::string bytes = takeOutput();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  auto last = Outcome::Done;
  CHECK(Ends::received(ends.server, bytes, 1 << 20, 1 << 16, &last) == "");
  CHECK(last == Outcome::Failed);
  CHECK(ends.server.failure() != "");
  CHECK_FALSE(ends.server.endOutput());
  const std::string alert = takeOutput();
  REQUIRE_FALSE(alert.empty());
  CHECK(Ends::received(ends.client, alert, 1 << 20, 1 << 16, &last) == "");
  CHECK(last == Outcome::Failed);
}

TEST_CASE("tls stream: what another has left in OpenSSL's error queue is not taken for a failure") {
  Ends ends;
  ends.open();
  CHECK(ends.client.write("text", 100) == 4);
  const std::string bytes = takeOutput();
  CHECK(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, nullptr, 1) == nullptr);
  auto last = Outcome::Done;
  CHECK(Ends::received(ends.server, bytes.substr(0, 10), 1 << 20, 1 << 16, &last) == "");
  CHECK(last == Outcome::NeedsInput);
  CHECK(Ends::received(ends.server, bytes.substr(10), 1 << 20, 1 << 16, &last) == "text");
  CHECK(ends.client.endOutput());
  CHECK(Ends::received(ends.server, takeOutput(), 1 << 20, 1 << 16, &last) == "");
  CHECK(last == Outcome::Ended);
}

TEST_CASE("tls words: a certificate's names, dates and digests") {
  using namespace Workerman::Connection::detail;
  const Identity authority({.commonName = "An Authority", .names = "", .isAuthority = true});
  const Identity identity(
      {.commonName = "example.test", .names = "DNS:example.test,DNS:*.example.test,IP:10.0.0.1"}, &authority);
  const std::string pem = identity.certificatePem();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  REQUIRE(certificate);
  const auto info = describeCertificate(certificate.get());
  CHECK(info.subject == "CN=example.test");
  CHECK(info.issuer == "CN=An Authority");
  CHECK(info.names == std::vector<std::string>{"example.test", "*.example.test", "10.0.0.1"});
  CHECK(info.validTo - info.validFrom == 31 * 86400);
  CHECK(info.fingerprint == identity.fingerprint());
  CHECK(info.pem == pem);
  CHECK(fingerprintOf(certificate.get(), "sha1") == identity.fingerprint(EVP_sha1()));
  CHECK(fingerprintOf(certificate.get(), "no such digest") == "");
  CHECK(describeVerification(X509_V_ERR_HOSTNAME_MISMATCH, certificate.get(), "a.test") ==
        "the certificate is not for a.test, but for example.test, *.example.test, 10.0.0.1");
  CHECK(describeVerification(X509_V_ERR_CERT_REVOKED, nullptr, "a.test") ==
        "the certificate has been revoked");
}
