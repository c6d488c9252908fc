#include "core/process/systemd.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace detail = Workerman::detail;

namespace {

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Endpoint internet(const char* ip, int port) {
  Endpoint endpoint;
  if (std::strchr(ip, ':')) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::inet_pton(AF_INET6, ip, &address.sin6_addr) == 1);
    std::memcpy(&endpoint.storage, &address, endpoint.size = sizeof address);
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::inet_pton(AF_INET, ip, &address.sin_addr) == 1);
    std::memcpy(&endpoint.storage, &address, endpoint.size = sizeof address);
  }
  return endpoint;
}

/// `extra`: how many bytes after the path count as part of the address.
Endpoint local(const std::string& path, std::size_t extra = 0) {
  Endpoint endpoint;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  std::memcpy(&endpoint.storage, &address, sizeof address);
  endpoint.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + extra);
  return endpoint;
}

bool isSame(const Endpoint& bound, const Endpoint& wanted) {
  return detail::isSameEndpoint(bound.get(), bound.size, wanted.get(), wanted.size);
}

int receiverAt(const Endpoint& endpoint) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  REQUIRE(::bind(fd, endpoint.get(), endpoint.size) == 0);
  return fd;
}

std::string received(int fd) {
  std::array<char, 256> buffer{};
  const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
  return size < 0 ? "nothing" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

}  // namespace

TEST_CASE("systemd: a message reaches the socket, by path and by abstract name (sd_notify(3))") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path + "/notify";
  for (const bool isAbstract : {false, true}) {
    CAPTURE(isAbstract);
    const int fd = receiverAt(local(isAbstract ? '\0' + path : path));
    CHECK(detail::notifySocket(isAbstract ? "@" + path : path, "READY=1\nSTATUS=up"));
    CHECK(received(fd) == "READY=1\nSTATUS=up");
    ::close(fd);
  }
}

TEST_CASE("systemd: without anybody to tell nothing happens") {
  for (const std::string& socket :
       {std::string(), std::string("/"), std::string("/nobody/there"), std::string("@nobody there"),
        std::string("relative"), std::string("vsock:2:1234"), '/' + std::string(200, 'x')}) {
    CAPTURE(socket);
    CHECK_FALSE(detail::notifySocket(socket, "READY=1"));
  }
  ::unsetenv("NOTIFY_SOCKET");
  CHECK_FALSE(detail::notifyServiceManager("READY=1"));
}

TEST_CASE("systemd: NOTIFY_SOCKET names the socket, and a full one is not waited for") {
  const testing::TemporaryFolder folder;
  const int fd = receiverAt(local(folder.path + "/notify"));
  ::setenv("NOTIFY_SOCKET", (folder.path + "/notify").c_str(), 1);
  int sent = 0;
  while (sent < 100'000 && detail::notifyServiceManager("STOPPING=1")) ++sent;
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(sent > 0);
  CHECK(sent < 100'000);
  CHECK(received(fd) == "STOPPING=1");
  ::close(fd);
}

TEST_CASE("systemd: sockets count for the process they are meant for (sd_listen_fds(3))") {
  struct Case {
    const char* pid;
    const char* fds;
    int count;
  };
  for (const Case& c : {Case{"42", "2", 2}, Case{"43", "2", 0}, Case{nullptr, "2", 0}, Case{"42", nullptr, 0},
                        Case{"42", "0", 0}, Case{"42", "-1", 0}, Case{"42", "2x", 0}, Case{"42 ", "2", 0},
                        Case{"", "", 0}, Case{"42", "99999999999", 0}, Case{"42", "999999", 4096}}) {
    CAPTURE(std::string(c.pid ? c.pid : "unset"));
    CAPTURE(std::string(c.fds ? c.fds : "unset"));
    CHECK(detail::countListenFds(c.pid, c.fds, 42) == c.count);
  }
}

TEST_CASE("systemd: sockets are taken once, and children neither see nor hold them") {
  const pid_t child = ::fork();
  if (child == 0) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) ::_exit(1);
    const int high = ::fcntl(pair[0], F_DUPFD, 100);
    ::dup2(high, 3);
    ::dup2(high, 4);
    ::close(5);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "3", 1);  // The last of them is not there.
    ::setenv("LISTEN_FDNAMES", "a:b:c", 1);
    if (detail::takeListenFds() != std::vector<int>{3, 4}) ::_exit(2);
    if ((::fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || (::fcntl(4, F_GETFD) & FD_CLOEXEC) == 0) ::_exit(3);
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      if (::getenv(name)) ::_exit(4);
    }
    ::_exit(detail::takeListenFds().empty() ? 0 : 5);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("systemd: a socket serves who wants its address") {
  CHECK(isSame(internet("127.0.0.1", 80), internet("127.0.0.1", 80)));
  CHECK_FALSE(isSame(internet("127.0.0.1", 80), internet("127.0.0.1", 81)));
  CHECK_FALSE(isSame(internet("0.0.0.0", 80), internet("127.0.0.1", 80)));
  CHECK(isSame(internet("::1", 80), internet("::1", 80)));
  CHECK_FALSE(isSame(internet("::1", 80), internet("::", 80)));
  CHECK(isSame(internet("::", 80), internet("0.0.0.0", 80)));
  CHECK_FALSE(isSame(internet("::", 80), internet("0.0.0.0", 81)));
  CHECK_FALSE(isSame(internet("::", 80), internet("127.0.0.1", 80)));
  CHECK_FALSE(isSame(internet("0.0.0.0", 80), internet("::", 80)));
  CHECK(isSame(local("/run/app.sock"), local("/run/app.sock", 1)));
  CHECK_FALSE(isSame(local("/run/app.sock"), local("/run/app.soc")));
  CHECK_FALSE(isSame(local(""), local("")));
  CHECK_FALSE(isSame(local("/run/app.sock"), internet("::", 80)));
  CHECK_FALSE(isSame(internet("::", 80), local("/run/app.sock")));
}

TEST_CASE("systemd: a socket is found by its type and address") {
  const testing::TemporaryFolder folder;
  const Endpoint endpoint = local(folder.path + "/socket");
  std::array<int, 2> pair{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  const int fd = receiverAt(endpoint);
  const std::vector<int> fds{pair[0], -1, fd};
  CHECK(detail::findListenFd(fds, SOCK_DGRAM, endpoint.get(), endpoint.size) == 2);
  CHECK(detail::findListenFd(fds, SOCK_STREAM, endpoint.get(), endpoint.size) == -1);
  CHECK(detail::findListenFd({}, SOCK_DGRAM, endpoint.get(), endpoint.size) == -1);
  for (const int end : {pair[0], pair[1], fd}) ::close(end);
}
