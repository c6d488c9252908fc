// TLS between our own two ends.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "../support/tls_fixture.h"

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnection;
using Connection::AsyncTcpConnectionPtr;
using Connection::TcpConnection;
using Connection::TcpConnectionPtr;

TEST_CASE_FIXTURE(TlsFixture, "tls: raw bytes, lines, frames and websockets over it") {
  for (const std::string scheme : {"tcp", "text", "frame"}) {
    CAPTURE(scheme);
    Journal answers;
    const auto worker = listen(scheme);
    worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) {
      connection->send("you said " + std::string(data));
    };
    const auto connection = connect(*worker, scheme);
    answers.record(*connection);
    connection->onConnect = [](auto self) { self->send("hello"); };
    connection->connect();
    CHECK(runUntil([&] { return answers.has("message:"); }));
    CHECK(answers.text == "message:you said hello ");
    connection->close();
    worker->unlisten();
  }
  const auto worker = listen("websocket");
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) { connection->send(data); };
  const auto connection = connect(*worker, "wss");
  client.record(*connection);
  connection->onWebSocketConnect = [](auto self, const auto&) { self->send(std::string(100'000, 'x')); };
  connection->connect();
  CHECK(runUntil([&] { return client.has("message:"); }));
  CHECK(client.text == "connect message:" + std::string(100'000, 'x') + " ");
}

TEST_CASE_FIXTURE(TlsFixture, "tls: both ends know what was agreed on") {
  const auto worker = listen("text", {.alpn_protocols = "lines, other"});
  std::string seen;
  worker->onConnect = [&](TcpConnectionPtr connection) {
    const auto info = connection->getSslInfo();
    REQUIRE(info);
    seen = info->version + " " + info->serverName + " " + info->alpnProtocol;
    CHECK_FALSE(info->peerCertificate);
    CHECK(connection->transport == "ssl");
  };
  const auto connection = connect(*worker, "text", {.alpn_protocols = "none,lines"});
  CHECK_FALSE(connection->getSslInfo());
  client.record(*connection);
  connection->connect();
  CHECK(runUntil([&] { return client.has("connect") && !seen.empty(); }));
  CHECK(seen == "TLSv1.3 localhost lines");
  const auto info = connection->getSslInfo();
  REQUIRE(info);
  CHECK(info->version == "TLSv1.3");
  CHECK(info->cipher == "TLS_AES_128_GCM_SHA256");
  REQUIRE(info->peerCertificate);
  CHECK(info->peerCertificate->subject == "CN=localhost");
  CHECK(info->peerCertificate->issuer == "CN=Test Authority");
  CHECK(info->peerCertificate->names == std::vector<std::string>{"localhost", "127.0.0.1", "::1"});
  CHECK(info->peerCertificate->fingerprint.size() == 64);
}

TEST_CASE_FIXTURE(TlsFixture, "tls: what a client refuses, in words") {
  struct Case {
    const char* name;
    CertificateOptions certificate;
    bool isSelfSigned;
    SslOptions options;
    std::string host;
    const char* words;
  };
  const Case cases[] = {
      {"expired", {.validTo = -0.5}, false, {}, "localhost", "the certificate has expired ("},
      {"not yet valid",
       {.validFrom = 1},
       false,
       {},
       "localhost",
       "the certificate is not valid yet (before "},
      {"other host",
       {.names = "DNS:a.test,DNS:b.test"},
       false,
       {},
       "localhost",
       "the certificate is not for localhost, but for a.test, b.test"},
      {"other address",
       {.names = "DNS:localhost"},
       false,
       {},
       "127.0.0.1",
       "the certificate is not for 127.0.0.1, but for localhost"},
      {"self-signed", {}, true, {}, "localhost", "the certificate is self-signed"},
      {"unknown authority",
       {},
       false,
       {.cafile = "/etc/ssl/certs/ca-certificates.crt"},
       "localhost",
       "the certificate is signed by an authority that is not trusted here: CN=Test Authority"},
      {"fingerprint",
       {},
       false,
       {.peer_fingerprint = std::string(40, 'a')},
       "localhost",
       "the certificate's sha1 fingerprint is "},
      {"name, though nothing else is verified",
       {.names = "DNS:a.test"},
       true,
       {.verify_peer = false},
       "localhost",
       "the certificate is not for localhost, but for a.test"},
      {"peer_name",
       {},
       false,
       {.peer_name = "other.test"},
       "localhost",
       "the certificate is not for other.test, but for localhost, 127.0.0.1, ::1"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.name);
    Journal journal;
    const auto worker =
        listen("text", {.local_cert = test.isSelfSigned ? certificates.selfSigned(test.certificate)
                                                        : certificates.issue(test.certificate)});
    server.record(*worker);
    const auto connection = connect(*worker, "text", test.options, test.host);
    journal.record(*connection);
    connection->connect();
    CHECK(runUntil([&] { return journal.has("close"); }));
    CHECK(journal.text == "error:1 close ");
    CHECK_MESSAGE(journal.error.find(": TLS: " + std::string(test.words)) != std::string::npos,
                  journal.error);
    // What is checked once the handshake is done ends it as well.
    CHECK((server.text == "" || server.text == "connect close "));
    server.text.clear();
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(TlsFixture, "tls: what a client accepts") {
  const Identity own({});
  const std::string ownFile = certificates.write("own.pem", own.certificatePem() + own.keyPem());
  struct Case {
    const char* name;
    std::string certificate;
    SslOptions options;
    std::string host;
  };
  const Case cases[] = {
      {"the authority's", certificates.issue(), {}, "localhost"},
      {"for an address", certificates.issue(), {}, "127.0.0.1"},
      {"self-signed, allowed", ownFile, {.allow_self_signed = true}, "localhost"},
      {"self-signed, trusted itself", ownFile, {.cafile = ownFile}, "localhost"},
      {"nothing verified",
       certificates.selfSigned({.names = "DNS:a.test"}),
       {.verify_peer = false, .verify_peer_name = false},
       "localhost"},
      {"wildcard",
       certificates.issue({.names = "DNS:*.example.test"}),
       {.peer_name = "a.example.test"},
       "127.0.0.1"},
      {"fingerprint",
       ownFile,
       {.verify_peer = false,
        .peer_fingerprint = {{"sha256", own.fingerprint()}, {"sha1", own.fingerprint(EVP_sha1())}}},
       "localhost"},
      {"only TLS 1.2",
       certificates.issue(),
       {.crypto_method = STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT},
       "localhost"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.name);
    Journal journal;
    const auto worker = listen("text", {.local_cert = test.certificate});
    worker->onConnect = [](TcpConnectionPtr connection) { connection->send("welcome"); };
    const auto connection = connect(*worker, "text", test.options, test.host);
    journal.record(*connection);
    connection->connect();
    CHECK(runUntil([&] { return journal.has("message:welcome") || journal.has("error"); }));
    CHECK_MESSAGE(journal.text == "connect message:welcome ", journal.error);
    connection->close();
    worker->unlisten();
  }
}
