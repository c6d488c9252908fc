#include "systemd.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>

#include "../descriptor.h"

namespace Workerman::detail {
namespace {

/// Where they begin, by the protocol.
constexpr int kFirstListenFd = 3;
constexpr int kMostListenFds = 4096;

std::optional<int> number(const char* text) noexcept {
  if (!text) return std::nullopt;
  const std::string_view digits(text);
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() && value > 0 ? std::optional(value)
                                                                                   : std::nullopt;
}

template <class Address>
Address as(const sockaddr* address, socklen_t size) noexcept {
  Address copy{};
  std::memcpy(&copy, address, std::min<std::size_t>(size, sizeof copy));
  return copy;
}

/// With the NUL that begins an abstract name, without one at the end of a path.
std::string_view unixName(const sockaddr_un& address, socklen_t size) noexcept {
  constexpr std::size_t offset = offsetof(sockaddr_un, sun_path);
  if (size <= offset) return {};
  const std::string_view name(address.sun_path,
                              std::min<std::size_t>(size - offset, sizeof address.sun_path));
  return name[0] == '\0' ? name : name.substr(0, name.find('\0'));
}

bool isSameInternet(const sockaddr* bound, socklen_t boundSize, const sockaddr* wanted,
                    socklen_t wantedSize) noexcept {
  if (bound->sa_family == AF_INET && wanted->sa_family == AF_INET) {
    const auto a = as<sockaddr_in>(bound, boundSize), b = as<sockaddr_in>(wanted, wantedSize);
    return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
  }
  if (bound->sa_family != AF_INET6) return false;
  const auto a = as<sockaddr_in6>(bound, boundSize);
  if (wanted->sa_family == AF_INET) {
    const auto b = as<sockaddr_in>(wanted, wantedSize);
    return a.sin6_port == b.sin_port && b.sin_addr.s_addr == htonl(INADDR_ANY) &&
           IN6_IS_ADDR_UNSPECIFIED(&a.sin6_addr);
  }
  if (wanted->sa_family != AF_INET6) return false;
  const auto b = as<sockaddr_in6>(wanted, wantedSize);
  return a.sin6_port == b.sin6_port && a.sin6_scope_id == b.sin6_scope_id &&
         std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0;
}

}  // namespace

bool notifyServiceManager(std::string_view state) noexcept {
  const char* const socket = std::getenv("NOTIFY_SOCKET");
  return socket && notifySocket(socket, state);
}

bool notifySocket(std::string_view socket, std::string_view state) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() < 2 || socket.size() >= sizeof address.sun_path ||
      (socket[0] != '/' && socket[0] != '@')) {
    return false;
  }
  std::copy(socket.begin(), socket.end(), address.sun_path);
  if (socket[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());
  const Descriptor fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd &&
         ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&address), size) == static_cast<ssize_t>(state.size());
}

int countListenFds(const char* listenPid, const char* listenFds, int pid) noexcept {
  return number(listenPid) == pid ? std::min(number(listenFds).value_or(0), kMostListenFds) : 0;
}

std::vector<int> takeListenFds() {
  const int count = countListenFds(std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"), ::getpid());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  std::vector<int> fds;
  for (int fd = kFirstListenFd; fd < kFirstListenFd + count; ++fd) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) fds.push_back(fd);
  }
  return fds;
}

bool isListeningSocket(int fd, int type) noexcept {
  int boundType = 0, listens = 0;
  socklen_t size = sizeof boundType;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &boundType, &size) != 0 || boundType != type) return false;
  size = sizeof listens;
  return type != SOCK_STREAM ||
         (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0);
}

int findListenFd(const std::vector<int>& fds, int type, const sockaddr* address, socklen_t size) noexcept {
  for (std::size_t i = 0; i < fds.size(); ++i) {
    sockaddr_storage bound{};
    socklen_t boundSize = sizeof bound;
    if (isListeningSocket(fds[i], type) &&
        ::getsockname(fds[i], reinterpret_cast<sockaddr*>(&bound), &boundSize) == 0 &&
        isSameEndpoint(reinterpret_cast<const sockaddr*>(&bound), boundSize, address, size)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

bool isSameEndpoint(const sockaddr* bound, socklen_t boundSize, const sockaddr* wanted,
                    socklen_t wantedSize) noexcept {
  if (bound->sa_family != AF_UNIX || wanted->sa_family != AF_UNIX) {
    return isSameInternet(bound, boundSize, wanted, wantedSize);
  }
  const auto a = as<sockaddr_un>(bound, boundSize), b = as<sockaddr_un>(wanted, wantedSize);
  const std::string_view name = unixName(a, boundSize);
  return !name.empty() && name == unixName(b, wantedSize);
}

}  // namespace Workerman::detail
