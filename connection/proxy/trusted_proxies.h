#pragma once

/// Whose word about a client's address is believed (internal).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../socket.h"

namespace Workerman::Connection::detail {

/// The parsed form of Worker::trustedProxies.
class TrustedProxies {
 public:
  /// IP addresses ("::1"), networks ("10.0.0.0/8"), and "unix" for who connects to a unix socket.
  /// @throws std::invalid_argument naming the entry that is none of these.
  explicit TrustedProxies(const std::vector<std::string>& entries);

  /// An IPv4 address that a dual-stack socket shows as `::ffff:10.0.0.1` counts as IPv4.
  bool trusts(const SocketAddress& peer) const noexcept;
  bool empty() const noexcept { return networks_.empty() && !trustsUnix_; }

 private:
  struct Network {
    /// In IPv6's form; IPv4 as IPv4-mapped.
    unsigned char bytes[16];
    unsigned bits;
  };
  static Network parse(std::string_view entry);

  std::vector<Network> networks_;
  bool trustsUnix_ = false;
};

}  // namespace Workerman::Connection::detail
