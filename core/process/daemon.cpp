#include "daemon.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "../descriptor.h"
#include "../own_file.h"

namespace Workerman::detail {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void waitFor(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// False if the other end has gone, which must not kill us with SIGPIPE.
bool sendAll(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return false;
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

[[noreturn]] void failToOpen(const std::string& file, const std::string& why) {
  throw std::runtime_error("cannot open " + file + " for the output of the daemon: " + why);
}

/// Not one of the three that are about to be replaced, should they be closed.
Descriptor high(const std::string& file, const Descriptor& fd) {
  Descriptor high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!high) failToOpen(file, std::generic_category().message(errno));
  return high;
}

Descriptor openOutput(const std::string& file) {
  const OwnFile own = openOwnFile(file.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0640);
  if (!own.fd) failToOpen(file, own.why());
  // A full fifo makes the program wait, as ever.
  ::fcntl(own.fd.get(), F_SETFL, O_APPEND);
  return high(file, own.fd);
}

}  // namespace

Readiness::Readiness(Readiness&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Readiness& Readiness::operator=(Readiness&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Readiness::~Readiness() {
  close();
}

void Readiness::ready() noexcept {
  tell(0, {});
}

void Readiness::failed(int status, std::string_view why) noexcept {
  tell(std::clamp(status, 1, 255), why);
}

void Readiness::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Readiness::tell(int status, std::string_view text) noexcept {
  const std::array<char, 1> head{static_cast<char>(status)};
  if (fd_ >= 0 && sendAll(fd_, {head.data(), head.size()})) sendAll(fd_, text);
  close();
}

StartOutcome awaitReadiness(int fd) {
  const Descriptor end(fd);
  std::string text;
  std::array<char, 512> buffer{};
  for (;;) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  if (text.empty()) return {1, "the service ended before it was up; its log may say why"};
  return {static_cast<unsigned char>(text[0]), text.substr(1)};
}

Detached detach() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail("cannot start a daemon");
  const pid_t child = ::fork();
  if (child != 0) {
    const int error = errno;
    ::close(ends[1]);
    if (child > 0) {
      waitFor(child);
      return {false, {}, awaitReadiness(ends[0])};
    }
    ::close(ends[0]);
    errno = error;
    fail("cannot start a daemon");
  }
  ::close(ends[0]);
  ::setsid();
  // A second time: who does not lead the session can get no terminal.
  const pid_t daemon = ::fork();
  if (daemon > 0) ::_exit(0);
  Readiness readiness(ends[1]);
  if (daemon < 0) {
    readiness.failed(1, "cannot start a daemon: " + std::generic_category().message(errno));
    ::_exit(1);
  }
  return {true, std::move(readiness), {}};
}

void redirectStdio(const std::string& file) {
  const Descriptor output = openOutput(file);
  const Descriptor input = high("/dev/null", Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  ::dup2(input.get(), STDIN_FILENO);
  ::dup2(output.get(), STDOUT_FILENO);
  ::dup2(output.get(), STDERR_FILENO);
}

}  // namespace Workerman::detail
