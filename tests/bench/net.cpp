#include "net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "report.h"
#include "wire.h"

namespace bench {
namespace {

[[noreturn]] void failWithErrno(const char* what) {
  fail(std::string(what) + ": " + std::strerror(errno));
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Receives up to and including the empty line that ends an HTTP head, and no byte more.
std::string receiveHead(int fd) {
  std::string head;
  char piece[4096];
  for (;;) {
    const ssize_t seen = recv(fd, piece, sizeof piece, MSG_PEEK);
    if (seen < 0) failWithErrno("recv");
    if (seen == 0) fail("the server closed during the handshake");
    const size_t before = head.size();
    head.append(piece, static_cast<size_t>(seen));
    const size_t end = head.find("\r\n\r\n");
    if (end != std::string::npos) head.resize(end + 4);
    if (recv(fd, piece, head.size() - before, 0) < 0) failWithErrno("recv");
    if (end != std::string::npos) return head;
  }
}

}  // namespace

int connectTo(uint16_t port) {
  const sockaddr_in address = loopback(port);
  for (int tries = 0;; ++tries) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) failWithErrno("socket");
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    if (errno != ECONNREFUSED || tries == 200) failWithErrno("connect");
    close(fd);
    usleep(20000);
  }
}

int openWebSocket(uint16_t port, std::string_view path, std::string_view extension) {
  const int fd = connectTo(port);
  std::string offer;
  if (!extension.empty()) offer.append("Sec-WebSocket-Extensions: ").append(extension).append("\r\n");
  const std::string request = upgradeRequest(port, path, offer);
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    failWithErrno("send");
  }
  const std::string head = receiveHead(fd);
  if (!acceptsUpgrade(head) || head.find(extension) == std::string::npos)
    fail("the upgrade was refused:\n" + head);
  return fd;
}

void setNonBlocking(int fd) {
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) failWithErrno("fcntl");
}

void resetConnection(int fd) {
  const linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
}

int listenOn(uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address = loopback(port);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) < 0) failWithErrno("bind");
  if (listen(fd, 4096) < 0) failWithErrno("listen");
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) failWithErrno("getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

double cpuOf(int pid) {
  const std::filesystem::path process = "/proc/" + std::to_string(pid);
  double nanoseconds = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(process / "task", error)) {
    double running = 0;
    if (std::ifstream(task.path() / "schedstat") >> running) nanoseconds += running;
  }
  if (nanoseconds > 0) return nanoseconds * 1e-9;

  std::string line;
  if (!std::getline(std::ifstream(process / "stat"), line)) fail("no process " + std::to_string(pid));
  unsigned long user = 0, kernel = 0;
  const char* rest = line.c_str() + line.rfind(')') + 1;  // the name may hold spaces and brackets
  std::sscanf(rest, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
  return static_cast<double>(user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

long residentBytesOf(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, 6, "VmRSS:") == 0) return std::atol(line.c_str() + 6) * 1024;
  }
  fail("no process " + std::to_string(pid));
}

}  // namespace bench
