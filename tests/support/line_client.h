#pragma once

/// A blocking client that talks in lines, with deadlines, for tests of other processes.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "deadline.h"

namespace testing {

class LineClient {
 public:
  /// Connects to 127.0.0.1; connected() and error() tell how that went.
  explicit LineClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{static_cast<time_t>(kHangSeconds), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) error_ = errno;
  }
  LineClient(const LineClient&) = delete;
  LineClient& operator=(const LineClient&) = delete;
  ~LineClient() { ::close(fd_); }

  int fd() const { return fd_; }
  int localPort() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  bool connected() const { return error_ == 0; }
  /// errno of the first thing that failed; 0 for an end that the peer has made in order.
  int error() const { return error_; }

  /// Sends the question and gives the line that comes; empty when none does.
  std::string ask(const std::string& question) {
    write(question + "\n");
    return readLine();
  }
  void write(const std::string& bytes) {
    if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) error_ = errno;
  }
  std::string readLine() {
    std::string line;
    char c = 0;
    for (;;) {
      const ssize_t got = ::recv(fd_, &c, 1, 0);
      if (got < 0) error_ = errno;
      if (got <= 0) return "";
      if (c == '\n') return line;
      line += c;
    }
  }

 private:
  int fd_;
  int error_ = 0;
};

}  // namespace testing
