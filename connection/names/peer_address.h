#pragma once

/// Whom a connection talks to (internal).

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace Workerman::Connection::detail {

class SocketAddress;

/// An address in eight bytes: IPv4 and its port lie in them, anything else on the heap.
///
/// Most connections are never asked who they are, so that text is made when somebody does.
class PeerAddress {
 public:
  /// None.
  PeerAddress() noexcept = default;
  /// An IP address, or a unix socket's path; none for an unnamed one.
  explicit PeerAddress(const SocketAddress& address);
  PeerAddress(PeerAddress&& other) noexcept : bits_(std::exchange(other.bits_, 0)) {}
  PeerAddress& operator=(PeerAddress&& other) noexcept {
    std::swap(bits_, other.bits_);
    return *this;
  }
  ~PeerAddress() {
    if (isOnHeap()) drop();
  }

  bool isSet() const noexcept { return bits_ != 0; }
  /// `1.2.3.4:80`, `[::1]:80`, the unix path; empty if there is none.
  std::string text() const;

 private:
  // The lowest bit: IPv4, the address in the upper half and the port above the bit; else a pointer or null.
  static constexpr std::uint64_t kIpv4 = 1;

  bool isOnHeap() const noexcept { return bits_ != 0 && (bits_ & kIpv4) == 0; }
  SocketAddress stored() const noexcept;
  void drop() noexcept;

  std::uint64_t bits_ = 0;
};

}  // namespace Workerman::Connection::detail
