// TLS workers: certificates by name, clients' certificates, versions, limits, files that change.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "../support/captured_stderr.h"
#include "../support/tls_fixture.h"
#include "../support/tls_peer.h"

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnectionPtr;
using Connection::TcpConnectionPtr;

namespace {

struct Serving : TlsFixture {
  const Ticker ticker;

  std::string certificateFor(const std::string& name) {
    return certificates.issue({.commonName = name, .names = "DNS:" + name});
  }
  /// A client's journal until it has met a welcome or its end, and the subject that it was shown.
  struct Visit {
    std::string journal, error, subject, version, cipher;
  };
  Visit visit(const Worker& worker, SslOptions options) {
    Journal journal;
    const std::size_t before = worker.connections.size();
    const auto connection = connect(worker, "text", std::move(options));
    journal.record(*connection);
    connection->connect();
    runUntil([&] { return journal.has("message:") || journal.has("close"); });
    Visit result{journal.text, journal.error, "", "", ""};
    if (const auto info = connection->getSslInfo()) {
      result.subject = info->peerCertificate ? info->peerCertificate->subject : "";
      result.version = info->version;
      result.cipher = info->cipher;
    }
    connection->destroy();
    runUntil([&] { return worker.connections.size() == before; });
    return result;
  }
  std::shared_ptr<Worker> welcoming(SslOptions options) {
    auto worker = listen("text", std::move(options));
    server.record(*worker);
    worker->onConnect = [this](TcpConnectionPtr connection) {
      server.text += "connect ";
      connection->send("welcome");
    };
    return worker;
  }
};

constexpr const char* kWelcome = "connect message:welcome ";

}  // namespace

TEST_CASE_FIXTURE(Serving,
                  "tls server: the certificate for the name that a client asks for (RFC 6066 section 3)") {
  const SslOptions several{.local_cert = certificateFor("usual.test"),
                           .SNI_server_certs = {{"a.test", certificateFor("a.test")},
                                                {"*.b.test", certificateFor("*.b.test")},
                                                {"Own.b.test", certificateFor("own.b.test")}}};
  SslOptions named = several;
  named.local_cert.clear();
  SslOptions disabled = several;
  disabled.SNI_enabled = false;
  struct Case {
    SslOptions server;
    const char* asked;
    const char* shown;
  };
  const Case cases[] = {
      {several, "a.test", "CN=a.test"},         {several, "A.TEST", "CN=a.test"},
      {several, "x.b.test", "CN=*.b.test"},     {several, "own.b.test", "CN=own.b.test"},
      {several, "b.test", "CN=usual.test"},     {several, "x.y.b.test", "CN=usual.test"},
      {several, "other.test", "CN=usual.test"}, {disabled, "a.test", "CN=usual.test"},
      {named, "x.b.test", "CN=*.b.test"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.asked);
    const auto worker = welcoming(each.server);
    const Visit met = visit(*worker, {.verify_peer_name = false, .peer_name = each.asked});
    CHECK_MESSAGE(met.journal == kWelcome, met.error);
    CHECK(met.subject == each.shown);
    worker->unlisten();
  }
  const auto worker = welcoming(several);
  CHECK(visit(*worker, {.verify_peer_name = false, .peer_name = "a.test", .SNI_enabled = false}).subject ==
        "CN=usual.test");
  const auto strict = welcoming(named);
  server.text.clear();
  const Visit refused = visit(*strict, {.verify_peer_name = false, .peer_name = "other.test"});
  CHECK(refused.journal == "error:1 close ");
  CHECK_MESSAGE(refused.error.find("the peer has no certificate for this name (SNI)") != std::string::npos,
                refused.error);
  CHECK(server.text == "");
  named.SNI_enabled = false;
  CHECK_THROWS_WITH(listen("text", named), doctest::Contains("TLS: a server needs a certificate"));
}

TEST_CASE_FIXTURE(Serving, "tls server: no protocol, version or cipher in common, told to both sides") {
  struct Case {
    const char* name;
    SslOptions server, client;
    const char* words;
    const char* log;
  };
  const Case cases[] = {
      {"ALPN",
       {.alpn_protocols = "h2"},
       {.alpn_protocols = "http/1.1,x"},
       "the two sides have no protocol in common (ALPN)",
       "the two sides have no protocol in common (ALPN)"},
      {"version",
       {.crypto_method = STREAM_CRYPTO_METHOD_TLSv1_3_SERVER},
       {.crypto_method = STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT},
       "the two sides have no TLS version in common",
       "the two sides have no TLS version in common"},
      {"cipher",
       {.ciphers = "TLS_AES_256_GCM_SHA384"},
       {.ciphers = "TLS_CHACHA20_POLY1305_SHA256"},
       "the peer refuses the handshake: usually no cipher or certificate suits both sides",
       "the two sides have no cipher in common"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.name);
    server.text.clear();
    CapturedStderr log;
    const auto worker = welcoming(each.server);
    const Visit met = visit(*worker, each.client);
    CHECK(met.journal == "error:1 close ");
    CHECK_MESSAGE(met.error.find("TLS: " + std::string(each.words)) != std::string::npos, met.error);
    CHECK(runUntil([&] { return worker->connections.size() == 0; }));
    CHECK_MESSAGE(log.text().find(": " + std::string(each.log) + ";") != std::string::npos, log.text());
    CHECK(server.text == "");
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(Serving,
                  "tls server: TLS 1.2 is the floor, 1.3 preferred; crypto_method and ciphers choose") {
  const auto worker = welcoming({});
  CHECK(visit(*worker, {}).version == "TLSv1.3");
  CHECK(visit(*worker, {.crypto_method = STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT}).version == "TLSv1.2");
  TlsPeer old(connectRaw(worker->getListenPort()), "", TLS1_1_VERSION);
  SSL_set_security_level(old.ssl, 0);
  std::string error;
  CHECK(runUntil([&] { return !error.empty() || (old.handshake(), error = old.error, !error.empty()); }));
  CHECK(error == "tlsv1 alert protocol version");
  const auto choosy = welcoming({.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_256_GCM_SHA384"});
  CHECK(visit(*choosy, {}).cipher == "TLS_AES_256_GCM_SHA384");
  CHECK(visit(*choosy, {.crypto_method = STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT}).cipher ==
        "ECDHE-ECDSA-CHACHA20-POLY1305");
}

TEST_CASE_FIXTURE(Serving, "tls server: clients' certificates") {
  const Identity known({.commonName = "client", .names = ""}, &certificates.authority),
      stranger({.commonName = "nobody"});
  const std::string knownFile = certificates.write("known.pem", known.certificatePem() + known.keyPem());
  const std::string strangerFile =
      certificates.write("stranger.pem", stranger.certificatePem() + stranger.keyPem());
  const SslOptions required{.verify_peer = true, .cafile = certificates.cafile};
  struct Case {
    const char* name;
    SslOptions server;
    std::string clientFile;
    std::string words;  ///< empty: welcome
    const char* log;
  };
  const Case cases[] = {
      {"required and shown", required, knownFile, "", ""},
      {"not asked for", {}, knownFile, "", ""},
      {"required and missing", required, "", "the peer asks for a certificate of this side (local_cert)",
       "the peer has shown no certificate"},
      {"of an unknown authority", required, strangerFile, "self", "the certificate is self-signed"},
      {"self-signed, allowed",
       {.allow_self_signed = true, .verify_peer = true, .cafile = certificates.cafile},
       strangerFile,
       "",
       ""},
      {"fingerprint", {.peer_fingerprint = stranger.fingerprint()}, strangerFile, "", ""},
      {"another fingerprint",
       {.peer_fingerprint = known.fingerprint()},
       strangerFile,
       "end",
       "the certificate's sha256 fingerprint is "},
      {"a name",
       {.verify_peer = true, .verify_peer_name = true, .cafile = certificates.cafile, .peer_name = "client"},
       knownFile,
       "",
       ""},
      {"another name",
       {.verify_peer = true, .verify_peer_name = true, .cafile = certificates.cafile, .peer_name = "boss"},
       knownFile,
       "end",
       "the certificate is not for boss, but for CN=client"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.name);
    server.text.clear();
    CapturedStderr log;
    const auto worker = welcoming(each.server);
    std::string subject;
    worker->onConnect = [&](TcpConnectionPtr connection) {
      server.text += "connect ";
      const auto info = connection->getSslInfo();
      subject = info && info->peerCertificate ? info->peerCertificate->subject : "";
      connection->send("welcome");
    };
    const Visit met = visit(*worker, {.local_cert = each.clientFile});
    if (each.words.empty()) {
      CHECK_MESSAGE(met.journal == kWelcome, met.error);
      CHECK((subject.empty() == (each.server.verify_peer != true && each.server.peer_fingerprint.empty())));
    } else {
      // TLS 1.3: the client is done before its certificate is looked at.
      CHECK_MESSAGE(met.journal.find("connect ") == 0, met.journal);
      CHECK(met.journal.find("message") == std::string::npos);
      if (each.words.size() > 4) CHECK_MESSAGE(met.error == "TLS: " + each.words, met.error);
      CHECK_MESSAGE(log.text().find(each.log) != std::string::npos, log.text());
      CHECK(runUntil([&] { return worker->connections.size() == 0; }));
      CHECK(server.text == "");
    }
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(
    Serving,
    "tls server: keys with a passphrase, and what cannot be used is one clear error that names the file") {
  const Identity one({}, &certificates.authority), other({}, &certificates.authority),
      rsa({.rsaBits = 2048}, &certificates.authority);
  const auto write = [&](const char* name, const std::string& contents) {
    return certificates.write(name, contents);
  };
  const std::string certificate = write("one.pem", one.certificatePem());
  const std::string locked = write("locked.pem", one.keyPem("open sesame"));
  const auto worker = welcoming({.local_cert = certificate, .local_pk = locked, .passphrase = "open sesame"});
  CHECK(visit(*worker, {}).journal == kWelcome);
  struct Case {
    SslOptions options;
    std::string words;
  };
  const std::string folder = certificates.folder();
  const Case cases[] = {
      {{.local_cert = certificate, .local_pk = locked, .passphrase = "wrong"},
       "cannot read the private key " + locked + ": its passphrase is missing or wrong"},
      {{.local_cert = certificate, .local_pk = locked},
       "cannot read the private key " + locked + ": its passphrase is missing or wrong"},
      {{.local_cert = certificate},
       "cannot read the private key " + certificate + ": there is none in this file"},
      {{.local_cert = folder + "/none.pem"},
       "cannot read the certificate " + folder + "/none.pem: No such file or directory"},
      {{.local_cert = certificate, .local_pk = folder + "/none.key"},
       "cannot read the private key " + folder + "/none.key: No such file"},
      {{.local_cert = write("empty.pem", "")},
       "cannot read the certificate " + folder + "/empty.pem: there is none in this file"},
      {{.local_cert = certificate, .local_pk = write("other.key", other.keyPem())},
       "the key " + folder + "/other.key does not fit " + certificate},
      {{.local_cert = certificate, .local_pk = write("rsa.key", rsa.keyPem())},
       "the key " + folder + "/rsa.key does not fit " + certificate},
      {{.local_cert = certificates.issue(), .verify_peer = true, .cafile = folder + "/none.ca"},
       "cannot read cafile " + folder + "/none.ca"},
      {{.local_cert = certificates.issue(), .verify_peer = true, .capath = folder + "/none"},
       "capath " + folder + "/none is no directory"},
      {{.local_cert = certificates.issue(), .ciphers = "NONSENSE"}, "ciphers 'NONSENSE'"},
      {{.local_cert = certificates.issue(), .crypto_method = 0}, "crypto_method names no version"},
      {{.local_cert = certificates.issue(), .SNI_server_certs = {{"a.test", folder + "/a.pem"}}},
       "cannot read the certificate " + folder + "/a.pem"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.words);
    CHECK_THROWS_WITH_AS(listen("text", each.options), doctest::Contains(("TLS: " + each.words).c_str()),
                         std::runtime_error);
    if (!each.options.SNI_server_certs.empty()) continue;
    SslOptions options = each.options;
    options.verify_peer = true;
    CHECK_THROWS_WITH_AS(connect(*worker, "text", options)->connect(),
                         doctest::Contains(("TLS: " + each.words).c_str()), std::runtime_error);
  }
  CHECK_THROWS_WITH(listen("udp"), doctest::Contains("TLS is spoken in streams, not in datagrams (udp)"));
}

TEST_CASE_FIXTURE(Serving, "tls server: a plain HTTP request gets an answer that says what is wrong") {
  CapturedStderr log;
  const auto worker = welcoming({});
  RawSocket peer = connectRaw(worker->getListenPort());
  peer.send("GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
  std::string answer;
  CHECK(runUntil([&] { return answer += peer.receiveAll(), peer.isAtEnd(); }));
  CHECK(answer.find("HTTP/1.1 400 Bad Request\r\n") == 0);
  const std::size_t body = answer.find("\r\n\r\n") + 4;
  CHECK(answer.substr(body) == "This port speaks TLS, and the request came without (https://).\n");
  CHECK(answer.find("Content-Length: " + std::to_string(answer.size() - body) + "\r\n") != std::string::npos);
  peer.close();
  CHECK(runUntil([&] { return worker->connections.size() == 0; }));
  CHECK(server.text == "");
  CHECK(log.text().find(": a request without TLS;") != std::string::npos);
}

TEST_CASE_FIXTURE(
    Serving,
    "tls server: handshakes count for maxConnections and end with handshakeTimeout, one line in the log") {
  CapturedStderr log;
  const auto worker = welcoming({});
  worker->maxConnections = 3;
  worker->handshakeTimeout = 0.2;
  std::vector<RawSocket> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(connectRaw(worker->getListenPort()));
  silent[1].send("\x16\x03\x01\x02");
  CHECK(runUntil([&] { return worker->connections.size() == 3; }));
  RawSocket fourth = connectRaw(worker->getListenPort());
  CHECK(runUntil([&] { return fourth.receive(), fourth.isAtEnd(); }));
  CHECK(worker->refusedConnections == 1);
  for (RawSocket& each : silent) CHECK(runUntil([&] { return each.receive(), each.isAtEnd(); }));
  for (RawSocket& each : silent) each.close();
  CHECK(runUntil([&] { return worker->connections.size() == 0; }));
  CHECK(server.text == "");
  const std::string words = "no TLS with 127.0.0.1:";
  const std::string text = log.text();
  const std::size_t first = text.find(words);
  REQUIRE(first != std::string::npos);
  CHECK(text.find(": not done within handshakeTimeout;", first) != std::string::npos);
  CHECK(text.find(words, first + 1) == std::string::npos);
  CHECK(visit(*worker, {}).journal == kWelcome);
}

TEST_CASE_FIXTURE(Serving,
                  "tls server: reloadCertificates() is for new connections, the old ones go on; broken files "
                  "change nothing") {
  const std::string file = certificates.folder() + "/current.pem";
  const auto renew = [&](const std::string& name) {
    const Identity identity({.commonName = name}, &certificates.authority);
    certificates.write("current.pem", identity.certificatePem() + identity.keyPem());
  };
  renew("first");
  const auto worker = welcoming({.local_cert = file});
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) { connection->send(data); };
  const auto old = connect(*worker, "text");
  client.record(*old);
  old->connect();
  CHECK(runUntil([&] { return client.has("welcome"); }));
  renew("second");
  CHECK(visit(*worker, {}).subject == "CN=first");
  worker->reloadCertificates();
  CHECK(visit(*worker, {}).subject == "CN=second");
  certificates.write("current.pem", "half of a certif");
  CHECK_THROWS_WITH_AS(worker->reloadCertificates(),
                       doctest::Contains(("cannot read the certificate " + file).c_str()),
                       std::runtime_error);
  CHECK(visit(*worker, {}).subject == "CN=second");
  old->send("still here");
  CHECK(runUntil([&] { return client.has("message:still here"); }));
  CHECK(old->getSslInfo()->peerCertificate->subject == "CN=first");
}

TEST_CASE_FIXTURE(Serving,
                  "tls server: over a unix socket, where the client has to say which name it expects") {
  const std::string address = "unix://" + certificates.folder() + "/tls.sock";
  const auto worker =
      std::make_shared<Worker>(address, SocketContext{.ssl = {.local_cert = certificates.issue()}});
  worker->transport = "ssl";
  worker->listen();
  worker->onConnect = [](TcpConnectionPtr connection) { connection->send("welcome"); };
  const auto dial = [&](const std::string& name) {
    const SslOptions options{.cafile = certificates.cafile, .peer_name = name};
    auto connection =
        std::make_shared<Connection::AsyncTcpConnection>(address, SocketContext{.ssl = options});
    connection->transport = "ssl";
    return connection;
  };
  CHECK_THROWS_WITH(dial("")->connect(), doctest::Contains("peer_name"));
  const auto connection = dial("localhost");
  client.record(*connection);
  connection->connect();
  CHECK(runUntil([&] { return client.has("message:welcome"); }));
  CHECK(connection->getSslInfo()->serverName == "localhost");
  const auto wrong = dial("other.test");
  server.record(*wrong);
  wrong->connect();
  CHECK(runUntil([&] { return server.has("close"); }));
  CHECK(server.text == "error:1 close ");
  CHECK(server.error.find("the certificate is not for other.test") != std::string::npos);
}
