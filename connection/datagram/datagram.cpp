#include "datagram.h"

#include <cerrno>
#include <cstring>

#include "../../core/log.h"

namespace Workerman::Connection::detail {
namespace {

/// Bytes, headers of the kernel's counted: what it grants may be less.
constexpr int kReceiveRoom = 4 * 1024 * 1024;

bool setOption(int fd, int level, int name, int value) noexcept {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/// Errors that an earlier datagram has met: the socket reports them once, at
/// whatever call comes next.
bool isAboutEarlier(int error) noexcept {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
         error == ENETDOWN || error == ENOPROTOOPT || error == EPROTO;
}

}  // namespace

int DatagramBatch::receive(int fd) noexcept {
  char* slot = LoopIo::ofThisThread().receiveBuffer();
  for (std::size_t i = 0; i < headers_.size(); ++i, slot += kSlotSize) {
    parts_[i] = {slot, kSlotSize};
    headers_[i] = {};
    headers_[i].msg_hdr.msg_name = &peers_[i];
    headers_[i].msg_hdr.msg_namelen = sizeof peers_[i];
    headers_[i].msg_hdr.msg_iov = &parts_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
  int got = -1;
  do {
    got = ::recvmmsg(fd, headers_.data(), kSlots, MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? 0 : got;
}

std::string_view DatagramBatch::bytes(int i) const noexcept {
  const auto index = static_cast<std::size_t>(i);
  return {static_cast<const char*>(parts_[index].iov_base), headers_[index].msg_len};
}

SocketAddress DatagramBatch::peer(int i) const noexcept {
  const auto index = static_cast<std::size_t>(i);
  return {reinterpret_cast<const sockaddr*>(&peers_[index]), headers_[index].msg_hdr.msg_namelen};
}

bool sendDatagram(int fd, const SocketAddress* peer, std::string_view head, std::string_view body,
                  std::string_view tail) noexcept {
  iovec parts[3];
  msghdr message{};
  message.msg_iov = parts;
  for (const auto& piece : {head, body, tail}) {
    if (!piece.empty()) parts[message.msg_iovlen++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  if (peer != nullptr) {
    message.msg_name = const_cast<sockaddr*>(peer->get());
    message.msg_namelen = peer->length();
  }
  bool isSecondTry = false;
  for (;;) {
    if (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EINTR) continue;
    // The call that reports an earlier datagram's error has sent nothing.
    if (isSecondTry || !isAboutEarlier(errno)) return false;
    isSecondTry = true;
  }
}

int openDatagramSocket(int family, const DatagramOptions& options) noexcept {
  FileDescriptor fd(openSocket(family, SOCK_DGRAM));
  if (!fd) return -1;
  setOption(fd.get(), SOL_SOCKET, SO_RCVBUF, kReceiveRoom);
  const bool isReady = (!options.reusePort || setOption(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) &&
                       (!options.broadcast || setOption(fd.get(), SOL_SOCKET, SO_BROADCAST, 1)) &&
                       (!options.v6Only || family != AF_INET6 ||
                        setOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, *options.v6Only ? 1 : 0));
  return isReady ? fd.release() : -1;
}

void RefusedDatagrams::log(std::string_view protocol, std::string_view why, const SocketAddress& peer) {
  const auto now = std::chrono::steady_clock::now();
  if (last_ != std::chrono::steady_clock::time_point{} && now - last_ < std::chrono::seconds(1)) {
    ++silent_;
    return;
  }
  last_ = now;
  std::string line = "Protocol " + std::string(protocol) + " Error package. " + std::string(why) +
                     "; the datagram of " + peer.text() + " is dropped";
  if (silent_ != 0) line += ", as " + std::to_string(silent_) + " more were since the last such line";
  silent_ = 0;
  Workerman::detail::log(line);
}

}  // namespace Workerman::Connection::detail
