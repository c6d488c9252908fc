// What a service manager and the program tell each other: sockets that it has opened (sd_listen_fds(3)), and
// how far the program is (sd_notify(3)).

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/service.h"
#include "support/temporary_folder.h"

using testing::becomesTrue;
using testing::LineClient;
using testing::Service;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

/// A socket of the service manager's, on an address of its own.
class ManagersSocket {
 public:
  explicit ManagersSocket(int type) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    if (type == SOCK_STREAM) REQUIRE(::listen(fd_, 16) == 0);
  }
  ManagersSocket(int type, const std::string& path) : fd_(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    if (type == SOCK_STREAM) REQUIRE(::listen(fd_, 16) == 0);
  }
  ManagersSocket(const ManagersSocket&) = delete;
  ManagersSocket& operator=(const ManagersSocket&) = delete;
  ~ManagersSocket() { ::close(fd_); }

  int fd() const { return fd_; }
  int port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

 private:
  int fd_;
};

/// Hands these to the process that is about to run the program.
auto handing(std::vector<int> fds) {
  return [fds] {
    // First out of the way of the numbers that they are to have.
    std::vector<int> high;
    for (const int fd : fds) high.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
    int next = 3;
    for (const int fd : high) ::dup2(fd, next++);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
  };
}

/// Where the manager is told things.
class NotifySocket {
 public:
  NotifySocket() : path_(folder_.path + "/notify"), socket_(SOCK_DGRAM, path_) {}

  auto announced() const {
    return [path = path_] { ::setenv("NOTIFY_SOCKET", path.c_str(), 1); };
  }
  /// All that has come, as soon as `part` has `times` times.
  bool sees(const std::string& part, int times = 1) {
    return becomesTrue([&] {
      char message[4096];
      for (ssize_t got; (got = ::recv(socket_.fd(), message, sizeof message, MSG_DONTWAIT)) > 0;)
        text_ += "\n" + std::string(message, static_cast<std::size_t>(got)) + "\n";
      return count(part) >= times;
    });
  }
  int count(const std::string& part) const {
    int found = 0;
    for (auto at = text_.find(part); at != std::string::npos; at = text_.find(part, at + 1)) ++found;
    return found;
  }
  const std::string& text() const { return text_; }

 private:
  TemporaryFolder folder_;
  std::string path_;
  ManagersSocket socket_;
  std::string text_;
};

/// Whether the end of a connection that has `port` is to look after its peer (proc(5), /proc/net/tcp).
bool hasKeepAliveTimer(int port, int peersPort) {
  std::ifstream table("/proc/net/tcp");
  std::string line;
  while (std::getline(table, line)) {
    int local = 0;
    int remote = 0;
    int timer = 0;
    constexpr const char* kColumns = "%*d: %*8x:%x %*8x:%x %*x %*8x:%*8x %x:";
    if (std::sscanf(line.c_str(), kColumns, &local, &remote, &timer) != 3) continue;
    if (local == port && remote == peersPort) return timer == 2;
  }
  return false;
}

std::string textAt(int port) {
  return "listen=text://127.0.0.1:" + std::to_string(port);
}

}  // namespace

TEST_CASE("LISTEN_FDS: keep-alive watches also over who was connected before the socket was handed over") {
  ManagersSocket socket(SOCK_STREAM);
  LineClient early(socket.port());
  Service service({textAt(socket.port()), "count=1"}, handing({socket.fd()}));
  service.started(1);
  CHECK(early.ask("who") != "");
  LineClient late(socket.port());
  CHECK(late.ask("who") != "");
  for (const LineClient* client : {&early, &late}) {
    CHECK(becomesTrue([&] { return hasKeepAliveTimer(socket.port(), client->localPort()); }));
  }
}

TEST_CASE("LISTEN_FDS: a worker listens on the manager's socket, and what waits there is served") {
  ManagersSocket socket(SOCK_STREAM);
  LineClient early(socket.port());
  Service service({textAt(socket.port()), "count=2"}, handing({socket.fd()}));
  CHECK(service.started(2)[0].port == socket.port());
  CHECK(early.ask("who") != "");
  // Workers come and go; a reload too has nothing to open.
  service.process().signal(SIGUSR1);
  service.started(4);
  CHECK(LineClient(socket.port()).ask("who") != "");
  CHECK(service.stop() == 0);
  // The manager still listens, for the next start.
  CHECK(LineClient(socket.port()).connected());
}

TEST_CASE("LISTEN_FDS: the file of a unix socket stays, as it is the manager's") {
  TemporaryFolder folder;
  const std::string path = folder.path + "/socket";
  {
    ManagersSocket socket(SOCK_STREAM, path);
    Service service({"listen=unix://" + path}, handing({socket.fd()}));
    service.started(1);
    CHECK(service.stop() == 0);
  }
  CHECK(fs::exists(path));
}

TEST_CASE("LISTEN_FDS: a udp worker takes the manager's datagram socket") {
  ManagersSocket socket(SOCK_DGRAM);
  Service service({"datagrams=udp://127.0.0.1:" + std::to_string(socket.port())}, handing({socket.fd()}));
  service.started(1);
  ManagersSocket client(SOCK_DGRAM);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(socket.port()));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::sendto(client.fd(), "ping", 4, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  char answer[16] = "";
  CHECK(becomesTrue([&] { return ::recv(client.fd(), answer, sizeof answer - 1, MSG_DONTWAIT) > 0; }));
  CHECK(std::string(answer) == "ping");
  CHECK(service.stop() == 0);
}

TEST_CASE("LISTEN_FDS: a socket that nobody wants is closed, with a line in the log") {
  ManagersSocket socket(SOCK_STREAM), other(SOCK_STREAM);
  Service service({textAt(socket.port())}, handing({other.fd(), socket.fd()}));
  service.started(1);
  CHECK(service.has("no worker listens on the inherited socket 127.0.0.1:" + std::to_string(other.port()) +
                    " (descriptor 3): it is closed"));
  CHECK(service.stop() == 0);
}

TEST_CASE("LISTEN_FDS: meant for another process, it is not touched") {
  ManagersSocket socket(SOCK_STREAM);
  Service service({}, [hand = handing({socket.fd()})] {
    hand();
    ::setenv("LISTEN_PID", "1", 1);
  });
  service.started(1);
  CHECK_FALSE(service.has("inherited"));
  CHECK(service.stop() == 0);
}

TEST_CASE(
    "NOTIFY_SOCKET: READY when all workers are, RELOADING and READY again, STOPPING; only the master tells") {
  NotifySocket manager;
  Service service({"count=2", "notify=1"}, manager.announced());
  CHECK(manager.sees("\nREADY=1\n"));
  CHECK(manager.count("\nSTATUS=3 processes serve 2 workers\n") == 1);
  service.started(2);
  service.process().signal(SIGUSR1);
  CHECK(manager.sees("\nRELOADING=1\nMONOTONIC_USEC="));
  CHECK(manager.sees("\nREADY=1\n", 2));
  service.started(4);
  CHECK(service.stop() == 0);
  CHECK(manager.sees("\nSTOPPING=1\n"));
  CAPTURE(manager.text());
  CHECK(manager.count("READY=1") == 2);
  CHECK(manager.count("MAINPID") == 0);
  // A worker's process has nobody to tell.
  CHECK(service.has("NOTIFY_SOCKET is not set "));
}

TEST_CASE("NOTIFY_SOCKET: a daemon says which process it is") {
  NotifySocket manager;
  testing::ServiceFolder folder;
  testing::ChildProcess start(folder.program, {"start", "-d"}, manager.announced());
  CHECK(start.wait() == 0);
  CHECK(manager.sees("\nREADY=1\n"));
  std::ifstream file(folder.path / "workerman.service.pid");
  std::string pid;
  file >> pid;
  CHECK(manager.count("\nMAINPID=" + pid + "\n") == 1);
  testing::ChildProcess stop(folder.program, {"stop"}, manager.announced());
  CHECK(stop.wait() == 0);
  CHECK(manager.sees("\nSTOPPING=1\n"));
}

TEST_CASE("NOTIFY_SOCKET: nobody listening there is no obstacle") {
  Service service({}, [] { ::setenv("NOTIFY_SOCKET", "/nowhere/notify", 1); });
  service.started(1);
  CHECK(service.stop() == 0);
}
