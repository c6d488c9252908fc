#include "connection/proxy/trusted_proxies.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

using namespace Workerman::Connection::detail;

namespace {

bool trusts(const std::vector<std::string>& entries, const std::string& ip) {
  return TrustedProxies(entries).trusts(SocketAddress::fromLiteral(ip, 1).value());
}

}  // namespace

TEST_CASE("trusted proxies: addresses and networks of both families") {
  const struct {
    const char *entry, *ip;
    bool isTrusted;
  } cases[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"10.1.2.3/8", "10.9.9.9", true},
      {"10.0.0.0/9", "10.127.255.255", true},
      {"10.0.0.0/9", "10.128.0.0", false},
      {"192.168.1.4/30", "192.168.1.7", true},
      {"192.168.1.4/30", "192.168.1.8", false},
      {"192.168.1.4/30", "192.168.1.3", false},
      {"127.0.0.1", "127.0.0.1", true},
      {"127.0.0.1", "127.0.0.2", false},
      {"127.0.0.1/32", "127.0.0.1", true},
      {"0.0.0.0/0", "203.0.113.7", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "2001:db8::1", true},
      {"::1", "::1", true},
      {"::1", "::2", false},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"2001:db8::/127", "2001:db8::1", true},
      {"2001:db8::/127", "2001:db8::2", false},
      // What a dual-stack socket shows of an IPv4 peer.
      {"10.0.0.0/8", "::ffff:10.1.1.1", true},
      {"10.0.0.0/8", "::ffff:11.1.1.1", false},
      {"::ffff:10.0.0.0/104", "10.1.1.1", true},
      {"unix", "127.0.0.1", false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.entry);
    CAPTURE(c.ip);
    CHECK(trusts({c.entry}, c.ip) == c.isTrusted);
    CHECK(trusts({"192.0.2.77", c.entry}, c.ip) == c.isTrusted);
  }
  CHECK_FALSE(trusts({}, "127.0.0.1"));
}

TEST_CASE("trusted proxies: unix peers only by name") {
  const SocketAddress named = SocketAddress::fromUnixPath("/tmp/x.sock");
  CHECK(TrustedProxies({"unix"}).trusts(named));
  CHECK(TrustedProxies({"::1", "unix"}).trusts(SocketAddress()));
  CHECK_FALSE(TrustedProxies({"0.0.0.0/0", "::/0"}).trusts(named));
  CHECK(TrustedProxies({}).empty());
  CHECK_FALSE(TrustedProxies({"unix"}).empty());
  CHECK_FALSE(TrustedProxies({"::1"}).empty());
}

TEST_CASE("trusted proxies: an entry that is neither is named") {
  for (const std::string entry :
       {"", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "10.0.0/8", "::1/129",
        "[::1]", "fe80::1%lo", "10.0.0.1:80", "/8", "10.0.0.0/8/8", "Unix"}) {
    CAPTURE(entry);
    try {
      TrustedProxies({"::1", entry});
      FAIL("not refused");
    } catch (const std::invalid_argument& e) {
      CHECK(std::string(e.what()).find("trustedProxies: \"" + entry + "\"") == 0);
    }
  }
}
