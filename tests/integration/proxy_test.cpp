// Clients behind a SOCKS5 or an HTTP proxy that is a script.

#include <vector>

#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::Journal;
using testing::LoopFixture;
using testing::RawListener;
using testing::RawSocket;
using namespace std::string_literals;

namespace {

struct Exchange {
  std::string expected;
  std::string answer;
};

struct Script {
  const char* name;
  bool isSocks;
  std::vector<Exchange> exchanges;
  std::string journal;
  std::string error;
};

const std::string kGreeting = "\x05\x01\x00"s;
const std::string kRequest = "\x05\x01\x00\x03\x0b"s + "example.com" + "\x00\x50"s;
const std::string kAccepted = "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00"s;
const std::string kConnect = "CONNECT example.com:80 HTTP/1.1\r\n";

const std::vector<Script> kScripts = {
    {"socks5", true, {{kGreeting, "\x05\x00"s}, {kRequest, kAccepted}}, "connect message:hi close ", ""},
    {"socks5, its last answer and the peer's first bytes in one",
     true,
     {{kGreeting, "\x05\x00"s}, {kRequest, kAccepted + "first"}},
     "connect message:first",
     ""},
    {"socks5 that refuses the method", true, {{kGreeting, "\x05\xff"s}}, "error:1 close ", "SOCKS5"},
    {"socks5 whose peer refuses",
     true,
     {{kGreeting, "\x05\x00"s}, {kRequest, "\x05\x05\x00\x01\0\0\0\0\0\0"s}},
     "error:1 close ",
     "refused"},
    {"http",
     false,
     {{kConnect, "HTTP/1.1 200 Connection established\r\n\r\n"}},
     "connect message:hi close ",
     ""},
    {"http, its answer and the peer's first bytes in one",
     false,
     {{kConnect, "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nfirst"}},
     "connect message:first",
     ""},
    {"http that refuses",
     false,
     {{kConnect, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"}},
     "error:1 close ",
     "407"},
    {"http that is none", false, {{kConnect, "SSH-2.0-OpenSSH_9.2\r\n\r\n"}}, "error:1 close ", "proxy"},
};

}  // namespace

TEST_CASE("proxy: SOCKS5 (RFC 1928) and CONNECT (RFC 9110 section 9.3.6)") {
  for (const auto& script : kScripts) {
    CAPTURE(std::string(script.name));
    LoopFixture fixture;
    const testing::Ticker ticker;
    RawListener listener;
    Journal journal;
    auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
    (script.isSocks ? client->proxySocks5 : client->proxyHttp) =
        "127.0.0.1:" + std::to_string(listener.port());
    journal.record(*client);
    client->connect();
    RawSocket proxy;
    fixture.runUntil([&] { return listener.acceptInto(proxy); });
    for (const auto& exchange : script.exchanges) {
      std::string got;
      fixture.runUntil([&] { return (got += proxy.receiveAll()).size() >= exchange.expected.size(); });
      CHECK(got.substr(0, exchange.expected.size()) == exchange.expected);
      CHECK_FALSE(journal.has("connect"));
      proxy.send(exchange.answer);
    }
    if (script.error.empty()) {
      fixture.runUntil([&] { return journal.has("connect"); });
      if (script.journal.find("message:hi") != std::string::npos) proxy.send("hi");
      proxy.close();
    }
    fixture.runUntil([&] { return journal.has("close"); });
    CHECK(journal.text.find(script.journal) == 0);
    CHECK(journal.error.find(script.error) != std::string::npos);
    if (journal.has("message:first")) CHECK(client->bytesRead == 5);
    fixture.turn(2);
    CHECK(client.use_count() == 1);
  }
}

TEST_CASE("proxy: answers in single bytes") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>("text://example.com:80");
  client->proxyHttp = "127.0.0.1:" + std::to_string(listener.port());
  client->proxyAuthorization = "Basic dXNlcjpwYXNz";
  journal.record(*client);
  client->connect();
  client->send("queued");
  RawSocket proxy;
  fixture.runUntil([&] { return listener.acceptInto(proxy); });
  std::string asked;
  fixture.runUntil([&] { return (asked += proxy.receiveAll()).find("\r\n\r\n") != std::string::npos; });
  CHECK(asked.find("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n") != std::string::npos);
  for (const char byte : "HTTP/1.1 200 OK\r\n\r\nfirst\nsecond\n"s) {
    proxy.send({&byte, 1});
    fixture.turn(1);
  }
  fixture.runUntil([&] { return journal.has("message:second"); });
  CHECK(journal.text == "connect drain message:first message:second ");
  CHECK(proxy.receiveAll() == "queued\n");
  client->destroy();
}

TEST_CASE("proxy: one that never answers, closes, or cannot be reached") {
  struct Case {
    const char* name;
    std::string error;
  };
  for (const Case& each :
       {Case{"silent", "timed out while waiting for the SOCKS5 proxy's choice of a method"},
        Case{"closes", "closed the connection"}, Case{"refuses", "refused"}}) {
    const std::string name = each.name;
    CAPTURE(name);
    LoopFixture fixture;
    const testing::Ticker ticker;
    RawListener listener;
    const testing::RefusingPort nobody;
    Journal journal;
    auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
    const int port = name == "refuses" ? nobody.port() : listener.port();
    client->proxySocks5 = "127.0.0.1:" + std::to_string(port);
    if (name == "silent") client->connectTimeout = 0.5;
    journal.record(*client);
    client->connect();
    if (name == "closes") {
      RawSocket proxy;
      fixture.runUntil([&] { return listener.acceptInto(proxy); });
      proxy.close();
    }
    fixture.runUntil([&] { return journal.has("close"); });
    CHECK(journal.text == "error:1 close ");
    CHECK(journal.error.find(each.error) != std::string::npos);
    fixture.turn(2);
    CHECK(client.use_count() == 1);
  }
}

TEST_CASE("proxy: closing and reconnecting while it is asked") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
  client->proxySocks5 = "127.0.0.1:" + std::to_string(listener.port());
  journal.record(*client);
  client->connect();
  RawSocket first, second;
  fixture.runUntil([&] { return listener.acceptInto(first); });
  std::string asked;
  fixture.runUntil([&] { return (asked += first.receiveAll()) == kGreeting; });
  client->reConnect();
  fixture.runUntil([&] { return listener.acceptInto(second); });
  fixture.runUntil([&] { return first.receiveAll().empty() && first.isAtEnd(); });
  CHECK(journal.text.empty());
  client->close();
  CHECK(journal.text == "close ");
  fixture.turn(2);
  CHECK(client.use_count() == 1);
}

TEST_CASE("proxy: a user name and a password for HTTP, unless proxyAuthorization is given (RFC 7617)") {
  for (const std::string given : {"", "Bearer token"}) {
    LoopFixture fixture;
    const testing::Ticker ticker;
    RawListener listener;
    auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
    client->proxyHttp = "127.0.0.1:" + std::to_string(listener.port());
    client->proxyHttpUsername = "Aladdin";
    client->proxyHttpPassword = "open sesame";
    client->proxyAuthorization = given;
    client->connect();
    RawSocket proxy;
    std::string asked;
    fixture.runUntil([&] { return listener.acceptInto(proxy); });
    fixture.runUntil([&] { return (asked += proxy.receiveAll()).find("\r\n\r\n") != std::string::npos; });
    const std::string sent = given.empty() ? "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" : given;
    CHECK(asked.find("\r\nProxy-Authorization: " + sent + "\r\n") != std::string::npos);
    client->destroy();
  }
}

TEST_CASE("proxy: a bad address is called a proxy's, and what is wrong with it is said") {
  LoopFixture fixture;
  const struct {
    const char* given;
    const char* told;
  } cases[] = {
      {"not an address", "Bad proxy address \"not an address\": it holds a space"},
      {"127.0.0.1", "Bad proxy address \"127.0.0.1\": the port is missing"},
      {"127.0.0.1:0", "Bad proxy address \"127.0.0.1:0\": the port is missing"},
      {"127.0.0.1:99999", "Bad proxy address \"127.0.0.1:99999\": the port is above 65535"},
      {":8080", "Bad proxy address \":8080\": the host is missing"},
      {"http://127.0.0.1:8080",
       "Bad proxy address \"http://127.0.0.1:8080\": it is host:port, with no scheme and no path"},
      {"127.0.0.1:8080/",
       "Bad proxy address \"127.0.0.1:8080/\": it is host:port, with no scheme and no path"},
  };
  for (const auto& each : cases) {
    for (const bool isSocks : {false, true}) {
      const auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
      (isSocks ? client->proxySocks5 : client->proxyHttp) = each.given;
      CHECK_THROWS_WITH_AS(client->connect(), each.told, std::invalid_argument);
      CHECK(client.use_count() == 1);
    }
  }
}

TEST_CASE("proxy: an address or a value that cannot be sent throws at connect()") {
  LoopFixture fixture;
  for (const int which : {0, 1, 2, 3, 4}) {
    CAPTURE(which);
    auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
    if (which == 0) client->proxyHttp = "not an address";
    if (which == 1) client->proxyHttp = "127.0.0.1:1", client->proxyAuthorization = "Basic x\r\nEvil: 1";
    if (which == 2) client->proxySocks5 = "127.0.0.1:1", client->proxySocks5Username = std::string(256, 'u');
    if (which == 3) client->proxyHttp = "127.0.0.1:1", client->proxyHttpUsername = "a:b";
    if (which == 4) client->proxySocks5 = "127.0.0.1";
    CHECK_THROWS_AS(client->connect(), std::invalid_argument);
    CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
    fixture.turn(1);
    CHECK(client.use_count() == 1);
  }
}
