#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace Workerman::Connection::detail {

/// The parts of "ws://host:port/path?query", "text://0.0.0.0:5678" or "unix:///tmp/a.sock".
struct Address {
  /// Transports and built-in protocols in lower case; any other as it was written. "tcp" if none was.
  std::string scheme = "tcp";
  /// Name or IP literal, without the brackets and the zone of an IPv6 one. Empty for unix.
  std::string host;
  /// The interface of a scoped IPv6 literal: "eth0" of `[fe80::1%eth0]`.
  std::string zone;
  /// 0 if none was written.
  std::uint16_t port = 0;
  /// Path and query, "/" if none was written: PHP's remoteURI.
  std::string target = "/";
  /// The socket's file, where `isUnix`.
  std::string unixPath;
  bool isUnix = false;
  bool isIpv6Literal = false;

  /// Host with its zone, as name look-up wants it: `fe80::1%eth0`.
  std::string hostWithZone() const { return zone.empty() ? host : host + '%' + zone; }
};

/// How the text after "scheme://" is read.
enum class AddressKind {
  /// host:port, unless the scheme is "unix".
  Inet,
  /// A path whatever the scheme: a worker whose `transport` is "unix", as in PHP.
  Unix,
};

/// Takes a client's address apart. Pure: looks no name up, opens nothing.
/// @throws std::invalid_argument "Bad remoteAddress "…": <one cause>"
/// @see Workerman manual: async-tcp-connection/__construct; RFC 3986 section 3.2; RFC 6455 section 3
Address parseRemoteAddress(std::string_view text, AddressKind kind = AddressKind::Inet);

/// As above for what a worker listens on. @throws std::invalid_argument "Bad listen address …"
Address parseListenAddress(std::string_view text, AddressKind kind = AddressKind::Inet);

/// As above for a proxy: "host:port", both needed, and nothing else.
/// @throws std::invalid_argument "Bad proxy address …"
Address parseProxyAddress(std::string_view text);

/// `1.2.3.4:80`, `name:80`, and `[::1]:80` for a host with a colon in it.
std::string formatAddress(std::string_view host, std::uint16_t port);

/// Whether two schemes name one protocol: the first letter is compared without case, as PHP's
/// `ucfirst` makes of it a class name, the others exactly.
bool isSameScheme(std::string_view left, std::string_view right) noexcept;

}  // namespace Workerman::Connection::detail
