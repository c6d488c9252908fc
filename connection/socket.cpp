#include "socket.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "names/address.h"

namespace Workerman::Connection::detail {

namespace {

/// Seconds, as PHP's TcpConnection::TCP_KEEPALIVE_INTERVAL.
constexpr int kKeepAliveInterval = 55;

int setOption(int fd, int level, int name, int value) noexcept {
  return ::setsockopt(fd, level, name, &value, sizeof value);
}

template <typename Number>
bool parseNumber(std::string_view text, Number& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Interface name or number to number; 0 for none such.
std::uint32_t zoneIndex(std::string_view zone) {
  std::uint32_t index = 0;
  return parseNumber(zone, index) ? index : ::if_nametoindex(std::string(zone).c_str());
}

const sockaddr_in& asIpv4(const sockaddr_storage& storage) noexcept {
  return reinterpret_cast<const sockaddr_in&>(storage);
}
const sockaddr_in6& asIpv6(const sockaddr_storage& storage) noexcept {
  return reinterpret_cast<const sockaddr_in6&>(storage);
}
const sockaddr_un& asUnix(const sockaddr_storage& storage) noexcept {
  return reinterpret_cast<const sockaddr_un&>(storage);
}

}  // namespace

void FileDescriptor::reset(int fd) noexcept {
  if (fd_ >= 0) {
    const int saved = errno;
    ::close(fd_);
    errno = saved;
  }
  fd_ = fd;
}

// -- SocketAddress ------------------------------------------------------------

SocketAddress::SocketAddress(const sockaddr* address, socklen_t length) noexcept
    : length_(std::min(length, static_cast<socklen_t>(sizeof storage_))) {
  std::memcpy(&storage_, address, length_);
}

std::optional<SocketAddress> SocketAddress::fromLiteral(std::string_view host, std::uint16_t port) {
  const std::size_t percent = host.find('%');
  const std::string ip(host.substr(0, percent));
  if (ip.find('\0') != std::string::npos) {
    return std::nullopt;
  }
  sockaddr_in ipv4{};
  if (percent == std::string_view::npos && ::inet_pton(AF_INET, ip.c_str(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    return SocketAddress(reinterpret_cast<const sockaddr*>(&ipv4), sizeof ipv4);
  }
  sockaddr_in6 ipv6{};
  if (::inet_pton(AF_INET6, ip.c_str(), &ipv6.sin6_addr) != 1) {
    return std::nullopt;
  }
  if (percent != std::string_view::npos) {
    ipv6.sin6_scope_id = zoneIndex(host.substr(percent + 1));
    if (ipv6.sin6_scope_id == 0) {
      return std::nullopt;
    }
  }
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&ipv6), sizeof ipv6);
}

SocketAddress SocketAddress::fromLiteralAndPort(std::string_view text) {
  const auto fail = [&]() -> std::invalid_argument {
    return std::invalid_argument("Bad socket address \"" + std::string(text) +
                                 "\": expected ip:port, as 127.0.0.1:0 or [::1]:0");
  };
  const std::size_t colon = text.rfind(':');
  std::uint16_t port = 0;
  if (colon == std::string_view::npos || !parseNumber(text.substr(colon + 1), port)) {
    throw fail();
  }
  std::string_view host = text.substr(0, colon);
  const bool isBracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (isBracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.empty() || host == "0") {
    host = "0.0.0.0";
  }
  const auto address = fromLiteral(host, port);
  if (!address || isBracketed != (address->family() == AF_INET6)) {
    throw fail();
  }
  return *address;
}

SocketAddress SocketAddress::fromUnixPath(std::string_view path) {
  sockaddr_un address{};
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    throw std::invalid_argument("Bad unix socket path: it is empty or holds a NUL");
  }
  if (path.size() >= sizeof address.sun_path) {
    throw std::invalid_argument("Bad unix socket path \"" + std::string(path) + "\": it has more than " +
                                std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return SocketAddress(reinterpret_cast<const sockaddr*>(&address),
                       static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1));
}

std::uint16_t SocketAddress::port() const noexcept {
  switch (family()) {
    case AF_INET:
      return ntohs(asIpv4(storage_).sin_port);
    case AF_INET6:
      return ntohs(asIpv6(storage_).sin6_port);
    default:
      return 0;
  }
}

void SocketAddress::setPort(std::uint16_t port) noexcept {
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port);
  } else if (family() == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(storage_).sin6_port = htons(port);
  }
}

bool SocketAddress::isSameIp(const SocketAddress& other) const noexcept {
  if (family() != other.family() || port() != other.port()) return false;
  if (family() == AF_INET) return asIpv4(storage_).sin_addr.s_addr == asIpv4(other.storage_).sin_addr.s_addr;
  if (family() != AF_INET6) return false;
  const sockaddr_in6& mine = asIpv6(storage_);
  const sockaddr_in6& theirs = asIpv6(other.storage_);
  return std::memcmp(&mine.sin6_addr, &theirs.sin6_addr, sizeof mine.sin6_addr) == 0 &&
         mine.sin6_scope_id == theirs.sin6_scope_id;
}

std::string SocketAddress::ip() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &asIpv4(storage_).sin_addr, text, sizeof text);
    return text;
  }
  if (family() != AF_INET6) {
    return {};
  }
  const sockaddr_in6& address = asIpv6(storage_);
  ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
  std::string result = text;
  if (address.sin6_scope_id != 0) {
    char name[IF_NAMESIZE] = "";
    result += '%';
    result += ::if_indextoname(address.sin6_scope_id, name) != nullptr
                  ? std::string(name)
                  : std::to_string(address.sin6_scope_id);
  }
  return result;
}

std::string SocketAddress::text() const {
  if (isIp()) {
    return formatAddress(ip(), port());
  }
  constexpr std::size_t kPathAt = offsetof(sockaddr_un, sun_path);
  if (family() != AF_UNIX || length_ <= kPathAt) {
    return {};
  }
  const char* path = asUnix(storage_).sun_path;
  return std::string(path, ::strnlen(path, length_ - kPathAt));
}

// -- calls --------------------------------------------------------------------

int openSocket(int family, int type) noexcept {
  return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int connectTo(int fd, const SocketAddress& address) noexcept {
  // Not retried after EINTR: the connection goes on being made, and a second call would fail.
  const int result = ::connect(fd, address.get(), address.length());
  if (result != 0 && errno == EINTR) {
    errno = EINPROGRESS;
  }
  return result;
}

int bindTo(int fd, const SocketAddress& address) noexcept {
  if (address.isIp() && setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) {
    return -1;
  }
  return ::bind(fd, address.get(), address.length());
}

int listenOn(const SocketAddress& address, const ListenOptions& options) noexcept {
  FileDescriptor fd(openSocket(address.family(), SOCK_STREAM));
  if (fd && address.isIp()) setTcpOptions(fd.get());
  const bool isReady = fd && (!options.reusePort || setOption(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) == 0) &&
                       (!options.v6Only || address.family() != AF_INET6 ||
                        setOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, *options.v6Only ? 1 : 0) == 0) &&
                       bindTo(fd.get(), address) == 0 && ::listen(fd.get(), options.backlog) == 0;
  return isReady ? fd.release() : -1;
}

int acceptFrom(int listener, SocketAddress* peer) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  int fd = -1;
  do {
    fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0 && peer != nullptr) {
    *peer = SocketAddress(reinterpret_cast<const sockaddr*>(&storage), length);
  }
  return fd;
}

ssize_t sendParts(int fd, const iovec* parts, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<std::size_t>(count);
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

/// sendfile() knows no MSG_NOSIGNAL: the signal is held back, and taken away if it came from here.
ssize_t sendFile(int fd, int file, std::int64_t offset, std::size_t size) noexcept {
  sigset_t pipe;
  sigset_t before;
  sigset_t pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  off_t from = offset;
  ssize_t sent;
  do {
    sent = ::sendfile(fd, file, &from, size);
  } while (sent < 0 && errno == EINTR);
  const int error = errno;
  if (sent < 0 && error == EPIPE && sigismember(&pending, SIGPIPE) == 0) {
    const timespec now{};
    while (sigtimedwait(&pipe, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return sent;
}

void setTcpOptions(int fd, bool noDelay) noexcept {
  const int saved = errno;
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveInterval);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 1);
#endif
  errno = saved;
}

std::size_t unacknowledgedBytes(int fd) noexcept {
  int bytes = 0;
  return ::ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::size_t unreadBytes(int fd) noexcept {
  int bytes = 0;
  return ::ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

int socketError(int fd) noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

SocketAddress localAddress(int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  return ::getsockname(fd, address, &length) == 0 ? SocketAddress(address, length) : SocketAddress();
}

SocketAddress peerAddress(int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  return ::getpeername(fd, address, &length) == 0 ? SocketAddress(address, length) : SocketAddress();
}

}  // namespace Workerman::Connection::detail
