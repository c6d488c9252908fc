#include "connection/proxy/proxy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using Workerman::Connection::detail::ProxyHandshake;
using What = ProxyHandshake::Step::What;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

struct Outcome {
  What what = What::NeedMore;
  /// Everything sent after start().
  std::string sent;
  std::string error;
  /// Bytes behind the handshake.
  std::string left;

  bool operator==(const Outcome&) const = default;
};

/// Gives the proxy's bytes in pieces that end at the given offsets.
Outcome run(ProxyHandshake handshake, std::string_view bytes, std::vector<std::size_t> cuts) {
  cuts.push_back(bytes.size());
  Outcome outcome;
  std::size_t at = 0;
  for (const std::size_t cut : cuts) {
    // A piece is fed again from where Send left it.
    while (at < cut) {
      const std::string piece(bytes.substr(at, cut - at));
      const ProxyHandshake::Step step = handshake.feed(piece);
      REQUIRE(step.consumed <= piece.size());
      REQUIRE((step.what != What::NeedMore || step.consumed == piece.size()));
      REQUIRE((step.what != What::Send || !step.send.empty()));
      at += step.consumed;
      outcome.what = step.what;
      outcome.sent += step.send;
      outcome.error = step.error;
      if (step.what == What::Done || step.what == What::Failed) {
        outcome.left = step.what == What::Done ? std::string(bytes.substr(at)) : "";
        return outcome;
      }
    }
  }
  return outcome;
}

/// The outcome in one piece, after checking that it is the same for every cut in two, for each
/// byte alone, and for every shorter prefix that it is the same or "not yet".
Outcome runEveryWay(const ProxyHandshake& handshake, std::string_view bytes) {
  const Outcome whole = run(handshake, bytes, {});
  std::vector<std::size_t> everywhere;
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(run(handshake, bytes, {cut}) == whole);
    everywhere.push_back(cut);
    const What prefix = run(handshake, bytes.substr(0, cut), {}).what;
    const bool isNotYet = prefix == What::NeedMore || prefix == What::Send;
    const bool isFinal = prefix == whole.what;
    CHECK((isNotYet || isFinal));
  }
  CHECK(run(handshake, bytes, everywhere) == whole);
  return whole;
}

/// Size byte and value.
std::string sized(const std::string& value) {
  return std::string(1, static_cast<char>(value.size())) + value;
}

const std::string kConnectByName = "\x05\x01\x00\x03\x0b"s + "example.com" + "\x01\xbb"s;
const std::string kReplyIpv4 = "\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90"s;

}  // namespace

TEST_CASE("proxy: SOCKS5 without authentication, for every form of the reply's address (RFC 1928)") {
  const auto handshake = ProxyHandshake::socks5("example.com", 443);
  CHECK(handshake.start() == "\x05\x01\x00"s);
  const std::string replies[] = {
      kReplyIpv4,
      "\x05\x00\x00\x04"s + std::string(16, '\x01') + "\x1f\x90",
      "\x05\x00\x00\x03"s + sized("bound.example") + "\x1f\x90",
      "\x05\x00\x00\x03"s + sized("") + "\x1f\x90",
      "\x05\x00\x00\x03"s + sized(std::string(255, 'n')) + "\x1f\x90",
  };
  for (const std::string& reply : replies) {
    CHECK(runEveryWay(handshake, "\x05\x00"s + reply) == Outcome{What::Done, kConnectByName, "", ""});
    CHECK(runEveryWay(handshake, "\x05\x00"s + reply + "left over\0"s) ==
          Outcome{What::Done, kConnectByName, "", "left over\0"s});
  }
}

TEST_CASE("proxy: SOCKS5 sends an IP literal as an address and leaves a name to the proxy") {
  const struct {
    std::string_view host;
    std::string request;
  } cases[] = {
      {"1.2.3.4", "\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"s},
      {"::1", "\x05\x01\x00\x04"s + std::string(15, '\0') + "\x01\x00\x50"s},
      {"a", "\x05\x01\x00\x03\x01"s + "a" + "\x00\x50"s},
      {"1.2.3", "\x05\x01\x00\x03\x05"s + "1.2.3" + "\x00\x50"s},
  };
  for (const auto& c : cases) {
    CAPTURE(c.host);
    CHECK(run(ProxyHandshake::socks5(c.host, 80), "\x05\x00"s + kReplyIpv4, {}) ==
          Outcome{What::Done, c.request, "", ""});
  }
}

TEST_CASE("proxy: SOCKS5 with user name and password (RFC 1929)") {
  const auto handshake = ProxyHandshake::socks5("example.com", 443, "tom", "secret");
  CHECK(handshake.start() == "\x05\x02\x00\x02"s);
  const std::string login = "\x01\x03"s + "tom" + "\x06" + "secret";
  CHECK(runEveryWay(handshake, "\x05\x02\x01\x00"s + kReplyIpv4 + "!") ==
        Outcome{What::Done, login + kConnectByName, "", "!"});
  // A proxy that wants no login is not given one.
  CHECK(runEveryWay(handshake, "\x05\x00"s + kReplyIpv4) == Outcome{What::Done, kConnectByName, "", ""});
  CHECK(runEveryWay(handshake, "\x05\x02\x01\x01"s) ==
        Outcome{What::Failed, login,
                "SOCKS5 proxy: authentication failed: user name or password not accepted", ""});
  CHECK(runEveryWay(handshake, "\x05\x02\x05\x00"s) ==
        Outcome{What::Failed, login, "SOCKS5 proxy: malformed answer to the authentication", ""});
  // Only one of the two given is still a login.
  CHECK(ProxyHandshake::socks5("a", 1, "tom").start() == "\x05\x02\x00\x02"s);
  CHECK(ProxyHandshake::socks5("a", 1, "", "secret").start() == "\x05\x02\x00\x02"s);
}

TEST_CASE("proxy: SOCKS5 method refusals") {
  const auto anonymous = ProxyHandshake::socks5("a", 1);
  const auto withLogin = ProxyHandshake::socks5("a", 1, "tom", "secret");
  const struct {
    const ProxyHandshake* handshake;
    std::string answer;
    std::string_view cause;
  } cases[] = {
      {&anonymous, "\x05\xff"s, "it wants a user name and password"},
      {&withLogin, "\x05\xff"s, "it takes none of the methods offered"},
      {&anonymous, "\x05\x02"s, "it chose a method not offered"},
      {&anonymous, "\x05\x01"s, "it chose a method not offered"},
      {&withLogin, "\x05\x03"s, "it chose a method not offered"},
      {&anonymous, "\x04\x00"s, "no SOCKS5 proxy"},
      {&anonymous, "HTTP/1.1 400 Bad Request\r\n\r\n"s, "no SOCKS5 proxy"},
      {&anonymous, "\x00"s, "no SOCKS5 proxy"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = runEveryWay(*c.handshake, c.answer);
    CHECK(outcome.what == What::Failed);
    CHECK_MESSAGE(outcome.error.find(c.cause) != std::string::npos, outcome.error);
  }
}

TEST_CASE("proxy: SOCKS5 says each failure in words, as soon as its byte is there (RFC 1928 section 6)") {
  const struct {
    char reply;
    std::string words;
  } cases[] = {
      {1, "general failure of the proxy"},
      {2, "connection not allowed by the proxy's rules"},
      {3, "network unreachable"},
      {4, "host unreachable"},
      {5, "connection refused"},
      {6, "TTL expired"},
      {7, "command not supported"},
      {8, "address type not supported"},
      {9, "unknown reply 9"},
      {'\xff', "unknown reply 255"},
  };
  const auto handshake = ProxyHandshake::socks5("example.com", 443);
  for (const auto& c : cases) {
    const std::string refused = "\x05\x00\x05"s + c.reply;
    const Outcome expected{What::Failed, kConnectByName, "SOCKS5 proxy: connect failed: " + c.words, ""};
    CHECK(runEveryWay(handshake, refused) == expected);
    CHECK(runEveryWay(handshake, refused + "\x00\x01"s + std::string(6, '\0')) == expected);
  }
  for (const char type : {'\x00', '\x02', '\x05', '\xff'}) {
    CHECK(runEveryWay(handshake, "\x05\x00\x05\x00\x00"s + type + std::string(20, 'x')).error ==
          "SOCKS5 proxy: malformed answer to the connect request: unknown address type");
  }
  CHECK(runEveryWay(handshake, "\x05\x00\x01\x00"s).error ==
        "SOCKS5 proxy: malformed answer to the connect request");
}

TEST_CASE("proxy: HTTP CONNECT's request (RFC 9110 section 9.3.6)") {
  CHECK(ProxyHandshake::httpConnect("example.com", 443).start() ==
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Connection: keep-alive\r\n\r\n");
  CHECK(ProxyHandshake::httpConnect("::1", 80, "Basic dG9tOnNlY3JldA==").start() ==
        "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\nProxy-Authorization: Basic dG9tOnNlY3JldA==\r\n"
        "Proxy-Connection: keep-alive\r\n\r\n");
}

TEST_CASE("proxy: HTTP Basic credentials (RFC 7617 section 2)") {
  CHECK(ProxyHandshake::basicAuthorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK(ProxyHandshake::basicAuthorization("tom", "") == "Basic dG9tOg==");
  CHECK(ProxyHandshake::basicAuthorization("", "a:b") == "Basic OmE6Yg==");
  CHECK(ProxyHandshake::basicAuthorization(std::string(1000, 'u'), "x").size() == 6 + 1336);
  CHECK_THROWS_AS(ProxyHandshake::basicAuthorization("a:b", ""), std::invalid_argument);
  CHECK_THROWS_AS(ProxyHandshake::basicAuthorization("a\n", ""), std::invalid_argument);
  CHECK_THROWS_AS(ProxyHandshake::basicAuthorization("a", "\0"s), std::invalid_argument);
}

TEST_CASE("proxy: what is awaited is said in words") {
  auto socks = ProxyHandshake::socks5("a", 1, "tom", "secret");
  CHECK(socks.awaited() == "the SOCKS5 proxy's choice of a method"sv);
  static_cast<void>(socks.feed("\x05\x02"s));
  CHECK(socks.awaited() == "the SOCKS5 proxy's answer to the login"sv);
  static_cast<void>(socks.feed("\x01\x00"s));
  CHECK(socks.awaited() == "the SOCKS5 proxy's answer to the connect request"sv);
  static_cast<void>(socks.feed(kReplyIpv4));
  CHECK(socks.awaited() == "nothing"sv);
  CHECK(ProxyHandshake::httpConnect("a", 1).awaited() == "the HTTP proxy's answer"sv);
}

TEST_CASE("proxy: HTTP CONNECT succeeds with any 2xx, whatever its headers, and keeps what follows") {
  const auto handshake = ProxyHandshake::httpConnect("example.com", 443);
  const std::string heads[] = {
      "HTTP/1.1 200 Connection established\r\n\r\n",
      "HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 5\r\n\r\n",
      "HTTP/1.1 200\r\n\r\n",
      "HTTP/1.1 200 \r\n\r\n",
      "HTTP/1.1 299 Odd\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
  };
  for (const std::string& head : heads) {
    CAPTURE(head);
    CHECK(runEveryWay(handshake, head) == Outcome{What::Done, "", "", ""});
    CHECK(runEveryWay(handshake, head + "\r\n\r\nHTTP/1.1 left over") ==
          Outcome{What::Done, "", "", "\r\n\r\nHTTP/1.1 left over"});
  }
}

TEST_CASE("proxy: HTTP CONNECT refused or answered with something else") {
  const auto handshake = ProxyHandshake::httpConnect("example.com", 443);
  const struct {
    std::string answer, error;
  } cases[] = {
      {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\nbody",
       "Proxy CONNECT failed: 407 Proxy Authentication Required"},
      {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "Proxy CONNECT failed: 502 Bad Gateway"},
      {"HTTP/1.1 301\r\nLocation: /\r\n\r\n", "Proxy CONNECT failed: 301"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Proxy CONNECT failed: 101 Switching Protocols"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", "Proxy CONNECT failed: 403 No"},
      {"HTTP/1.1 500 " + std::string(1000, 'x') + "\r\n\r\n",
       "Proxy CONNECT failed: 500 " + std::string(199, 'x')},
      {"HTTP/1.1 20 OK\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1  200 OK\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.x 200 OK\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1200 OK\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1 +20 OK\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1 407 a\x1b[2J\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1 \r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/1.1 1\r\n\r\n", "Proxy CONNECT failed: malformed status line"},
      {"HTTP/2 200\r\n\r\n", "Proxy CONNECT failed: what answers is no HTTP/1 proxy"},
      {"\x05\x00", "Proxy CONNECT failed: what answers is no HTTP/1 proxy"},
      {"SSH-2.0-OpenSSH\r\n", "Proxy CONNECT failed: what answers is no HTTP/1 proxy"},
      {"h", "Proxy CONNECT failed: what answers is no HTTP/1 proxy"},
      {"HTTP/1.1 100 Continue\r\n\r\ngarbage", "Proxy CONNECT failed: what answers is no HTTP/1 proxy"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.answer);
    CHECK(runEveryWay(handshake, c.answer) == Outcome{What::Failed, "", c.error, ""});
  }
}

TEST_CASE("proxy: HTTP CONNECT's answer has a limit: exactly it passes, one byte more does not") {
  const auto handshake = ProxyHandshake::httpConnect("example.com", 443);
  const std::string first = "HTTP/1.1 200 OK\r\nX: ";
  const auto answer = [&](std::size_t size) {
    return first + std::string(size - first.size() - 4, 'x') + "\r\n\r\n";
  };
  const std::string tooLong = "Proxy CONNECT failed: its answer has more than 16384 bytes";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, std::size_t{100'000}}) {
    CAPTURE(piece);
    const auto feedAll = [&](const std::string& bytes) {
      std::vector<std::size_t> cuts;
      for (std::size_t at = piece; at < bytes.size(); at += piece) {
        cuts.push_back(at);
      }
      return run(handshake, bytes, cuts);
    };
    CHECK(feedAll(answer(ProxyHandshake::kMaxHead)).what == What::Done);
    CHECK(feedAll(answer(ProxyHandshake::kMaxHead) + "left") == Outcome{What::Done, "", "", "left"});
    CHECK(feedAll(answer(ProxyHandshake::kMaxHead + 1)) == Outcome{What::Failed, "", tooLong, ""});
    CHECK(feedAll(first + std::string(100'000, 'x')) == Outcome{What::Failed, "", tooLong, ""});
  }
  // Interim answers count, so that they cannot go on for ever.
  std::string interim;
  while (interim.size() < 2 * ProxyHandshake::kMaxHead) {
    interim += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  CHECK(run(handshake, interim, {}) == Outcome{What::Failed, "", tooLong, ""});
}

TEST_CASE("proxy: after the end it says the same again and consumes nothing") {
  auto done = ProxyHandshake::socks5("a", 1);
  static_cast<void>(done.feed("\x05\x00"s));
  CHECK(done.feed(kReplyIpv4).what == What::Done);
  CHECK(done.feed("more").what == What::Done);
  CHECK(done.feed("more").consumed == 0);
  auto failed = ProxyHandshake::httpConnect("a", 1);
  CHECK(failed.feed("x").what == What::Failed);
  const auto again = failed.feed("HTTP/1.1 200 OK\r\n\r\n");
  CHECK(again.what == What::Failed);
  CHECK(again.consumed == 0);
  CHECK(again.error == "Proxy CONNECT failed: what answers is no HTTP/1 proxy");
  auto waiting = ProxyHandshake::httpConnect("a", 1);
  CHECK(waiting.feed("").what == What::NeedMore);
}

TEST_CASE("proxy: fields are checked before anything is sent: 255 bytes, no control characters") {
  const std::string longest(255, 'x');
  const std::string tooLong(256, 'x');
  CHECK_NOTHROW(ProxyHandshake::socks5(longest, 1, longest, longest));
  const struct {
    std::string host;
    std::uint16_t port;
    std::string user, password;
  } bad[] = {
      {tooLong, 1, "", ""}, {"a", 1, tooLong, ""},    {"a", 1, "", tooLong},    {"", 1, "", ""},
      {"a", 0, "", ""},     {"a\r\nb", 1, "", ""},    {"a b", 1, "", ""},       {"a\0"s, 1, "", ""},
      {"a\n", 1, "", ""},   {"a\x7f", 1, "tom", "x"}, {"h\xC3\xB6", 1, "", ""}, {"a/b", 1, "", ""},
      {"u@a", 1, "", ""},   {"a:b", 1, "", ""},       {"[::1]", 1, "", ""},     {"a\"b", 1, "", ""},
      {"a?b", 1, "", ""},   {"::1%lo", 1, "", ""},
  };
  for (const auto& c : bad) {
    CAPTURE(c.host);
    CHECK_THROWS_AS(ProxyHandshake::socks5(c.host, c.port, c.user, c.password), std::invalid_argument);
    if (c.user.size() <= 255 && c.password.size() <= 255) {
      CHECK_THROWS_AS(ProxyHandshake::httpConnect(c.host, c.port), std::invalid_argument);
    }
  }
  for (const std::string& authorization : {"a\r\nX: y"s, "a\n"s, "a\0"s}) {
    CHECK_THROWS_AS(ProxyHandshake::httpConnect("a", 1, authorization), std::invalid_argument);
  }
  // A password is bytes: RFC 1929 restricts nothing but its length.
  CHECK_NOTHROW(ProxyHandshake::socks5("a", 1, "tom", "\r\n"));
}
