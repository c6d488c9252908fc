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

bool isAnyAddress(const SocketAddress& address) noexcept {
  if (address.family() == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr.s_addr == INADDR_ANY;
  return address.family() == AF_INET6 &&
         IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr);
}

/// Puts `info` beside the message.
template <class Info>
void attachInfo(msghdr& message, LocalEnd::Control& control, int level, int type, const Info& info) noexcept {
  control = {};
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
}

}  // namespace

LocalEnd::LocalEnd(const msghdr& message) noexcept {
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return;
  if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
    in_pktinfo info;
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    // Not ipi_addr, which may be that of a group.
    if (info.ipi_spec_dst.s_addr == INADDR_ANY) return;
    std::memcpy(&address_, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
    family_ = AF_INET;
  } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info;
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) || IN6_IS_ADDR_UNSPECIFIED(&info.ipi6_addr)) return;
    address_ = info.ipi6_addr;
    family_ = AF_INET6;
    if (IN6_IS_ADDR_LINKLOCAL(&address_)) interface_ = static_cast<std::uint32_t>(info.ipi6_ifindex);
  }
}

SocketAddress LocalEnd::address(std::uint16_t port) const noexcept {
  if (family_ == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    std::memcpy(&address.sin_addr, &address_, sizeof address.sin_addr);
    return {reinterpret_cast<const sockaddr*>(&address), sizeof address};
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = address_;
  address.sin6_scope_id = interface_;
  return {reinterpret_cast<const sockaddr*>(&address), sizeof address};
}

void LocalEnd::attach(msghdr& message, Control& control) const noexcept {
  if (family_ == AF_INET) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, &address_, sizeof info.ipi_spec_dst);
    attachInfo(message, control, IPPROTO_IP, IP_PKTINFO, info);
  } else if (family_ == AF_INET6) {
    in6_pktinfo info{};
    info.ipi6_addr = address_;
    info.ipi6_ifindex = interface_;
    attachInfo(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

void tellLocalEnds(int fd) noexcept {
  const SocketAddress bound = localAddress(fd);
  if (!isAnyAddress(bound)) return;
  // An IPv6 socket tells the IPv4 addresses of both families' datagrams as mapped ones.
  if (bound.family() == AF_INET) {
    setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
}

int DatagramBatch::receive(int fd) noexcept {
  char* slot = LoopIo::ofThisThread().receiveBuffer();
  for (std::size_t i = 0; i < headers_.size(); ++i, slot += kSlotSize) {
    parts_[i] = {slot, kSlotSize};
    headers_[i] = {};
    headers_[i].msg_hdr.msg_name = &peers_[i];
    headers_[i].msg_hdr.msg_namelen = sizeof peers_[i];
    headers_[i].msg_hdr.msg_iov = &parts_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_control = controls_[i].bytes;
    headers_[i].msg_hdr.msg_controllen = sizeof controls_[i].bytes;
  }
  int got = -1;
  do {
    got = ::recvmmsg(fd, headers_.data(), kSlots, MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got >= 0) return got;
  return errno == EAGAIN || errno == EWOULDBLOCK || isAboutEarlier(errno) ? 0 : -1;
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
                  std::string_view tail, const LocalEnd& from) noexcept {
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
  LocalEnd::Control control;
  if (from.isKnown()) from.attach(message, control);
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
