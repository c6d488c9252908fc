#include "process_handle.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "privileges.h"

namespace Workerman::detail {
namespace {

std::string procFile(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::string contentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ProcessHandle::ProcessHandle(pid_t pid) noexcept
    : pid_(pid), fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

int ProcessHandle::signal(int number) const noexcept {
  if (pid_ <= 0) return ESRCH;
  const long failed =
      fd_ ? ::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0) : ::kill(pid_, number);
  return failed != 0 ? errno : 0;
}

bool ProcessHandle::hasEnded() const noexcept {
  if (pid_ <= 0) return true;
  if (fd_) {
    pollfd end{fd_.get(), POLLIN, 0};
    return ::poll(&end, 1, 0) > 0;
  }
  if (::kill(pid_, 0) != 0 && errno == ESRCH) return true;
  const std::optional<char> state = stateOf(pid_);
  return state == 'Z' || state == 'X';
}

bool hasProcFolder() noexcept {
  return ::access("/proc/self/stat", F_OK) == 0;
}

std::optional<uid_t> userOf(pid_t pid) {
  std::ifstream file(procFile(pid, "status"));
  for (std::string word; file >> word;) {
    uid_t real = 0, effective = 0;
    if (word == "Uid:") return file >> real >> effective ? std::optional(effective) : std::nullopt;
    file.ignore(INT_MAX, '\n');
  }
  return std::nullopt;
}

std::optional<char> stateOf(pid_t pid) {
  const std::string stat = contentsOf(procFile(pid, "stat"));
  // The name before it, in brackets, may hold anything.
  const std::size_t name = stat.rfind(')');
  return name != std::string::npos && name + 2 < stat.size() ? std::optional(stat[name + 2]) : std::nullopt;
}

std::vector<std::string> commandLineOf(pid_t pid) {
  std::istringstream all(contentsOf(procFile(pid, "cmdline")));
  std::vector<std::string> words;
  for (std::string word; std::getline(all, word, '\0');) words.push_back(word);
  return words;
}

std::string executableNameOf(pid_t pid) {
  constexpr std::string_view deleted = " (deleted)";
  std::array<char, PATH_MAX> buffer{};
  const ssize_t size = ::readlink(procFile(pid, "exe").c_str(), buffer.data(), buffer.size());
  if (size <= 0) return {};
  std::string_view path(buffer.data(), static_cast<std::size_t>(size));
  if (path.ends_with(deleted)) path.remove_suffix(deleted.size());
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string describeProcess(pid_t pid) {
  std::string text = "process " + std::to_string(pid);
  const std::vector<std::string> words = commandLineOf(pid);
  if (!words.empty() && !words[0].empty()) text += " (" + words[0] + ")";
  if (const auto user = userOf(pid)) text += " of user " + userName(*user);
  return text;
}

}  // namespace Workerman::detail
