/// A TLS worker against clients that we did not write: openssl s_client, curl, Python's `websockets` and
/// Node. See clients/tls_client.py and clients/tls_client.js.

#include <string>
#include <vector>

#include "support/certificates.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/talker.h"

using namespace testing;
using namespace Workerman;
using Connection::TcpConnectionPtr;

namespace {

using Words = std::vector<std::string>;

struct TlsServerFixture : LoopFixture {
  Certificates certificates;
  std::shared_ptr<Worker> worker;
  Journal journal;
  /// "TLSv1.3 localhost resumed", of the connection that was opened last.
  std::string agreed;

  /// Answers each line, "bye" with the end.
  void listen(SslOptions options = {}, const std::string& scheme = "text") {
    if (options.local_cert.empty()) options.local_cert = certificates.issue();
    worker = std::make_shared<Worker>(scheme + "://127.0.0.1:0", SocketContext{.ssl = options});
    worker->transport = "ssl";
    journal.record(*worker);
    worker->onBufferDrain = nullptr;
    worker->onConnect = [this](TcpConnectionPtr connection) {
      const auto info = connection->getSslInfo();
      REQUIRE(info);
      agreed = info->version + " " + info->serverName + (info->isResumed ? " resumed" : "");
      if (!info->alpnProtocol.empty()) agreed += " " + info->alpnProtocol;
      if (info->peerCertificate) agreed += " " + info->peerCertificate->subject;
    };
    worker->onMessage = [](TcpConnectionPtr connection, std::string_view line) {
      if (line == "bye") return connection->close("good-bye");
      connection->send("you said " + std::string(line));
    };
    worker->listen();
  }
  std::string port() const { return std::to_string(worker->getListenPort()); }

  /// openssl s_client, which trusts our authority and takes no other.
  Words sClient(const Words& options = {}, bool verifies = true) const {
    Words all{"openssl", "s_client", "-connect", "127.0.0.1:" + port()};
    if (verifies) {
      const Words checks{"-CAfile", certificates.cafile, "-verify_return_error", "-verify_hostname",
                         "localhost"};
      all.insert(all.end(), checks.begin(), checks.end());
    }
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }
  /// Waits for the worker's callbacks to be these.
  void hears(const std::string& wanted) {
    runUntil([&] { return journal.text == wanted; });
    CHECK_MESSAGE(journal.text == wanted, journal.error);
    journal.text.clear();
  }
};

Words curl(const Words& options) {
  Words all{"curl", "--silent", "--show-error", "--max-time", "10", "--http0.9"};
  all.insert(all.end(), options.begin(), options.end());
  return all;
}

Words python(const Words& arguments) {
  Words all{PEER_PYTHON, std::string(PEER_CLIENTS) + "/tls_client.py"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

Words node(const Words& arguments) {
  Words all{std::string("NODE_PATH=") + PEER_NODE_PATH, PEER_NODE,
            std::string(PEER_CLIENTS) + "/tls_client.js"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

}  // namespace

TEST_CASE_FIXTURE(TlsServerFixture, "interop tls server: openssl s_client, TLS 1.2 and 1.3") {
  for (const std::string version : {"1.2", "1.3"}) {
    CAPTURE(version);
    listen();
    Talker client(*this, sClient({version == "1.2" ? "-tls1_2" : "-tls1_3", "-servername", "localhost"}));
    client.say("hello\n");
    CHECK(client.says("you said hello\n"));
    CHECK(client.has("New, TLSv" + version + ", Cipher is " +
                     (version == "1.2" ? "ECDHE-ECDSA-AES128-GCM-SHA256" : "TLS_AES_128_GCM_SHA256")));
    CHECK(client.has("Verify return code: 0 (ok)"));
    CHECK(client.has("Server Temp Key: X25519"));
    CHECK(agreed == "TLSv" + version + " localhost");
    // Our close_notify ends it in order.
    client.say("bye\n");
    CHECK(client.says("good-bye\n"));
    CHECK(client.status() == 0);
    hears("close ");
  }
}

TEST_CASE_FIXTURE(TlsServerFixture,
                  "interop tls server: TLS 1.1 and old ciphers are refused, and the alert says so") {
  listen();
  struct Case {
    Words options;
    const char* alert;
  };
  const Case cases[] = {
      {{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, "alert protocol version"},
      {{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"}, "alert handshake failure"},
      {{"-tls1_2", "-cipher", "AES128-GCM-SHA256"}, "alert handshake failure"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.alert);
    Talker client(*this, sClient(each.options));
    CHECK(client.says(each.alert));
    CHECK(client.status() == 1);
  }
  CHECK(journal.text == "");
}

TEST_CASE_FIXTURE(TlsServerFixture, "interop tls server: certificates by SNI") {
  listen(
      {.SNI_server_certs = {{"a.test", certificates.issue({.commonName = "a", .names = "DNS:a.test"})},
                            {"*.b.test", certificates.issue({.commonName = "b", .names = "DNS:*.b.test"})}}});
  const struct {
    const char* asked;
    const char* subject;
  } cases[] = {{"a.test", "subject=CN = a\n"},
               {"A.Test", "subject=CN = a\n"},
               {"www.b.test", "subject=CN = b\n"},
               {"other.test", "subject=CN = localhost\n"}};
  for (const auto& each : cases) {
    CAPTURE(each.asked);
    Talker client(*this, sClient({"-servername", each.asked, "-CAfile", certificates.cafile}, false));
    client.say("bye\n");
    CHECK(client.says("good-bye"));
    CHECK_MESSAGE(client.has(each.subject), client.text());
    CHECK(client.status() == 0);
    CHECK(agreed == std::string("TLSv1.3 ") + each.asked);
  }
}

TEST_CASE_FIXTURE(TlsServerFixture, "interop tls server: ALPN") {
  listen({.alpn_protocols = "lines,other"});
  Talker client(*this, sClient({"-alpn", "none,other,lines"}));
  client.say("bye\n");
  CHECK(client.says("ALPN protocol: lines"));
  CHECK(client.status() == 0);
  CHECK(agreed.ends_with(" lines"));
  hears("close ");
  Talker stranger(*this, sClient({"-alpn", "h2"}));
  CHECK(stranger.says("alert no application protocol"));
  CHECK(stranger.status() == 1);
  Talker silent(*this, sClient());
  silent.say("bye\n");
  CHECK(silent.says("No ALPN negotiated"));
}

TEST_CASE_FIXTURE(TlsServerFixture, "interop tls server: client certificates are asked for, and checked") {
  listen({.verify_peer = true, .cafile = certificates.cafile});
  const std::string good = certificates.issue({.commonName = "client", .names = ""});
  const std::string foreign = certificates.selfSigned({.commonName = "client", .names = ""});
  const std::string expired = certificates.issue({.commonName = "client", .names = "", .validTo = -0.5});
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    CAPTURE(version);
    Talker client(*this, sClient({version, "-cert", good, "-key", good}));
    client.say("bye\n");
    CHECK(client.says("good-bye"));
    CHECK(client.has("Acceptable client certificate CA names\nCN = Test Authority\n"));
    CHECK(client.status() == 0);
    CHECK(agreed.ends_with(" CN=client"));
    hears("close ");
    const struct {
      Words options;
      std::string alert12, alert13;
    } refused[] = {
        {{}, "alert handshake failure", "alert certificate required"},
        {{"-cert", foreign, "-key", foreign}, "alert unknown ca", "alert unknown ca"},
        {{"-cert", expired, "-key", expired}, "alert certificate expired", "alert certificate expired"}};
    for (const auto& each : refused) {
      const std::string& alert = std::string(version) == "-tls1_2" ? each.alert12 : each.alert13;
      CAPTURE(alert);
      Words options{version};
      options.insert(options.end(), each.options.begin(), each.options.end());
      Talker stranger(*this, sClient(options));
      CHECK(stranger.says(alert));
      CHECK(stranger.status() == 1);
    }
    CHECK(journal.text == "");
  }
}

TEST_CASE_FIXTURE(TlsServerFixture,
                  "interop tls server: sessions go on by tickets, until certificates are read anew") {
  const std::string file = certificates.folder() + "/session.pem";
  for (const std::string version : {"1.2", "1.3"}) {
    CAPTURE(version);
    listen();
    const std::string flag = version == "1.2" ? "-tls1_2" : "-tls1_3";
    const auto visit = [&](const Words& options) {
      Words all{flag, "-servername", "localhost"};
      all.insert(all.end(), options.begin(), options.end());
      Talker client(*this, sClient(all));
      client.say("bye\n");
      CHECK(client.says("good-bye"));
      CHECK(client.status() == 0);
      CHECK(client.has((agreed.ends_with("resumed") ? "Reused, TLSv" : "New, TLSv") + version));
      return agreed;
    };
    CHECK(visit({"-sess_out", file}) == "TLSv" + version + " localhost");
    CHECK(visit({"-sess_in", file}) == "TLSv" + version + " localhost resumed");
    worker->reloadCertificates();
    CHECK(visit({"-sess_in", file}) == "TLSv" + version + " localhost");
  }
}

TEST_CASE_FIXTURE(TlsServerFixture,
                  "interop tls server: no renegotiation, but new keys as often as the client likes") {
  listen();
  {
    Talker client(*this, sClient({"-tls1_2"}));
    client.say("hello\n");
    CHECK(client.says("you said hello"));
    client.say("R\n");
    CHECK(client.says("no renegotiation"));
    CHECK(client.status() == 1);
  }
  hears("error:3 close ");
  Talker client(*this, sClient({"-tls1_3"}));
  client.say("begin\n");
  CHECK(client.says("you said begin"));
  for (int i = 0; i < 10; ++i) {
    // K: new keys for both directions; k: for that of the client.
    client.say(i % 2 == 0 ? "K\n" : "k\n");
    CHECK(client.says("KEYUPDATE\n", i + 1));
    const std::string line = "line " + std::to_string(i) + "\n";
    client.say(line);
    CHECK(client.says("you said " + line));
  }
  client.say("Q\n");
  CHECK(client.status() == 0);
  hears("close ");
}

TEST_CASE_FIXTURE(TlsServerFixture,
                  "interop tls server: a client that ends its direction still gets the answers") {
  listen();
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view) {
    connection->maxSendBufferSize = 64 << 20;
    for (int i = 0; i < 200; ++i) connection->send(std::string(99'999, 'x'));
  };
  for (const char* version : {"TLSv1.2", "TLSv1.3"}) {
    CAPTURE(version);
    Talker client(*this, node({"half-close", port(), certificates.cafile, version}));
    CHECK(client.status() == 0);
    CHECK_MESSAGE(client.text() == "20000000 bytes, then the end\n", client.text());
    hears("close ");
  }
}

TEST_CASE_FIXTURE(TlsServerFixture, "interop tls server: curl speaks to a TLS port, with and without TLS") {
  listen();
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view line) {
    if (line.empty()) connection->close("that was all");
  };
  const std::string name = "localhost:" + port() + "/";
  {
    Talker client(*this, curl({"--cacert", certificates.cafile, "https://" + name}));
    CHECK(client.status() == 0);
    CHECK(client.text() == "that was all\n");
    hears("close ");
  }
  {
    Talker client(*this, curl({"--cacert", certificates.cafile, "https://127.0.0.1:" + port() + "/"}));
    CHECK(client.status() == 0);
    hears("close ");
  }
  {
    Talker client(*this, curl({"https://" + name}));
    CHECK(client.status() == 60);
    CHECK_MESSAGE(client.has("unable to get local issuer certificate"), client.text());
  }
  for (const Words& options : {Words{"--get"}, Words{"--data", std::string(100'000, 'x')}, Words{"--head"}}) {
    CAPTURE(options[0]);
    Words all{"--include", "http://" + name};
    all.insert(all.end(), options.begin(), options.end());
    Talker client(*this, curl(all));
    const int status = client.status();
    CHECK_MESSAGE(status == 0, client.text());
    CHECK_MESSAGE(client.has("HTTP/1.1 400 Bad Request\r\n"), client.text());
    if (options[0] != "--head") {
      CHECK(client.text().ends_with(
          "\r\n\r\nThis port speaks TLS, and the request came without (https://).\n"));
    }
  }
  CHECK(journal.text == "");
}

TEST_CASE_FIXTURE(TlsServerFixture,
                  "interop tls server: Python and Node over wss, which check the certificate") {
  const struct {
    CertificateOptions certificate;
    std::string host;
    bool isTrusted;
    const char* python;
    const char* node;
  } cases[] = {
      {{}, "localhost", true, "echo hello", "echo hello"},
      {{}, "127.0.0.1", true, "echo hello", "echo hello"},
      {{.rsaBits = 2048}, "localhost", true, "echo hello", "echo hello"},
      {{.validTo = -0.5}, "localhost", true, "certificate has expired", "CERT_HAS_EXPIRED"},
      {{.names = "DNS:other.test"}, "localhost", true, "Hostname mismatch", "ERR_TLS_CERT_ALTNAME_INVALID"},
      {{}, "localhost", false, "unable to get local issuer certificate", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.python);
    listen({.local_cert = certificates.issue(each.certificate)}, "websocket");
    worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) {
      connection->send("echo " + std::string(data));
    };
    const std::string other = certificates.selfSigned();
    const std::string& trusted = each.isTrusted ? certificates.cafile : other;
    for (const bool isPython : {true, false}) {
      const Words arguments{"wss", port(), trusted, each.host};
      Talker client(*this, isPython ? python(arguments) : node(arguments));
      CHECK(client.says(isPython ? each.python : each.node));
      CHECK(client.status() == 0);
    }
  }
}
