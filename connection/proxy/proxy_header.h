#pragma once

/// The PROXY protocol: what a proxy says about a client before the client's own bytes (internal).

#include <cstddef>
#include <optional>
#include <string_view>

#include "../socket.h"

namespace Workerman::Connection::detail {

/// A version 1 header with its line end.
constexpr std::size_t kLongestProxyLine = 107;
/// Signature, command, family and length of a version 2 header.
constexpr std::size_t kProxyHeadSize = 16;
/// What may follow that: addresses (up to 216 bytes) and the proxy's own fields. The length could say
/// 65,535; no proxy has that much to tell.
constexpr std::size_t kLongestProxyBody = 4096;

/// What the first bytes of a connection are.
struct ProxyHeader {
  enum class What {
    /// All bytes given belong to a header, and more are to come.
    NeedMore,
    /// A whole header.
    Whole,
    /// No header, or a broken one: `error` says why.
    Bad,
  };
  What what = What::NeedMore;
  /// How many bytes of those given are the header's; 0 for Bad.
  std::size_t size = 0;
  /// The client's address and port. None where the proxy speaks for itself (LOCAL), does not know
  /// (UNKNOWN), or names a unix socket: then the socket's own address counts.
  std::optional<SocketAddress> source{};
  const char* error = nullptr;
};

/// Reads a header of either version. Pure; says Bad with the first byte that no header has there.
/// @see https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt section 2
[[nodiscard]] ProxyHeader parseProxyHeader(std::string_view bytes);

}  // namespace Workerman::Connection::detail
