#pragma once

/// Running the program's new binary in the place of the old one (internal). A
/// master that has exec'ed cannot go back, so a child tries the new one first.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../descriptor.h"
#include "handover.h"
#include "inherited_sockets.h"
#include "worker_slot.h"

namespace Workerman::detail {

/// Which file it is, and in which state.
struct FileState {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, seconds = 0, nanoseconds = 0;
  bool operator==(const FileState&) const = default;
};
/// Nothing where there is no such file.
std::optional<FileState> fileState(const std::string& path);

/// How this process was started, so that it can be once more.
struct Executable {
  /// Absolute, and not resolved: where a symbolic link leads is looked at again.
  std::string path;
  std::string folder;  ///< The working directory before main()
  std::vector<std::string> arguments;
  /// As this process runs it.
  std::optional<FileState> state;

  /// Call it before a process title hides the arguments.
  static Executable ofThisProcess();
  /// Whether another file is there now, the file was written to, or there is none.
  bool isReplaced() const { return fileState(path) != state; }
};

/// A run of the new binary in a child process as far as it opens its sockets,
/// with those that are open already.
class Trial {
 public:
  /// Starts it. @throws std::system_error
  Trial(const Executable& program, const Handover& state, Clock::duration limit);
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  /// Kills what still runs; in a forked process nothing.
  ~Trial();

  /// What to poll for news.
  int reports() const noexcept { return reports_.get(); }
  int output() const noexcept { return output_.get(); }
  Clock::time_point deadline() const noexcept { return deadline_; }
  pid_t pid() const noexcept { return pid_; }
  /// It was reaped.
  void onEnd(int status) noexcept;
  /// Takes the news. True once the outcome is known; the child is gone then.
  bool isOver();

  /// Why it cannot run; empty: it can.
  const std::string& failure() const noexcept { return failure_; }
  /// What it has opened beyond those that it was given.
  InheritedSockets& sockets() noexcept { return sockets_; }
  /// The file that it ran.
  const std::optional<FileState>& ran() const noexcept { return ran_; }

 private:
  [[noreturn]] void runChild(const Executable& program, const Handover& state, int report, int output);
  void readReports();
  void readOutput();
  void end() noexcept;
  std::string howItEnded() const;

  Descriptor reports_, output_;
  const pid_t master_;
  const Clock::duration limit_;
  const Clock::time_point deadline_;
  pid_t pid_ = 0;
  std::optional<int> status_;
  std::optional<FileState> ran_;
  bool isReported_ = false;
  bool isAtEnd_ = false;
  std::string failure_;
  /// The last that it has printed.
  std::string printed_;
  InheritedSockets sockets_;
};

/// The child's side.
class TrialReport {
 public:
  explicit TrialReport(int fd) noexcept : fd_(fd) {}
  /// A socket that is new: the master gets it, so that it need not be opened again.
  void opened(const InheritedSocket& socket) const noexcept;
  void ready() const noexcept;
  void failed(std::string_view why) const noexcept;

 private:
  int fd_;
};

/// Turns this process into one that runs the new binary. Returns only if that
/// cannot be: why. Everything is as before then.
std::string runInstead(const Executable& program, const Handover& state);

}  // namespace Workerman::detail
