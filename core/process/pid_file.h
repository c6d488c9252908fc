#pragma once

/// The master's pid file: who runs, and that nobody runs twice (internal).

#include <stdexcept>
#include <string>
#include <utility>

#include "../descriptor.h"
#include "process_handle.h"

namespace Workerman::detail {

/// Why a pid file could not be taken, as one sentence for the person who starts
/// the program. Whatever the cause, the file is as it was.
class PidFileError : public std::runtime_error {
 public:
  enum class Cause {
    Running,       ///< Another master holds it: `pid`, 0 where that cannot be told.
    Foreign,       ///< Something that is no pid file, or not ours, has this name.
    NotPermitted,  ///< Its directory or the file belongs to somebody else, or is read-only.
    Failed,        ///< The system would not have it: no space, no locks, …
  };
  PidFileError(Cause cause, const std::string& sentence, int pid = 0)
      : std::runtime_error(sentence), cause_(cause), pid_(pid) {}
  Cause cause() const noexcept { return cause_; }
  int pid() const noexcept { return pid_; }

 private:
  Cause cause_;
  int pid_;
};

/// Holds two locks on the file for as long as the master lives. One belongs to
/// the open file: it survives an exec, and a forked child shares it until
/// leaveToMaster(). The other, of a byte far behind the end, belongs to the
/// process, and has the kernel name it to whoever asks. The pid in the file is
/// for people and scripts; nothing here believes it. Both are locks for
/// writing, which only the file's owner and root can take: locks for reading,
/// which anybody can, neither count nor hinder.
///
/// Differs from Workerman: there, any living process that looks like PHP keeps
/// a stale file valid, and two starts at once both win.
class PidFile {
 public:
  /// Takes the file for this process: makes it or takes over a stale one, locks
  /// it and writes the pid. Of several processes that try at once one wins.
  /// Call it in the process that stays, so after detaching.
  /// @throws PidFileError
  static PidFile take(std::string path);
  /// Goes on with a file that was taken before an exec, whose descriptor was kept.
  /// @throws PidFileError when `fd` is not an open file of that name.
  static PidFile adopt(std::string path, int fd);

  /// Holds nothing. Destroying one that holds a file closes it, and leaves the
  /// file where it is: see remove().
  PidFile() = default;

  /// The locked descriptor (close-on-exec), -1 if it holds nothing.
  int fd() const noexcept { return fd_.get(); }
  const std::string& path() const noexcept { return path_; }
  /// The pid of a dead master that stood in the file before; 0 if there was none.
  int stalePid() const noexcept { return stalePid_; }

  /// For a forked child: the file is the master's alone.
  void leaveToMaster() noexcept { fd_.reset(); }
  /// Ends the hold and removes the file, unless somebody else's has its name now.
  void remove() noexcept;
  /// Takes the lock again that names this process, which ends when anything in
  /// it closes a descriptor of the file.
  void renew() noexcept;
  /// Whether the file that is held has its name still.
  bool hasItsName() const noexcept;
  /// Puts the file back if somebody has deleted it. False if that fails or if
  /// another file has its name.
  bool restore() noexcept;

 private:
  PidFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  Descriptor fd_;
  int stalePid_ = 0;
};

/// The answer to "who runs?": the process, or pid 0 and one sentence why there is none.
struct RunningMaster {
  int pid = 0;
  std::string why;
  /// Somebody who may holds the file, also where its pid cannot be told.
  bool isLocked = false;
  /// False: the file could not be looked into, so that nobody knows.
  bool isReadable = true;
  /// Made before the kernel was asked who holds the file.
  ProcessHandle process{};
};

/// Looks without taking anything; any user may ask who can read the file.
/// A master is who holds the lock for writing, by the kernel's word, runs this
/// program and belongs to the file's owner; a process that is not, whoever made
/// it look like one, is named in `why` and is none.
RunningMaster findMaster(const std::string& path);

}  // namespace Workerman::detail
