// Whom a client takes a TLS server for: addresses, names as they are written, chains of authorities.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../support/tls_fixture.h"

using namespace testing;
using namespace Workerman;
using Connection::TcpConnectionPtr;

namespace {

struct Naming : TlsFixture {
  /// What a client of `host` hears from a worker on [::] with this certificate.
  std::string hears(const std::string& host, const std::string& certificate, SslOptions options = {}) {
    Journal journal;
    sniSeen = "none";
    const auto worker =
        std::make_shared<Worker>("text://[::]:0", SocketContext{.ssl = {.local_cert = certificate}});
    worker->transport = "ssl";
    worker->onConnect = [this](TcpConnectionPtr connection) {
      sniSeen = connection->getSslInfo()->serverName;
    };
    worker->listen();
    const auto connection = connect(*worker, "text", options, host);
    journal.record(*connection);
    connection->connect();
    runUntil([&] { return journal.has("connect") ? sniSeen != "none" : journal.has("close"); });
    connection->destroy();
    worker->unlisten();
    const auto words = journal.error.find("TLS: ");
    return journal.has("connect")       ? "connect"
           : words != std::string::npos ? journal.error.substr(words + 5)
                                        : "?";
  }

  std::string sniSeen;
};

}  // namespace

TEST_CASE_FIXTURE(
    Naming, "tls names: an address is compared with addresses, and not sent as a name (RFC 6066 section 3)") {
  const std::string both = certificates.issue();
  const std::string nameOnly = certificates.issue({.names = "DNS:localhost"});
  for (const std::string host : {"127.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]"}) {
    CAPTURE(host);
    CHECK(hears(host, both) == "connect");
    CHECK(sniSeen == "");
    CHECK(hears(host, nameOnly).starts_with("the certificate is not for "));
    CHECK(hears(host, nameOnly, {.peer_name = "localhost"}) == "connect");
    CHECK(sniSeen == "localhost");
  }
  // The common name is not for that, where there are names.
  CHECK(hears("localhost", certificates.issue({.names = "DNS:other.test"})) ==
        "the certificate is not for localhost, but for other.test");
}

TEST_CASE_FIXTURE(
    Naming, "tls names: case and the dot of the root make no difference, wildcards stand for one label") {
  const std::string certificate = certificates.issue();
  CHECK(hears("LocalHost", certificate) == "connect");
  CHECK(hears("127.0.0.1", certificate, {.peer_name = "localhost."}) == "connect");
  CHECK(sniSeen == "localhost");
  const std::string wild = certificates.issue({.names = "DNS:*.a.test,DNS:w*.b.test"});
  const struct {
    const char* name;
    bool fits;
  } cases[] = {{"x.a.test", true},
               {"X.A.TEST.", true},
               {"a.test", false},
               {"x.y.a.test", false},
               {"www.b.test", false}};
  for (const auto& each : cases) {
    CAPTURE(each.name);
    const std::string heard = hears("localhost", wild, {.peer_name = each.name});
    CHECK((heard == "connect") == each.fits);
    if (!each.fits) CHECK(heard.ends_with(", but for *.a.test, w*.b.test"));
  }
}

TEST_CASE_FIXTURE(Naming, "tls names: a common name counts only in a certificate that has no other names") {
  const std::string commonOnly = certificates.issue({.commonName = "localhost", .names = ""});
  CHECK(hears("localhost", commonOnly) == "connect");
  CHECK(hears("127.0.0.1", commonOnly).starts_with("the certificate is not for 127.0.0.1"));
  CHECK(hears("localhost", certificates.issue({.commonName = "other.test", .names = ""}))
            .starts_with("the certificate is not for localhost, but for "));
  // Beside names of another kind, addresses, it is still the only name of a host.
  CHECK(hears("localhost", certificates.issue({.commonName = "localhost", .names = "DNS:other.test"})) ==
        "the certificate is not for localhost, but for other.test");
}

TEST_CASE_FIXTURE(Naming,
                  "tls names: one that begins with a dot, and would fit every name below it, is refused") {
  const std::string certificate = certificates.issue({.names = "DNS:www.a.test"});
  const auto worker =
      std::make_shared<Worker>("text://127.0.0.1:0", SocketContext{.ssl = {.local_cert = certificate}});
  worker->transport = "ssl";
  worker->listen();
  const auto dotted = connect(*worker, "text", {.peer_name = ".a.test"});
  CHECK_THROWS_WITH_AS(dotted->connect(), "TLS: peer_name '.a.test' begins with a dot: it is one whole name",
                       std::runtime_error);
  CHECK(dotted.use_count() == 1);
  CHECK_THROWS_WITH_AS(Connection::AsyncTcpConnection("wss://.a.test"),
                       doctest::Contains("the host begins with a dot"), std::invalid_argument);
  const auto refuse = [&](SslOptions options) {
    const auto refused =
        std::make_shared<Worker>("text://127.0.0.1:0", SocketContext{.ssl = std::move(options)});
    refused->transport = "ssl";
    CHECK_THROWS_WITH_AS(refused->listen(), doctest::Contains("begins with a dot"), std::runtime_error);
  };
  refuse({.local_cert = certificate, .verify_peer = true, .peer_name = ".a.test"});
  refuse({.local_cert = certificate, .SNI_server_certs = {{".a.test", certificate}}});
}

TEST_CASE_FIXTURE(Naming,
                  "tls names: a chain over another authority is good when the server sends all of it") {
  const Identity between({.commonName = "Between", .names = "", .isAuthority = true},
                         &certificates.authority);
  const Identity leaf({}, &between);
  const std::string own = leaf.certificatePem() + leaf.keyPem();
  CHECK(hears("localhost", certificates.write("chain.pem", own + between.certificatePem())) == "connect");
  const std::string brief = certificates.write("short.pem", own);
  CHECK(hears("localhost", brief) ==
        "the certificate is signed by an authority that is not trusted here: CN=Between");
  // The client may have what the server forgets.
  const std::string both =
      certificates.write("both.pem", certificates.authority.certificatePem() + between.certificatePem());
  CHECK(hears("localhost", brief, {.cafile = both}) == "connect");
  // Who is no authority cannot sign.
  const Identity usurped({}, &leaf);
  const std::string file =
      usurped.certificatePem() + usurped.keyPem() + leaf.certificatePem() + between.certificatePem();
  CHECK(hears("localhost", certificates.write("usurped.pem", file)) != "connect");
}
