/// The TLS client against servers that we did not write: openssl s_server, Python's `websockets` and Node.
/// See servers/tls_server.py and servers/tls_server.js.

#include <string>
#include <vector>

#include "support/certificates.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/talker.h"

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnection;
using Connection::AsyncTcpConnectionPtr;
using Connection::SslInfo;

namespace {

using Words = std::vector<std::string>;

struct TlsClientFixture : LoopFixture {
  Certificates certificates;
  Journal journal;
  std::shared_ptr<AsyncTcpConnection> connection;
  std::optional<SslInfo> info;

  /// openssl s_server with a certificate for localhost, unless the options name another one.
  Words sServer(const Words& options = {}, const std::string& certificate = "") {
    // stdbuf: part of what it says comes by printf.
    Words all{"stdbuf",  "-oL",         "openssl", "s_server",
              "-accept", "127.0.0.1:0", "-cert",   certificate.empty() ? certificates.issue() : certificate};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }
  static std::string portOf(Talker& server) { return server.rest("ACCEPT 127.0.0.1:"); }

  /// Connects, trusting our authority.
  void connect(const std::string& scheme, const std::string& port, SslOptions options = {},
               const std::string& host = "localhost") {
    if (options.cafile.empty()) options.cafile = certificates.cafile;
    connection = std::make_shared<AsyncTcpConnection>(scheme + "://" + host + ":" + port,
                                                      SocketContext{.ssl = options});
    connection->transport = "ssl";
    journal.record(*connection);
    journal.text.clear();
    connection->onConnect = [this](AsyncTcpConnectionPtr self) {
      journal.text += "connect ";
      info = self->getSslInfo();
    };
    connection->connect();
  }
  /// Waits for the callbacks to be these.
  void hears(const std::string& wanted) {
    runUntil([&] { return journal.text == wanted; });
    CHECK_MESSAGE(journal.text == wanted, journal.error);
  }
  /// Waits for a refusal that says this.
  void fails(const std::string& words) {
    hears("error:1 close ");
    CHECK_MESSAGE(journal.error.find(": TLS: " + words) != std::string::npos, journal.error);
  }
};

/// A program of servers/, and what it is told.
Words program(const std::string& name, const Words& arguments) {
  const bool isPython = name.ends_with(".py");
  Words all{std::string("NODE_PATH=") + PEER_NODE_PATH, isPython ? PEER_PYTHON : PEER_NODE,
            std::string(PEER_SERVERS) + "/" + name};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

}  // namespace

TEST_CASE_FIXTURE(
    TlsClientFixture,
    "interop tls client: openssl s_server, TLS 1.2 and 1.3, with ALPN and a client's certificate") {
  const std::string own = certificates.issue({.commonName = "client", .names = ""});
  for (const std::string version : {"1.2", "1.3"}) {
    CAPTURE(version);
    Talker server(
        *this, sServer({version == "1.2" ? "-no_tls1_3" : "-tls1_3", "-Verify", "1", "-verify_return_error",
                        "-CAfile", certificates.cafile, "-alpn", "other,lines"}));
    connect("text", portOf(server), {.local_cert = own, .alpn_protocols = "lines,unknown"});
    CHECK(server.says("ALPN protocols selected: lines"));
    CHECK(server.says("Client certificate\n"));
    CHECK(server.says("subject=CN = client"));
    hears("connect ");
    REQUIRE(info);
    CHECK(info->version == "TLSv" + version);
    CHECK(info->alpnProtocol == "lines");
    connection->send("from our side");
    CHECK(server.says("from our side\n"));
    server.say("from theirs\n");
    hears("connect message:from theirs ");
    connection->close();
    CHECK(server.says("DONE\n"));
  }
}

TEST_CASE_FIXTURE(
    TlsClientFixture,
    "interop tls client: the server is told the name that is wanted, unless SNI_enabled is false") {
  const std::string named = certificates.issue({.commonName = "by name"});
  Talker server(*this, sServer({"-servername", "localhost", "-cert2", named, "-key2", named}));
  const std::string port = portOf(server);
  for (const bool isNamed : {true, false}) {
    CAPTURE(isNamed);
    connect("text", port, {.SNI_enabled = isNamed});
    hears("connect ");
    REQUIRE(info);
    CHECK(info->serverName == (isNamed ? "localhost" : ""));
    REQUIRE(info->peerCertificate);
    CHECK(info->peerCertificate->subject == (isNamed ? "CN=by name" : "CN=localhost"));
    connection->destroy();
  }
}

TEST_CASE_FIXTURE(TlsClientFixture,
                  "interop tls client: new keys and a renegotiation that the server wants") {
  {
    Talker server(*this, sServer({"-tls1_3"}));
    connect("text", portOf(server));
    hears("connect ");
    for (int i = 0; i < 6; ++i) {
      const std::string number = std::to_string(i);
      server.say(i % 2 == 0 ? "K\n" : "k\n");
      CHECK(server.says("SSL_do_handshake -> 1", i + 1));
      server.say("theirs " + number + "\n");
      runUntil([&] { return journal.has("message:theirs " + number); });
      connection->send("ours " + number);
      CHECK(server.says("ours " + number + "\n"));
    }
    CHECK_FALSE(journal.has("error"));
    connection->destroy();
  }
  Talker server(*this, sServer({"-no_tls1_3"}));
  connect("text", portOf(server));
  hears("connect ");
  server.say("r\n");
  // A warning refuses it; what s_server then does is its own affair.
  CHECK(server.says("no renegotiation"));
  runUntil([&] { return journal.has("close"); });
}

TEST_CASE_FIXTURE(TlsClientFixture,
                  "interop tls client: what openssl s_server refuses, or is refused, in words") {
  struct Case {
    Words server;
    SslOptions ours;
    const char* words;
    /// What TLS 1.3 tells only once the client is connected.
    bool isLate = false;
  };
  const Case cases[] = {
      {{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, {}, "the two sides have no TLS version in common"},
      {{"-tls1_2"},
       {.crypto_method = STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT},
       "the two sides have no TLS version in common"},
      {{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"},
       {.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
       "the peer refuses the handshake: usually no cipher or certificate suits both sides"},
      {{"-alpn", "h2"}, {.alpn_protocols = "lines"}, "the two sides have no protocol in common (ALPN)"},
      {{"-tls1_2", "-Verify", "1", "-CAfile", certificates.cafile},
       {},
       "the peer refuses the handshake: usually no cipher or certificate suits both sides"},
      {{"-tls1_3", "-Verify", "1", "-CAfile", certificates.cafile},
       {},
       "the peer asks for a certificate of this side (local_cert)",
       true},
      {{"-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", certificates.cafile},
       {.local_cert = certificates.selfSigned({.commonName = "foreign"})},
       "the peer does not know the authority that signed this side's certificate"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.words);
    Talker server(*this, sServer(each.server));
    connect("tcp", portOf(server), each.ours);
    if (!each.isLate) {
      fails(each.words);
      continue;
    }
    hears("connect error:3 close ");
    CHECK(journal.error == std::string("TLS: ") + each.words);
  }
}

TEST_CASE_FIXTURE(TlsClientFixture, "interop tls client: a server that goes, with a good-bye and without") {
  // Raw bytes: only close_notify tells that they are all there.
  {
    Talker server(*this, sServer({"-rev"}));
    connect("tcp", portOf(server));
    hears("connect ");
    connection->send("all\n");
    hears("connect message:lla\n ");
    connection->send("CLOSE\n");
    hears("connect message:lla\n close ");
  }
  for (const std::string scheme : {"tcp", "text"}) {
    CAPTURE(scheme);
    Talker server(*this, sServer());
    connect(scheme, portOf(server));
    hears("connect ");
    server.say("a part\n");
    runUntil([&] { return journal.has("message:"); });
    server.say("Q\n");
    hears(scheme == "tcp" ? "connect message:a part\n error:3 close " : "connect message:a part close ");
    if (scheme == "tcp")
      CHECK_MESSAGE(journal.error.find("without close_notify") != std::string::npos, journal.error);
  }
  // Nobody is there any more, then somebody who speaks no TLS.
  connect("text", "1");
  hears("error:1 close ");
  RawListener plain;
  RawSocket peer;
  connect("text", std::to_string(plain.port()), {}, "127.0.0.1");
  const Ticker ticker;
  runUntil([&] { return plain.acceptInto(peer); });
  peer.send("220 mail.test ESMTP\r\n");
  fails("what the peer sends is not TLS");
}

TEST_CASE_FIXTURE(TlsClientFixture,
                  "interop tls client: a reconnect resumes the session with openssl s_server") {
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    CAPTURE(version);
    Talker server(*this, sServer({version}));
    connect("text", portOf(server));
    for (int visit = 1; visit <= 3; ++visit) {
      CAPTURE(visit);
      hears("connect ");
      REQUIRE(info);
      CHECK(info->isResumed == (visit > 1));
      REQUIRE(info->peerCertificate);
      CHECK(info->peerCertificate->subject == "CN=localhost");
      // By then tickets have come.
      server.say("line\n");
      runUntil([&] { return journal.has("message:line"); });
      journal.text.clear();
      connection->reConnect(0);
    }
    hears("connect ");
    CHECK(server.says("Reused session-id"));
    connection->destroy();
  }
}

TEST_CASE_FIXTURE(TlsClientFixture,
                  "interop tls client: large messages both ways, with Node and Python over wss") {
  for (const std::string name : {"tls_server.py", "tls_server.js"}) {
    CAPTURE(name);
    Talker server(*this, program(name, {certificates.issue()}));
    auto client = std::make_shared<AsyncTcpConnection>("wss://localhost:" + server.rest("port ") + "/chat",
                                                       SocketContext{.ssl = {.cafile = certificates.cafile}});
    std::size_t received = 0;
    std::string first, version;
    client->maxSendBufferSize = 64 << 20;
    client->onWebSocketConnect = [&](AsyncTcpConnectionPtr self, const auto&) {
      version = self->getSslInfo()->version;
      for (const std::size_t size : {5, 65'536, 3'000'000}) self->send(std::string(size, 'x'));
    };
    client->onMessage = [&](auto, std::string_view data) {
      if (first.empty()) first = data;
      received += data.size();
    };
    client->connect();
    runUntil([&] { return received >= 3'065'541; });
    CHECK(received == 3'065'541);
    CHECK(first == "xxxxx");
    CHECK(version == "TLSv1.3");
    client->close(3001, "enough");
    CHECK(server.says("close 3001 enough\n"));
  }
}

TEST_CASE_FIXTURE(TlsClientFixture,
                  "interop tls client: certificates of Node and Python that are not good enough") {
  const struct {
    std::string certificate;
    std::string host;
    const char* words;
  } cases[] = {
      {certificates.issue({.validTo = -0.5}), "localhost", "the certificate has expired ("},
      {certificates.issue({.names = "DNS:other.test"}), "localhost",
       "the certificate is not for localhost, but for other.test"},
      {certificates.issue({.names = "DNS:localhost"}), "127.0.0.1",
       "the certificate is not for 127.0.0.1, but for localhost"},
      {certificates.selfSigned(), "localhost", "the certificate is self-signed"},
  };
  for (const std::string name : {"tls_server.py", "tls_server.js"}) {
    for (const auto& each : cases) {
      CAPTURE(each.words);
      Talker server(*this, program(name, {each.certificate}));
      const std::string port = server.rest("port ");
      connect("ws", port, {}, each.host);
      fails(each.words);
    }
  }
}
