#include "connection/proxy/proxy_header.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace Workerman::Connection::detail;
using What = ProxyHeader::What;
using namespace std::string_literals;

namespace {

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

/// A version 2 header.
std::string binary(unsigned char command, unsigned char family, const std::string& body) {
  return kSignature + static_cast<char>(command) + static_cast<char>(family) +
         static_cast<char>(body.size() >> 8) + static_cast<char>(body.size() & 0xff) + body;
}

const std::string kInetBody =
    "\xc0\x00\x02\x01\x0a\x00\x00\x01\x30\x39\x01\xbb"s;  // 192.0.2.1:12345 -> 10.0.0.1:443

std::string textOf(const ProxyHeader& header) {
  return header.source ? header.source->text() : "";
}

/// The outcome in one piece, after checking it with bytes behind it, and that each shorter prefix is
/// "not yet", or as bad as the whole. Each prefix is a string of its own, so that a read past it is seen.
ProxyHeader parseEveryWay(const std::string& bytes) {
  const ProxyHeader whole = parseProxyHeader(bytes);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    const std::string prefix = bytes.substr(0, cut);
    const ProxyHeader parsed = parseProxyHeader(prefix);
    if (parsed.what == What::NeedMore) {
      CHECK(parsed.size == cut);
      CHECK(parsed.error == nullptr);
    } else {
      CHECK(parsed.what == What::Bad);
      CHECK(whole.what == What::Bad);
      CHECK(std::string(parsed.error) == whole.error);
    }
  }
  for (const std::string& behind :
       {"\n"s, "PROXY"s, "GET / HTTP/1.1\r\n\r\n"s, "\x16\x03\x01"s, std::string(5000, '\0')}) {
    const ProxyHeader longer = parseProxyHeader(bytes + behind);
    if (whole.what == What::Whole) {
      CHECK(longer.what == What::Whole);
      CHECK(longer.size == whole.size);
      CHECK(textOf(longer) == textOf(whole));
    }
  }
  return whole;
}

void checkWhole(const std::string& bytes, const std::string& source) {
  CAPTURE(bytes);
  const ProxyHeader header = parseEveryWay(bytes);
  CHECK(header.what == What::Whole);
  CHECK(header.size == bytes.size());
  CHECK(textOf(header) == source);
}

void checkBad(const std::string& bytes, const std::string& error) {
  CAPTURE(bytes);
  const ProxyHeader header = parseEveryWay(bytes);
  CHECK(header.what == What::Bad);
  CHECK(header.size == 0);
  REQUIRE(header.error != nullptr);
  CHECK(std::string(header.error) == error);
}

}  // namespace

TEST_CASE("proxy header: version 1 (PROXY protocol section 2.1)") {
  checkWhole("PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\r\n", "192.0.2.1:12345");
  checkWhole("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535");
  checkWhole("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0");
  checkWhole("PROXY TCP6 2001:db8::1 ::1 12345 443\r\n", "[2001:db8::1]:12345");
  checkWhole(
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
      "65535\r\n",
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1]:65535");
  // Whatever follows UNKNOWN is to be ignored, up to the longest line that there is.
  checkWhole("PROXY UNKNOWN\r\n", "");
  checkWhole("PROXY UNKNOWN ffff::1 ::1 1 2\r\n", "");
  checkWhole("PROXY UNKNOWN " + std::string(kLongestProxyLine - 16, 'x') + "\r\n", "");
}

TEST_CASE("proxy header: version 1 that breaks the rules is named") {
  checkBad("PROXY UNKNOWN " + std::string(kLongestProxyLine - 15, 'x') + "\r\n",
           "the line has more than 107 bytes");
  checkBad("PROXY TCP4 " + std::string(200, '1'), "the line has more than 107 bytes");
  checkBad("PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\n", "the line does not end in CR LF");
  checkBad("PROXY \n", "the line does not end in CR LF");
  for (const char* line :
       {"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 12345\r\n", "PROXY UNKNOWNX\r\n"}) {
    checkBad(line, "an address or a port is missing");
  }
  checkBad("PROXY UDP4 192.0.2.1 10.0.0.1 12345 443\r\n", "unknown family, not TCP4, TCP6 or UNKNOWN");
  checkBad("PROXY tcp4 192.0.2.1 10.0.0.1 12345 443\r\n", "unknown family, not TCP4, TCP6 or UNKNOWN");
  checkBad("PROXY  TCP4 192.0.2.1 10.0.0.1 12345 443\r\n", "unknown family, not TCP4, TCP6 or UNKNOWN");
  for (const std::string& ends : {
           "192.0.2.1 10.0.0.1 12345 65536"s,
           "192.0.2.1 10.0.0.1 012345 443"s,
           "192.0.2.1 10.0.0.1 +1 443"s,
           "192.0.2.1 10.0.0.1 -1 443"s,
           "192.0.2.1 10.0.0.1  443"s,
           "192.0.2.1 10.0.0.1 1 443 "s,
           "192.0.2.1 10.0.0.1 1 443 5"s,
           "192.0.2.1 10.0.0.1 1 443\t"s,
           "192.0.2.256 10.0.0.1 1 2"s,
           "192.0.2 10.0.0.1 1 2"s,
           "192.0.2.1  10.0.0.1 1"s,
           "::1 ::1 1 2"s,
           "192.0.2.1 name 1 2"s,
           "192.0.2.1\0 10.0.0.1 1 2"s,
           "192.0.2.1\0x 10.0.0.1 1 2"s,
           " 192.0.2.1 10.0.0.1 1"s,
           "192.0.2.1 10.0.0.1 1 0x2"s,
           "192.0.2.1 10.0.0.1 1 2\r"s,
       }) {
    checkBad("PROXY TCP4 " + ends + "\r\n", "malformed address or port");
  }
  for (const char* ends :
       {"192.0.2.1 10.0.0.1 1 2", "[::1] [::1] 1 2", "fe80::1%lo ::1 1 2", ":: ::1::2 1 2"}) {
    checkBad("PROXY TCP6 "s + ends + "\r\n", "malformed address or port");
  }
}

TEST_CASE("proxy header: version 2 (PROXY protocol section 2.2)") {
  checkWhole(binary(0x21, 0x11, kInetBody), "192.0.2.1:12345");
  checkWhole(binary(0x21, 0x12, kInetBody), "192.0.2.1:12345");
  const std::string inet6 =
      "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07" + std::string(16, '\x01') + "\xff\xff\x00\x50"s;
  checkWhole(binary(0x21, 0x21, inet6), "[2001:db8::7]:65535");
  // The proxy's own fields behind the addresses are skipped.
  checkWhole(binary(0x21, 0x11, kInetBody + "\x04\x00\x03xyz"s), "192.0.2.1:12345");
  checkWhole(binary(0x21, 0x11, kInetBody + std::string(kLongestProxyBody - kInetBody.size(), '\x7f')),
             "192.0.2.1:12345");
  // LOCAL, an unspecified family or transport, and a unix socket tell no address.
  checkWhole(binary(0x20, 0x00, ""), "");
  checkWhole(binary(0x20, 0x11, kInetBody), "");
  checkWhole(binary(0x20, 0x11, ""), "");
  checkWhole(binary(0x21, 0x00, "anything"), "");
  checkWhole(binary(0x21, 0x10, kInetBody), "");
  checkWhole(binary(0x21, 0x01, kInetBody), "");
  checkWhole(binary(0x21, 0x31, std::string(216, '/')), "");
}

TEST_CASE("proxy header: version 2 that breaks the rules is named") {
  for (const int command : {0x11, 0x31, 0x01, 0xf1}) {
    checkBad(binary(static_cast<unsigned char>(command), 0x11, kInetBody), "unknown version, not 2");
  }
  for (const int command : {0x22, 0x2f}) {
    checkBad(binary(static_cast<unsigned char>(command), 0x11, kInetBody),
             "unknown command, not LOCAL or PROXY");
  }
  for (const int family : {0x41, 0x13, 0xff}) {
    checkBad(binary(0x21, static_cast<unsigned char>(family), kInetBody), "unknown family");
  }
  checkBad(binary(0x21, 0x11, kInetBody.substr(1)), "its length has no room for the addresses");
  checkBad(binary(0x21, 0x11, ""), "its length has no room for the addresses");
  checkBad(binary(0x21, 0x21, std::string(35, '\0')), "its length has no room for the addresses");
  checkBad(binary(0x21, 0x11, std::string(kLongestProxyBody + 1, '\0')), "it announces more than 4096 bytes");
}

TEST_CASE("proxy header: what is none is told from its first byte") {
  for (const std::string& bytes : {"GET / HTTP/1.1\r\n\r\n"s, "\x16\x03\x01"s, "proxy TCP4"s, "PROXYTCP4"s,
                                   "\r\nPROXY"s, "\r\n\r\n\0\r\nQUIX"s, " "s, "\0"s}) {
    checkBad(bytes, "the connection does not begin with one");
  }
  CHECK(parseProxyHeader("").what == What::NeedMore);
  CHECK(parseProxyHeader("").size == 0);
}
