#include "peer_address.h"

#include <netinet/in.h>

#include <cstring>
#include <new>

#include "../socket.h"

namespace Workerman::Connection::detail {
namespace {

constexpr unsigned kAddressShift = 32;
constexpr unsigned kPortShift = 8;

/// In front of the bytes of an address on the heap, which takes no more than it needs.
struct Stored {
  socklen_t length;
};

Stored* pointerFrom(std::uint64_t bits) noexcept {
  return reinterpret_cast<Stored*>(static_cast<std::uintptr_t>(bits));
}

}  // namespace

PeerAddress::PeerAddress(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, address.get(), sizeof ipv4);
    bits_ = std::uint64_t{ipv4.sin_addr.s_addr} << kAddressShift |
            std::uint64_t{ipv4.sin_port} << kPortShift | kIpv4;
  } else if (address.family() == AF_INET6 || !address.text().empty()) {
    auto* const stored = new (::operator new(sizeof(Stored) + address.length())) Stored{address.length()};
    std::memcpy(stored + 1, address.get(), address.length());
    bits_ = reinterpret_cast<std::uintptr_t>(stored);
  }
}

SocketAddress PeerAddress::stored() const noexcept {
  const Stored* const stored = pointerFrom(bits_);
  return SocketAddress(reinterpret_cast<const sockaddr*>(stored + 1), stored->length);
}

void PeerAddress::drop() noexcept {
  ::operator delete(pointerFrom(bits_));
}

std::string PeerAddress::text() const {
  if (isOnHeap()) return stored().text();
  if (!isSet()) return {};
  sockaddr_in ipv4{};
  ipv4.sin_family = AF_INET;
  ipv4.sin_addr.s_addr = static_cast<in_addr_t>(bits_ >> kAddressShift);
  ipv4.sin_port = static_cast<in_port_t>(bits_ >> kPortShift);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&ipv4), sizeof ipv4).text();
}

}  // namespace Workerman::Connection::detail
