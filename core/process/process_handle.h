#pragma once

/// Another process: to be signalled without a mistake, and what the kernel says
/// of it (internal). Every question may stay without an answer, as where /proc
/// is not mounted.

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../descriptor.h"

namespace Workerman::detail {

/// Means the same process for as long as it is kept, also after that has ended
/// and another one has got its number.
class ProcessHandle {
 public:
  /// Of no process.
  ProcessHandle() = default;
  /// `pid` may have ended: then hasEnded().
  explicit ProcessHandle(pid_t pid) noexcept;

  pid_t pid() const noexcept { return pid_; }
  /// 0, or the error: ESRCH for one that has ended.
  int signal(int number) const noexcept;
  /// One that waits to be reaped has ended.
  bool hasEnded() const noexcept;

 private:
  pid_t pid_ = 0;
  /// None on a kernel before 5.3, where the number has to do.
  Descriptor fd_;
};

/// Whether /proc tells of processes.
bool hasProcFolder() noexcept;
/// The effective user id of a process.
std::optional<uid_t> userOf(pid_t pid);
/// 'R', 'S', 'T' (stopped), 'Z', … as in proc(5).
std::optional<char> stateOf(pid_t pid);
/// Its words, or the title that it has given itself.
std::vector<std::string> commandLineOf(pid_t pid);
/// The name of its file without the folder; empty where we may not know.
std::string executableNameOf(pid_t pid);
/// "process 4711 (nginx) of user www", as far as it is known.
std::string describeProcess(pid_t pid);

}  // namespace Workerman::detail
