#include "proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>

namespace Workerman::Connection::detail {

namespace {

using What = ProxyHeader::What;
using namespace std::string_view_literals;

constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::string_view kLineStart = "PROXY ";

ProxyHeader bad(const char* error) {
  return {.what = What::Bad, .error = error};
}
ProxyHeader needMore(std::string_view bytes) {
  return {.what = What::NeedMore, .size = bytes.size()};
}
ProxyHeader whole(std::size_t size, std::optional<SocketAddress> source = {}) {
  return {.what = What::Whole, .size = size, .source = source};
}

bool beginsAlike(std::string_view bytes, std::string_view start) noexcept {
  const std::size_t size = std::min(bytes.size(), start.size());
  return bytes.substr(0, size) == start.substr(0, size);
}

SocketAddress makeAddress(int family, const char* ip, std::uint16_t port) {
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    std::memcpy(&address.sin_addr, ip, sizeof address.sin_addr);
    return {reinterpret_cast<const sockaddr*>(&address), sizeof address};
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  std::memcpy(&address.sin6_addr, ip, sizeof address.sin6_addr);
  return {reinterpret_cast<const sockaddr*>(&address), sizeof address};
}

// -- version 1 ------------------------------------------------------------------

/// A port in its only form: decimal, no sign, no leading zero, up to 65535.
std::optional<std::uint16_t> parsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool isWhole = error == std::errc() && end == text.data() + text.size();
  if (!isWhole || (text.size() > 1 && text.front() == '0')) return {};
  return port;
}

std::optional<SocketAddress> parseEnd(int family, std::string_view ip, std::string_view port) {
  const auto number = parsePort(port);
  char bytes[sizeof(in6_addr)];
  // What looks at it as a C string would not see what follows a NUL.
  if (!number || ip.find('\0') != std::string_view::npos) return {};
  if (::inet_pton(family, std::string(ip).c_str(), bytes) != 1) return {};
  return makeAddress(family, bytes, *number);
}

/// `line` without its line end.
ProxyHeader parseLine(std::string_view line, std::size_t size) {
  line.remove_prefix(kLineStart.size());
  // Of an unknown connection all else is to be ignored.
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return whole(size);
  std::array<std::string_view, 5> words;
  for (std::string_view& word : words) {
    const std::size_t end = &word == &words.back() ? line.size() : line.find(' ');
    if (end == std::string_view::npos) return bad("an address or a port is missing");
    word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  const auto& [kind, fromIp, toIp, fromPort, toPort] = words;
  if (kind != "TCP4" && kind != "TCP6") return bad("unknown family, not TCP4, TCP6 or UNKNOWN");
  const int family = kind == "TCP4" ? AF_INET : AF_INET6;
  const auto source = parseEnd(family, fromIp, fromPort);
  if (!source || !parseEnd(family, toIp, toPort)) return bad("malformed address or port");
  return whole(size, source);
}

ProxyHeader parseVersion1(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, kLongestProxyLine);
  const std::size_t lineEnd = head.find('\n');
  if (lineEnd == std::string_view::npos) {
    return head.size() < kLongestProxyLine ? needMore(bytes) : bad("the line has more than 107 bytes");
  }
  const std::string_view line = head.substr(0, lineEnd);
  if (!line.ends_with('\r')) return bad("the line does not end in CR LF");
  if (line.size() <= kLineStart.size()) return bad("the line ends too soon");
  return parseLine(line.substr(0, line.size() - 1), lineEnd + 1);
}

// -- version 2 ------------------------------------------------------------------

constexpr std::size_t kCommandAt = 12;
constexpr std::size_t kFamilyAt = 13;
constexpr std::size_t kLengthAt = 14;

std::uint16_t bigEndian16(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

/// Two addresses of `size` bytes each, then two ports; the rest is the proxy's own.
ProxyHeader parseAddresses(int family, std::size_t size, std::string_view header) {
  const std::string_view body = header.substr(kProxyHeadSize);
  if (body.size() < 2 * size + 4) return bad("its length has no room for the addresses");
  return whole(header.size(), makeAddress(family, body.data(), bigEndian16(body, 2 * size)));
}

ProxyHeader parseVersion2(std::string_view bytes) {
  constexpr unsigned kLocal = 0, kProxied = 1, kInet = 1, kInet6 = 2, kUnix = 3, kDatagram = 2;
  const auto byteAt = [&](std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[at]));
  };
  if (bytes.size() > kCommandAt) {
    if (byteAt(kCommandAt) >> 4 != 2) return bad("unknown version, not 2");
    if ((byteAt(kCommandAt) & 15) > kProxied) return bad("unknown command, not LOCAL or PROXY");
  }
  if (bytes.size() > kFamilyAt) {
    if (byteAt(kFamilyAt) >> 4 > kUnix || (byteAt(kFamilyAt) & 15) > kDatagram) return bad("unknown family");
  }
  if (bytes.size() < kProxyHeadSize) return needMore(bytes);
  const std::size_t body = bigEndian16(bytes, kLengthAt);
  if (body > kLongestProxyBody) return bad("it announces more than 4096 bytes");
  if (bytes.size() < kProxyHeadSize + body) return needMore(bytes);
  const std::string_view header = bytes.substr(0, kProxyHeadSize + body);
  const unsigned family = byteAt(kFamilyAt) >> 4;
  const bool hasTransport = (byteAt(kFamilyAt) & 15) != 0;
  if ((byteAt(kCommandAt) & 15) == kLocal || !hasTransport) return whole(header.size());
  if (family == kInet) return parseAddresses(AF_INET, sizeof(in_addr), header);
  if (family == kInet6) return parseAddresses(AF_INET6, sizeof(in6_addr), header);
  return whole(header.size());
}

}  // namespace

ProxyHeader parseProxyHeader(std::string_view bytes) {
  if (bytes.empty()) return needMore(bytes);
  if (bytes.front() == kSignature.front() && beginsAlike(bytes, kSignature)) {
    return bytes.size() < kSignature.size() ? needMore(bytes) : parseVersion2(bytes);
  }
  if (!beginsAlike(bytes, kLineStart)) return bad("the connection does not begin with one");
  return bytes.size() < kLineStart.size() ? needMore(bytes) : parseVersion1(bytes);
}

}  // namespace Workerman::Connection::detail
