#include "trusted_proxies.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <stdexcept>

namespace Workerman::Connection::detail {

namespace {

constexpr unsigned kMappedBits = 96;
constexpr unsigned char kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// IPv6's sixteen bytes, of an IPv4 address those of its IPv4-mapped form.
void copyBytes(const SocketAddress& address, unsigned char* bytes) noexcept {
  if (address.family() == AF_INET6) {
    std::memcpy(bytes, &reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr, 16);
  } else {
    std::memcpy(bytes, kMappedPrefix, sizeof kMappedPrefix);
    std::memcpy(bytes + sizeof kMappedPrefix, &reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr,
                4);
  }
}

/// Whether the first `bits` bits are the same.
bool haveSamePrefix(const unsigned char* left, const unsigned char* right, unsigned bits) noexcept {
  const unsigned bytes = bits / 8;
  if (std::memcmp(left, right, bytes) != 0) return false;
  return bits % 8 == 0 || (left[bytes] ^ right[bytes]) >> (8 - bits % 8) == 0;
}

std::optional<unsigned> parseBits(std::string_view text, unsigned most) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || bits > most) return {};
  return bits;
}

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    if (entry == "unix") {
      trustsUnix_ = true;
    } else {
      networks_.push_back(parse(entry));
    }
  }
}

TrustedProxies::Network TrustedProxies::parse(std::string_view entry) {
  const std::size_t slash = entry.find('/');
  const std::string_view ip = entry.substr(0, slash);
  // A zone would be ignored: an address of a network card is no network.
  const auto address =
      ip.find('%') == std::string_view::npos ? SocketAddress::fromLiteral(ip, 0) : std::nullopt;
  const unsigned before = address && address->family() == AF_INET ? kMappedBits : 0;
  std::optional<unsigned> bits = 128 - before;
  if (slash != std::string_view::npos) bits = parseBits(entry.substr(slash + 1), 128 - before);
  if (!address || !bits) {
    throw std::invalid_argument("trustedProxies: \"" + std::string(entry) +
                                "\" is no IP address or network, as in \"10.0.0.0/8\" or \"::1\"");
  }
  Network network{};
  copyBytes(*address, network.bytes);
  network.bits = before + *bits;
  return network;
}

bool TrustedProxies::trusts(const SocketAddress& peer) const noexcept {
  if (!peer.isIp()) return trustsUnix_;
  unsigned char bytes[16];
  copyBytes(peer, bytes);
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return haveSamePrefix(bytes, network.bytes, network.bits);
  });
}

}  // namespace Workerman::Connection::detail
