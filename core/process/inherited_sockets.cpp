#include "inherited_sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "../log.h"
#include "systemd.h"

namespace Workerman::detail {
namespace {

/// What a socket is bound to.
struct Bound {
  explicit Bound(int fd) noexcept {
    if (::getsockname(fd, get(), &size) != 0) size = 0;
  }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }

  void forgetPort() noexcept {
    if (storage.ss_family == AF_INET) reinterpret_cast<sockaddr_in&>(storage).sin_port = 0;
    if (storage.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage).sin6_port = 0;
  }
  /// Empty for anything but a unix socket with a file.
  std::string file() const {
    constexpr std::size_t offset = offsetof(sockaddr_un, sun_path);
    if (storage.ss_family != AF_UNIX || size <= offset) return {};
    const char* const path = reinterpret_cast<const sockaddr_un&>(storage).sun_path;
    return std::string(path, ::strnlen(path, size - offset));
  }
  std::string text() const {
    char host[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET) {
      const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
      ::inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
      return std::string(host) + ":" + std::to_string(ntohs(address.sin_port));
    }
    if (storage.ss_family == AF_INET6) {
      const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
      ::inet_ntop(AF_INET6, &address.sin6_addr, host, sizeof host);
      return "[" + std::string(host) + "]:" + std::to_string(ntohs(address.sin6_port));
    }
    const std::string path = file();
    return path.empty() ? "no address" : path;
  }

  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
};

}  // namespace

InheritedSockets::InheritedSockets(std::vector<InheritedSocket> sockets)
    : sockets_(std::move(sockets)), owner_(::getpid()) {
  for (const InheritedSocket& socket : sockets_) ::fcntl(socket.fd, F_SETFD, FD_CLOEXEC);
}

InheritedSockets InheritedSockets::ofServiceManager() {
  std::vector<InheritedSocket> sockets;
  for (const int fd : takeListenFds()) sockets.push_back({fd});
  return InheritedSockets(std::move(sockets));
}

InheritedSockets::InheritedSockets(InheritedSockets&& other) noexcept
    : sockets_(std::exchange(other.sockets_, {})), owner_(other.owner_) {}

InheritedSockets& InheritedSockets::operator=(InheritedSockets&& other) noexcept {
  if (this != &other) {
    clear();
    sockets_ = std::exchange(other.sockets_, {});
    owner_ = other.owner_;
  }
  return *this;
}

void InheritedSockets::add(InheritedSocket socket) {
  owner_ = ::getpid();
  sockets_.push_back(socket);
}

InheritedSocket InheritedSockets::take(int type, const sockaddr* address, socklen_t size) {
  for (auto it = sockets_.begin(); it != sockets_.end(); ++it) {
    Bound bound(it->fd);
    bool fits = findListenFd({it->fd}, type, address, size) == 0;
    if (!fits && it->anyPort && isListeningSocket(it->fd, type)) {
      bound.forgetPort();
      fits = isSameEndpoint(bound.get(), bound.size, address, size);
    }
    if (!fits) continue;
    const InheritedSocket taken = *it;
    sockets_.erase(it);
    return taken;
  }
  return {};
}

void InheritedSockets::clear() noexcept {
  for (const InheritedSocket& socket : std::exchange(sockets_, {})) {
    if (owner_ == ::getpid()) removeIfStill(Bound(socket.fd).file().c_str(), socket.file);
    ::close(socket.fd);
  }
}

void InheritedSockets::closeUnwanted() {
  for (const InheritedSocket& socket : sockets_) {
    log("no worker listens on the inherited socket " + Bound(socket.fd).text() + " (descriptor " +
        std::to_string(socket.fd) + "): it is closed");
  }
  clear();
}

}  // namespace Workerman::detail
