#include "handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace Workerman::detail {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FileId, device, inode, born)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(InheritedSocket, fd, file, anyPort)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HandedProcess, worker, name, id, pid, channel, isReady, isReloadable,
                                   startedAt)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HandedExit, worker, status, times)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Handover, sockets, processes, exits, pidFile, pidFd, launcher, daemonize,
                                   isUp, isGraceful, reloadAgain, startTime)

namespace {

constexpr const char* kVariable = "WORKERMAN_UPGRADE";
/// To be raised whenever one that does not know it would misunderstand it.
constexpr int kVersion = 2;

void closeOnExec(int fd, bool on) noexcept {
  if (fd >= 0) ::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

/// "2 trial PID STATE REPORT FD…": version, role, for whom, descriptors.
Handed takeFromEnvironment() {
  const char* const text = std::getenv(kVariable);
  if (text == nullptr) return {};
  std::istringstream words(text);
  ::unsetenv(kVariable);
  int version = 0, pid = 0;
  std::string role;
  Handed handed;
  words >> version >> role >> pid >> handed.state >> handed.report;
  // It has come here by way of a program that the one it was meant for has started.
  if (version == kVersion && pid != ::getpid()) return {};
  closeOnExec(handed.state, true);
  closeOnExec(handed.report, true);
  for (int fd = -1; words >> fd;) closeOnExec(fd, true);
  handed.role = version != kVersion ? Handed::Role::Foreign
                : role == "trial"   ? Handed::Role::Trial
                                    : Handed::Role::Master;
  return handed;
}

const Handed handedToThisProcess = takeFromEnvironment();

}  // namespace

const Handed& handed() noexcept {
  return handedToThisProcess;
}

void announce(const Handed& handed, const Handover& state, int pid, bool on) {
  std::string text = std::to_string(kVersion) +
                     (handed.role == Handed::Role::Trial ? " trial " : " master ") + std::to_string(pid) +
                     " " + std::to_string(handed.state) + " " + std::to_string(handed.report);
  std::vector<int> fds = state.descriptors();
  for (const int fd : fds) text += " " + std::to_string(fd);
  fds.insert(fds.end(), {handed.state, handed.report});
  for (const int fd : fds) closeOnExec(fd, !on);
  if (on) {
    ::setenv(kVariable, text.c_str(), 1);
  } else {
    ::unsetenv(kVariable);
  }
}

std::vector<int> Handover::descriptors() const {
  std::vector<int> all;
  for (const int fd : {pidFd, launcher}) {
    if (fd >= 0) all.push_back(fd);
  }
  for (const HandedProcess& process : processes) {
    if (process.channel >= 0) all.push_back(process.channel);
  }
  for (const InheritedSocket& socket : sockets) all.push_back(socket.fd);
  return all;
}

Descriptor Handover::write() const {
  Descriptor memory(::memfd_create("workerman-handover", MFD_CLOEXEC));
  const std::string text =
      nlohmann::json(*this).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (!memory || ::pwrite(memory.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    throw std::system_error(errno, std::generic_category(), "memfd");
  }
  return memory;
}

Handover Handover::read(int fd) {
  std::string text;
  char piece[4096];
  for (ssize_t got; (got = ::pread(fd, piece, sizeof piece, static_cast<off_t>(text.size()))) > 0;) {
    text.append(piece, static_cast<std::size_t>(got));
  }
  try {
    return nlohmann::json::parse(text).get<Handover>();
  } catch (const nlohmann::json::exception& e) {
    throw std::runtime_error(std::string("what the old binary has left cannot be read: ") + e.what());
  }
}

}  // namespace Workerman::detail
