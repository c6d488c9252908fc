// TLS clients: sessions that go on, reconnecting, time limits, proxies, what is trusted.

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "../support/captured_stderr.h"
#include "../support/tls_fixture.h"
#include "../support/tls_peer.h"

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnection;
using Connection::AsyncTcpConnectionPtr;
using Connection::TcpConnection;
using Connection::TcpConnectionPtr;

namespace {

struct Calling : TlsFixture {
  const Ticker ticker;

  /// Says "welcome", and all that it hears.
  std::shared_ptr<Worker> echo(SslOptions options = {}) {
    auto worker = listen("text", std::move(options));
    worker->onConnect = [](TcpConnectionPtr connection) { connection->send("welcome"); };
    worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) { connection->send(data); };
    return worker;
  }
  /// Connects, waits for the welcome and closes. Whether an earlier session went on.
  bool resumes(const AsyncTcpConnectionPtr& connection) {
    Journal journal;
    journal.record(*connection);
    connection->connect();
    CHECK(runUntil([&] { return journal.has("message:welcome") || journal.has("close"); }));
    CHECK_MESSAGE(journal.text == "connect message:welcome ", journal.error);
    const auto info = connection->getSslInfo();
    const bool isResumed = info && info->isResumed;
    if (info) CHECK(info->peerCertificate);
    connection->close();
    CHECK(runUntil([&] { return journal.has("close"); }));
    return isResumed;
  }
  /// What connecting ends with; empty: a welcome.
  std::string refusal(const Worker& worker, SslOptions options) {
    Journal journal;
    const auto connection = connect(worker, "text", std::move(options));
    journal.record(*connection);
    connection->connect();
    CHECK(runUntil([&] { return journal.has("message:welcome") || journal.has("close"); }));
    connection->destroy();
    const std::size_t words = journal.error.find("TLS: ");
    return words == std::string::npos ? journal.error : journal.error.substr(words + 5);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Calling, "tls client: a session goes on with the same server and options, and only there") {
  for (const int version : {STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT, STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT}) {
    CAPTURE(version);
    const auto worker = echo();
    const auto other = echo();
    const SslOptions options{.crypto_method = version};
    CHECK_FALSE(resumes(connect(*worker, "text", options)));
    CHECK(resumes(connect(*worker, "text", options)));
    // Another port, host, name to expect, or other demands.
    CHECK_FALSE(resumes(connect(*other, "text", options)));
    CHECK_FALSE(resumes(connect(*worker, "text", options, "127.0.0.1")));
    SslOptions named = options;
    named.peer_name = "localhost";
    CHECK_FALSE(resumes(connect(*worker, "text", named)));
    SslOptions strict = options;
    strict.verify_depth = 3;
    CHECK_FALSE(resumes(connect(*worker, "text", strict)));
    CHECK(resumes(connect(*worker, "text", options)));
    // The server has new keys: a whole handshake.
    worker->reloadCertificates();
    CHECK_FALSE(resumes(connect(*worker, "text", options)));
    CHECK(resumes(connect(*worker, "text", options)));
  }
}

TEST_CASE_FIXTURE(Calling, "tls client: reConnect() goes on with the session") {
  const auto worker = echo();
  const auto connection = connect(*worker, "text");
  std::vector<bool> resumed;
  connection->onMessage = [&](AsyncTcpConnectionPtr self, std::string_view) {
    resumed.push_back(self->getSslInfo()->isResumed);
    self->close();
  };
  connection->onClose = [&](AsyncTcpConnectionPtr self) {
    CHECK(self->getSslInfo());
    if (resumed.size() < 3) self->reConnect();
  };
  connection->connect();
  CHECK(runUntil(
      [&] { return resumed.size() == 3 && connection->getStatus() == TcpConnection::STATUS_CLOSED; }));
  CHECK(resumed == std::vector<bool>{false, true, true});
}

TEST_CASE_FIXTURE(
    Calling, "tls client: reConnect() after a failed handshake keeps callbacks and what was sent before") {
  const auto worker = echo();
  const std::string file =
      certificates.write("trusted.pem", Identity({.isAuthority = true}).certificatePem());
  const auto connection = connect(*worker, "text", {.cafile = file});
  client.record(*connection);
  connection->onError = [&](AsyncTcpConnectionPtr self, int code, std::string_view) {
    client.text += "error:" + std::to_string(code) + " ";
    certificates.write("trusted.pem", certificates.authority.certificatePem());
    self->reConnect();
  };
  connection->send("early");
  connection->connect();
  connection->send("too");
  CHECK(runUntil([&] { return client.has("message:too"); }));
  CHECK_MESSAGE(client.text.find("error:1 connect message:welcome message:early message:too ") == 0,
                client.text);
  connection->close();
}

TEST_CASE_FIXTURE(Calling, "tls client: what onClose sends after reConnect() is for the next connection") {
  const auto worker = echo();
  const auto connection = connect(*worker, "text");
  client.record(*connection);
  int closed = 0;
  connection->onClose = [&](AsyncTcpConnectionPtr self) {
    if (++closed > 1) return;
    self->reConnect();
    self->send("again");
    CHECK(self->getSendBufferQueueSize() == 6);
  };
  connection->connect();
  CHECK(runUntil([&] { return client.has("welcome"); }));
  connection->send("lost?");
  connection->destroy();
  CHECK(runUntil([&] { return client.has("message:again"); }));
  connection->close();
}

TEST_CASE_FIXTURE(
    Calling, "tls client: connectTimeout names the handshake; a reset or an end during it is told as well") {
  RawListener listener;
  const auto connection = connect(listener.port(), "text");
  const auto fails = [&] {
    client.text.clear();
    client.record(*connection);
    connection->connect();
    RawSocket peer;
    std::string hello;
    CHECK(runUntil([&] { return listener.acceptInto(peer) && !(hello += peer.receive()).empty(); }));
    return peer;
  };
  SUBCASE("silence") {
    connection->connectTimeout = 0.5;
    const RawSocket peer = fails();
    CHECK(runUntil([&] { return client.has("close"); }));
    CHECK_MESSAGE(client.error.find("timed out while waiting for the TLS handshake") != std::string::npos,
                  client.error);
  }
  SUBCASE("a reset") {
    RawSocket peer = fails();
    peer.reset();
    CHECK(runUntil([&] { return client.has("close"); }));
    CHECK_MESSAGE(client.error.find("TLS: Connection reset by peer") != std::string::npos, client.error);
  }
  SUBCASE("an end") {
    RawSocket peer = fails();
    peer.close();
    CHECK(runUntil([&] { return client.has("close"); }));
    CHECK_MESSAGE(client.error.find("TLS: the peer has closed the connection during the TLS handshake") !=
                      std::string::npos,
                  client.error);
  }
  CHECK(client.text == "error:1 close ");
}

TEST_CASE_FIXTURE(Calling, "tls client: through proxies, where the certificate is that of the target") {
  using namespace std::string_literals;
  const auto worker = echo();
  for (const bool isSocks : {true, false}) {
    CAPTURE(isSocks);
    Journal journal;
    RawListener listener;
    const auto connection = std::make_shared<AsyncTcpConnection>(
        "text://localhost:4433", SocketContext{.ssl = {.cafile = certificates.cafile}});
    connection->transport = "ssl";
    (isSocks ? connection->proxySocks5 : connection->proxyHttp) =
        "127.0.0.1:" + std::to_string(listener.port());
    journal.record(*connection);
    connection->connect();
    connection->send("through");
    RawSocket proxy;
    REQUIRE(runUntil([&] { return listener.acceptInto(proxy); }));
    const auto exchange = [&](std::size_t size, const std::string& answer) {
      std::string asked;
      CHECK(runUntil([&] { return (asked += proxy.receiveAll()).size() >= size; }));
      proxy.send(answer);
    };
    if (isSocks) {
      exchange(3, "\x05\x00"s);
      exchange(5 + 9 + 2, "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00"s);
    } else {
      exchange(20, "HTTP/1.1 200 OK\r\n\r\n");
    }
    RawSocket target = connectRaw(worker->getListenPort());
    const auto relay = [&] {
      if (const std::string bytes = proxy.receiveAll(); !bytes.empty()) target.send(bytes);
      if (const std::string bytes = target.receiveAll(); !bytes.empty()) proxy.send(bytes);
    };
    CHECK(runUntil([&] { return relay(), journal.has("message:through"); }));
    CHECK_MESSAGE(journal.text.find("connect message:welcome message:through ") == 0, journal.text);
    connection->destroy();
  }
}

TEST_CASE_FIXTURE(Calling, "tls client: bytes behind a proxy's answer belong to the handshake") {
  RawListener listener;
  const auto connection = std::make_shared<AsyncTcpConnection>("ssl://localhost:4433");
  connection->proxyHttp = "127.0.0.1:" + std::to_string(listener.port());
  client.record(*connection);
  connection->connect();
  RawSocket proxy;
  REQUIRE(runUntil([&] { return listener.acceptInto(proxy); }));
  std::string asked;
  CHECK(runUntil([&] { return !(asked += proxy.receive()).empty(); }));
  // An alert: handshake_failure.
  proxy.send(std::string("HTTP/1.1 200 OK\r\n\r\n") + std::string("\x15\x03\x03\x00\x02\x02\x28", 7));
  CHECK(runUntil([&] { return client.has("close"); }));
  CHECK(client.text == "error:1 close ");
  CHECK_MESSAGE(client.error.find("TLS: the peer refuses the handshake") != std::string::npos, client.error);
}

TEST_CASE_FIXTURE(Calling,
                  "tls client: chains, depth, folders of authorities and lists of what was revoked") {
  const Identity middle({.commonName = "Middle", .names = "", .isAuthority = true}, &certificates.authority);
  const Identity lower({.commonName = "Lower", .names = "", .isAuthority = true}, &middle);
  const Identity leaf({}, &middle), deep({}, &lower), plain({}, &certificates.authority);
  const auto own = [](const Identity& identity) { return identity.certificatePem() + identity.keyPem(); };
  const auto whole =
      echo({.local_cert = certificates.write("whole.pem", own(leaf) + middle.certificatePem())});
  const auto cut = echo({.local_cert = certificates.write("short.pem", own(leaf))});
  const auto deeper = echo({.local_cert = certificates.write(
                                "deep.pem", own(deep) + lower.certificatePem() + middle.certificatePem())});
  CHECK(refusal(*whole, {}) == "");
  CHECK(refusal(*cut, {}) == "the certificate is signed by an authority that is not trusted here: CN=Middle");
  // The client knows what the server leaves out.
  const std::string both = certificates.authority.certificatePem() + middle.certificatePem();
  CHECK(refusal(*cut, {.cafile = certificates.write("both.pem", both)}) == "");
  CHECK(refusal(*deeper, {}) == "");
  CHECK(refusal(*deeper, {.verify_depth = 2}) == "");
  CHECK(refusal(*deeper, {.verify_depth = 1}) == "the chain of certificates is longer than verify_depth");

  const auto simple = echo({.local_cert = certificates.write("plain.pem", own(plain))});
  const std::string folder = certificates.folder() + "/authorities";
  std::filesystem::create_directory(folder);
  CHECK(refusal(*simple, {.capath = folder}) ==
        "the certificate is signed by an authority that is not trusted here: CN=Test Authority");
  // As `openssl rehash` names it.
  char hash[16];
  std::snprintf(hash, sizeof hash, "%08lx.0", certificates.authority.nameHash());
  std::filesystem::copy_file(certificates.cafile, folder + "/" + hash);
  CHECK(refusal(*simple, {.capath = folder}) == "");

  const auto revoking = [&](const Identity& identity) {
    return certificates.authority.certificatePem() + certificates.authority.revocationPem(identity);
  };
  CHECK(refusal(*simple, {.cafile = certificates.write("revoked.pem", revoking(plain))}) ==
        "the certificate has been revoked");
  CHECK(refusal(*simple, {.cafile = certificates.write("another.pem", revoking(middle))}) == "");
}

TEST_CASE_FIXTURE(
    Calling,
    "tls client: files that have changed are read at the next connect(); broken ones change nothing") {
  CapturedStderr log;
  const auto worker = echo();
  const std::string file = certificates.write("trust.pem", certificates.authority.certificatePem());
  const auto connection = connect(*worker, "text", {.cafile = file});
  client.record(*connection);
  const auto again = [&] {
    client.text.clear();
    client.record(*connection);
    connection->connect();
    CHECK(runUntil([&] { return client.has("welcome") || client.has("close"); }));
    connection->destroy();
    return client.has("welcome");
  };
  CHECK(again());
  certificates.write("trust.pem", Identity({.commonName = "Stranger", .isAuthority = true}).certificatePem());
  CHECK_FALSE(again());
  certificates.write("trust.pem",
                     certificates.authority.certificatePem() + certificates.authority.certificatePem());
  CHECK(again());
  certificates.write("trust.pem", "nothing");
  CHECK(again());
  CHECK(log.text().find("cannot read cafile " + file) != std::string::npos);
  CHECK(log.text().find("; going on with what was read before") != std::string::npos);
}

TEST_CASE_FIXTURE(Calling, "tls client: a name in a certificate is printed, whatever it is made of") {
  const auto worker =
      echo({.local_cert = certificates.issue({.commonName = "odd", .names = "DNS:evil\x1b[2J.test"})});
  CHECK(refusal(*worker, {}) == "the certificate is not for localhost, but for evil?[2J.test");
}
