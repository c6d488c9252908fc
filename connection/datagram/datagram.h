#pragma once

/// What everything that receives datagrams shares (internal).

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../socket.h"
#include "../stream/loop_io.h"

namespace Workerman::Connection::detail {

/// The address of this machine that a datagram was sent to, or, if that was one
/// of many (broadcast, multicast), the one to answer from.
/// @see RFC 1122 section 4.1.3.5
class LocalEnd {
 public:
  /// Not known: the system chooses.
  LocalEnd() noexcept = default;
  /// Read from what recvmsg() has given.
  explicit LocalEnd(const msghdr& message) noexcept;

  bool isKnown() const noexcept { return family_ != AF_UNSPEC; }
  SocketAddress address(std::uint16_t port) const noexcept;

  /// Room for it beside a message.
  struct Control {
    alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(in6_pktinfo))];
  };
  /// Has `message` leave from here; `control` must live as long.
  void attach(msghdr& message, Control& control) const noexcept;

 private:
  /// Of IPv6 as it is, 4 bytes of IPv4.
  in6_addr address_{};
  sa_family_t family_ = AF_UNSPEC;
  /// Of a link-local address, which means nothing without.
  std::uint32_t interface_ = 0;
};
/// Has a socket that is bound to no address in particular tell LocalEnds.
void tellLocalEnds(int fd) noexcept;

/// Datagrams read with one system call, in the thread's receive buffer: good
/// until that is read into again, so while one of our callbacks runs.
class DatagramBatch {
 public:
  /// No datagram is longer, so none is cut.
  static constexpr std::size_t kSlotSize = 64 * 1024;
  static constexpr int kSlots = LoopIo::kReceiveSize / kSlotSize;
  /// Taken in one round, so that a flood leaves time for the other sockets.
  static constexpr int kRound = 16 * kSlots;

  /// How many came; 0: none, or an error that the socket has reported with it
  /// and forgotten, such as an earlier datagram that met a closed port. -1, with
  /// errno: an error that may last.
  int receive(int fd) noexcept;

  std::string_view bytes(int i) const noexcept;
  SocketAddress peer(int i) const noexcept;
  LocalEnd local(int i) const noexcept { return LocalEnd(headers_[static_cast<std::size_t>(i)].msg_hdr); }

 private:
  std::array<mmsghdr, kSlots> headers_;
  std::array<iovec, kSlots> parts_;
  std::array<sockaddr_storage, kSlots> peers_;
  std::array<LocalEnd::Control, kSlots> controls_;
};

/// Sends one datagram, to `peer` unless that is null. False: not sent, with errno.
bool sendDatagram(int fd, const SocketAddress* peer, std::string_view head, std::string_view body,
                  std::string_view tail, const LocalEnd& from = {}) noexcept;

struct DatagramOptions {
  bool reusePort = false;
  bool broadcast = false;
  /// The system's default while not given; IPv6 only.
  std::optional<bool> v6Only{};
};
/// Opens a datagram socket, with room for bursts. -1 with errno on failure.
int openDatagramSocket(int family, const DatagramOptions& options) noexcept;

/// Logs datagrams that make no sense: one line a second at most.
class RefusedDatagrams {
 public:
  void log(std::string_view protocol, std::string_view why, const SocketAddress& peer);

 private:
  std::chrono::steady_clock::time_point last_{};
  std::uint64_t silent_ = 0;
};

}  // namespace Workerman::Connection::detail
