#include "connection/names/address.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

using Workerman::Connection::detail::Address;
using Workerman::Connection::detail::AddressKind;
using Workerman::Connection::detail::formatAddress;
using Workerman::Connection::detail::isSameScheme;
using Workerman::Connection::detail::parseListenAddress;
using Workerman::Connection::detail::parseRemoteAddress;

TEST_CASE("address: scheme, host, port and target as PHP's parse_url and Worker take them") {
  const struct {
    std::string_view text, scheme, host;
    std::uint16_t port;
    std::string_view target;
  } cases[] = {
      {"ws://127.0.0.1:1234", "ws", "127.0.0.1", 1234, "/"},
      {"ws://example.com", "ws", "example.com", 0, "/"},
      {"wss://example.com/chat", "wss", "example.com", 0, "/chat"},
      {"ws://example.com:80/a/b?x=1&y=://", "ws", "example.com", 80, "/a/b?x=1&y=://"},
      {"ws://example.com?x=1", "ws", "example.com", 0, "/?x=1"},
      {"ws://example.com/?", "ws", "example.com", 0, "/?"},
      {"ws://example.com/a@b:c", "ws", "example.com", 0, "/a@b:c"},
      {"ws://example.com/\xc3\xa4", "ws", "example.com", 0, "/\xc3\xa4"},
      {"tcp://my_host-1.local:65535", "tcp", "my_host-1.local", 65535, "/"},
      {"tcp://localhost:0", "tcp", "localhost", 0, "/"},
      {"tcp://localhost:00080", "tcp", "localhost", 80, "/"},
      {"text://0.0.0.0:5678", "text", "0.0.0.0", 5678, "/"},
      {"frame://0.0.0.0:5678", "frame", "0.0.0.0", 5678, "/"},
      {"udp://0.0.0.0:9", "udp", "0.0.0.0", 9, "/"},
      {"ssl://a.b:443", "ssl", "a.b", 443, "/"},
      {"WS://Example.COM:80", "ws", "Example.COM", 80, "/"},
      {"Websocket://a:80", "websocket", "a", 80, "/"},
      {"JsonNL://127.0.0.1:1", "JsonNL", "127.0.0.1", 1, "/"},
      {"jsonNL://127.0.0.1:1", "jsonNL", "127.0.0.1", 1, "/"},
      {"127.0.0.1:1234", "tcp", "127.0.0.1", 1234, "/"},
      {"localhost", "tcp", "localhost", 0, "/"},
      {"localhost:80/?next=http://x", "tcp", "localhost", 80, "/?next=http://x"},
      {"[::1]:80", "tcp", "::1", 80, "/"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    for (const Address& address : {parseRemoteAddress(c.text), parseListenAddress(c.text)}) {
      CHECK(address.scheme == c.scheme);
      CHECK(address.host == c.host);
      CHECK(address.port == c.port);
      CHECK(address.target == c.target);
      CHECK_FALSE(address.isUnix);
      CHECK(address.zone.empty());
      CHECK(address.isIpv6Literal == (c.host == "::1"));
      CHECK(address.hostWithZone() == c.host);
    }
  }
}

TEST_CASE("address: IPv6 literals lose their brackets, zones stand apart (RFC 3986, RFC 6874)") {
  const struct {
    std::string_view text, host, zone, withZone;
    std::uint16_t port;
  } cases[] = {
      {"tcp://[::1]:80", "::1", "", "::1", 80},
      {"ws://[2001:db8::1]", "2001:db8::1", "", "2001:db8::1", 0},
      {"ws://[::ffff:1.2.3.4]:9", "::ffff:1.2.3.4", "", "::ffff:1.2.3.4", 9},
      {"tcp://[fe80::1%eth0]:80", "fe80::1", "eth0", "fe80::1%eth0", 80},
      {"tcp://[fe80::1%25eth0]:80", "fe80::1", "eth0", "fe80::1%eth0", 80},
      {"tcp://[fe80::1%2]:80", "fe80::1", "2", "fe80::1%2", 80},
      {"tcp://[fe80::1%25]:80", "fe80::1", "25", "fe80::1%25", 80},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const Address address = parseRemoteAddress(c.text);
    CHECK(address.host == c.host);
    CHECK(address.zone == c.zone);
    CHECK(address.hostWithZone() == c.withZone);
    CHECK(address.port == c.port);
    CHECK(address.isIpv6Literal);
  }
}

TEST_CASE("address: a unix address is all path behind the slashes") {
  const struct {
    std::string_view text;
    AddressKind kind;
    std::string_view scheme, path;
  } cases[] = {
      {"unix:///tmp/a.sock", AddressKind::Inet, "unix", "/tmp/a.sock"},
      {"unix://relative.sock", AddressKind::Inet, "unix", "relative.sock"},
      {"UNIX:///tmp/a.sock", AddressKind::Inet, "unix", "/tmp/a.sock"},
      {"unix:///tmp/with space?#@.sock", AddressKind::Inet, "unix", "/tmp/with space?#@.sock"},
      {"text:///tmp/a.sock", AddressKind::Unix, "text", "/tmp/a.sock"},
      {"JsonNL:///tmp/a.sock", AddressKind::Unix, "JsonNL", "/tmp/a.sock"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const Address address = parseListenAddress(c.text, c.kind);
    CHECK(address.isUnix);
    CHECK(address.scheme == c.scheme);
    CHECK(address.unixPath == c.path);
    CHECK(address.host.empty());
    CHECK(address.port == 0);
  }
}

TEST_CASE("address: what cannot be parsed throws and names the one cause") {
  const struct {
    std::string_view text, cause;
  } cases[] = {
      {"", "it is empty"},
      {"ws://", "the host is missing"},
      {"ws:///path", "the host is missing"},
      {"ws://:80", "the host is missing"},
      {":80", "the host is missing"},
      {"/tmp/a.sock", "the host is missing"},
      {"unix://", "no path of a unix socket"},
      {"://host", "the scheme in front"},
      {"1ws://host", "a scheme is a letter"},
      {"my-proto://host", "a scheme is a letter"},
      {"a.b://host", "a scheme is a letter"},
      {"ws://host:", "the port behind : is missing"},
      {"ws://host:/", "the port behind : is missing"},
      {"ws://host:abc", "the port is not a number"},
      {"ws://host:-1", "the port is not a number"},
      {"ws://host:+1", "the port is not a number"},
      {"ws://host:80x", "the port is not a number"},
      {"ws:host", "the port is not a number"},
      {"ws://host:65536", "the port is above 65535"},
      {"ws://host:4294967376", "the port is above 65535"},
      {"ws://host:99999999999999999999999", "the port is above 65535"},
      {"ws://::1:80", "written in brackets"},
      {"ws://::1", "written in brackets"},
      {"ws://[::1", "the ] of the IPv6 address is missing"},
      {"ws://[]:80", "no IPv6 address"},
      {"ws://[1.2.3.4]:80", "no IPv6 address"},
      {"ws://[host]:80", "no IPv6 address"},
      {"ws://[::1]80", "only a port may follow the ]"},
      {"ws://[::1]:", "the port behind : is missing"},
      {"ws://[fe80::1%]:80", "the zone behind % is missing"},
      {"ws://[fe80::1%a,b]:80", "the zone behind % holds an illegal character"},
      {"ws://user:pass@host", "user and password"},
      {"ws://user@host/", "user and password"},
      {"ws://host/#top", "a fragment"},
      {"ws://host#top", "a fragment"},
      {"ws://ho st/", "it holds a space"},
      {"ws://host/a b", "it holds a space"},
      {" ws://host", "a scheme is a letter"},
      {"ws://host ", "it holds a space"},
      {"ws://ho\"st", "the host holds an illegal character"},
      {"ws://ho%41st", "the host holds an illegal character"},
      {"ws://h\xc3\xb6st", "the host holds an illegal character"},
      {"ws://host\\path", "the host holds an illegal character"},
      {"ws://host/a\r\nb", "it holds a control character"},
      {"ws://ho\nst", "it holds a control character"},
      {"ws://host/\t", "it holds a control character"},
      {"ws://host/\x7f", "it holds a control character"},
      {std::string_view("ws://host/\0", 11), "it holds a control character"},
      {"unix:///tmp/a\n", "it holds a control character"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    std::string message;
    try {
      parseRemoteAddress(c.text);
    } catch (const std::invalid_argument& error) {
      message = error.what();
    }
    CHECK(message.rfind("Bad remoteAddress \"", 0) == 0);
    CHECK_MESSAGE(message.find(c.cause) != std::string::npos, message);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.find('\0') == std::string::npos);
  }
}

TEST_CASE("address: every control character is refused wherever it stands") {
  for (int byte = 0; byte < 256; ++byte) {
    if (byte >= 0x20 && byte != 0x7f) {
      continue;
    }
    const std::string address = "ws://host:80/path";
    for (std::size_t at = 0; at <= address.size(); ++at) {
      std::string bad = address;
      bad.insert(at, 1, static_cast<char>(byte));
      CAPTURE(byte);
      CAPTURE(at);
      CHECK_THROWS_AS(parseRemoteAddress(bad), std::invalid_argument);
    }
  }
}

TEST_CASE("address: a listen address says so in its error, a long one is cut there") {
  CHECK_THROWS_WITH(parseListenAddress("text://0.0.0.0:x"),
                    "Bad listen address \"text://0.0.0.0:x\": the port is not a number");
  CHECK_THROWS_WITH(parseRemoteAddress("ws://a\x01"),
                    "Bad remoteAddress \"ws://a\\x01\": it holds a control character");
  std::string message;
  try {
    parseRemoteAddress("ws://" + std::string(100'000, '#'));
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  CHECK(message.size() > 200);
  CHECK(message.size() < 400);
}

TEST_CASE("address: formatting puts IPv6 into brackets (api.md, Addresses)") {
  CHECK(formatAddress("1.2.3.4", 80) == "1.2.3.4:80");
  CHECK(formatAddress("::1", 80) == "[::1]:80");
  CHECK(formatAddress("fe80::1%eth0", 65535) == "[fe80::1%eth0]:65535");
  CHECK(formatAddress("name", 0) == "name:0");
}

TEST_CASE("address: schemes are compared as PHP's ucfirst makes class names of them") {
  const struct {
    std::string_view left, right;
    bool isSame;
  } cases[] = {
      {"JsonNL", "JsonNL", true},
      {"jsonNL", "JsonNL", true},
      {"JsonNL", "jsonNL", true},
      {"jsonnl", "JsonNL", false},
      {"JSONNL", "JsonNL", false},
      {"Json", "JsonNL", false},
      {"", "", true},
      {"", "a", false},
      {"1a", "1a", true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.left);
    CAPTURE(c.right);
    CHECK(isSameScheme(c.left, c.right) == c.isSame);
  }
}
