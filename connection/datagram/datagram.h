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
  /// and forgotten, such as an earlier datagram that met a closed port.
  int receive(int fd) noexcept;

  std::string_view bytes(int i) const noexcept;
  SocketAddress peer(int i) const noexcept;

 private:
  std::array<mmsghdr, kSlots> headers_;
  std::array<iovec, kSlots> parts_;
  std::array<sockaddr_storage, kSlots> peers_;
};

/// Sends one datagram, to `peer` unless that is null. False: not sent, with errno.
bool sendDatagram(int fd, const SocketAddress* peer, std::string_view head, std::string_view body,
                  std::string_view tail) noexcept;

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
