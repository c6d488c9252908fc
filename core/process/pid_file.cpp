#include "pid_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "command_line.h"
#include "privileges.h"
#include "process_title.h"

namespace Workerman::detail {
namespace {

using Cause = PidFileError::Cause;

constexpr int kPatience = 100;
constexpr useconds_t kMoment = 5'000;

std::string reason(int error) {
  return std::generic_category().message(error);
}

Cause causeOf(int error) {
  return error == EACCES || error == EPERM || error == EROFS ? Cause::NotPermitted : Cause::Failed;
}

[[noreturn]] void fail(const std::string& what, const std::string& path, int error) {
  throw PidFileError(causeOf(error), what + " the pid file " + path + ": " + reason(error));
}

/// The byte whose lock names the master; what is before it is locked by the open file.
constexpr off_t kNamedByte = off_t{1} << 30;

struct flock range(short type, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

/// Whether another open file has the lock, for writing. Asking takes nothing, so
/// a question never makes a start at the same time fail.
bool isLockedByOther(int fd) {
  struct flock lock = range(F_RDLCK, 0, kNamedByte);
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
}

/// Whom the kernel names as the master: 0 if nobody, or nobody whom we can see.
/// Our own locks are not shown to us.
pid_t namedByKernel(int fd) {
  struct flock lock = range(F_RDLCK, kNamedByte, 1);
  const bool isNamed = ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK &&
                       lock.l_start == kNamedByte && lock.l_len == 1;
  return isNamed && lock.l_pid > 0 ? lock.l_pid : 0;
}

std::string ownerOf(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? "user " + userName(status.st_uid) : "another user";
}

/// 0: empty. Nothing: what is in it is not a pid.
std::optional<int> readPid(int fd) {
  std::array<char, 32> buffer{};
  const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (size < 0) return std::nullopt;
  std::string_view text(buffer.data(), static_cast<std::size_t>(size));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  if (text.empty()) return 0;
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid < 1) return std::nullopt;
  return pid;
}

/// One that has just taken the first lock has the second a moment later.
pid_t pidOfHolder(int fd) {
  for (int i = 0; i < kPatience && isLockedByOther(fd); ++i) {
    if (const pid_t pid = namedByKernel(fd); pid > 0) return pid;
    if (readPid(fd) == ::getpid()) return ::getpid();
    ::usleep(kMoment);
  }
  return 0;
}

[[noreturn]] void failAsRunning(const std::string& path, int fd) {
  if (const int pid = pidOfHolder(fd); pid > 0) {
    throw PidFileError(
        Cause::Running,
        "already running as pid " + std::to_string(pid) + " of " + ownerOf(fd) + ", which holds " + path,
        pid);
  }
  throw PidFileError(Cause::Running, "already starting or stopping: another process holds " + path);
}

constexpr int kFlags = O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;

std::string directoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// It could not be opened for writing. Whoever may read it learns who runs.
[[noreturn]] void failToOpen(const std::string& path, int error) {
  if (error == EISDIR)
    throw PidFileError(Cause::Foreign, "a directory is in the place of the pid file " + path);
  if (error == ELOOP)
    throw PidFileError(Cause::Foreign, "a symbolic link is in the place of the pid file " + path);
  const Descriptor readable(::open(path.c_str(), O_RDONLY | kFlags));
  if (readable.get() >= 0) {
    if (isLockedByOther(readable.get())) failAsRunning(path, readable.get());
    throw PidFileError(causeOf(error), "cannot write the pid file " + path + " of " +
                                           ownerOf(readable.get()) + ": " + reason(error));
  }
  if (errno == ENOENT && causeOf(error) == Cause::NotPermitted) {
    throw PidFileError(Cause::NotPermitted, "cannot make the pid file " + path + " in " + directoryOf(path) +
                                                ": " + reason(error));
  }
  fail("cannot open", path, error);
}

struct Opened {
  int fd;
  bool isNew;
};

Opened openFile(const std::string& path) {
  for (;;) {
    int fd = ::open(path.c_str(), O_RDWR | kFlags);
    if (fd >= 0) return {fd, false};
    if (errno != ENOENT) failToOpen(path, errno);
    // Nobody else's to open, and to lock, before it is ours: see showToAll().
    fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | kFlags, 0600);
    if (fd >= 0) return {fd, true};
    if (errno != EEXIST) failToOpen(path, errno);
  }
}

/// Once it is locked.
void showToAll(int fd) noexcept {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0644 & ~mask);
}

bool isSameFile(int fd, const std::string& path) noexcept {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

bool name(int fd) noexcept {
  struct flock lock = range(F_WRLCK, kNamedByte, 1);
  return ::fcntl(fd, F_SETLK, &lock) == 0;
}

bool lock(int fd) noexcept {
  struct flock lock = range(F_WRLCK, 0, kNamedByte);
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0 && name(fd);
}

/// Without a line end, as Workerman writes it. Over the old text and then cut,
/// so that a disk without space leaves what was there.
int writePid(int fd) noexcept {
  std::array<char, 16> text{};
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), ::getpid()).ptr;
  const auto size = static_cast<std::size_t>(end - text.data());
  const ssize_t written = ::pwrite(fd, text.data(), size, 0);
  if (written < 0) return errno;
  if (static_cast<std::size_t>(written) < size) return ENOSPC;
  return ::ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno;
}

/// What is not ours could be changed, or taken away, by who owns it.
void requireOwn(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    throw PidFileError(Cause::Foreign,
                       "something that is not a file is in the place of the pid file " + path);
  }
  if (status.st_uid != ::geteuid()) {
    throw PidFileError(Cause::Foreign, "the pid file " + path + " belongs to " + ownerOf(fd) + ", not to " +
                                           currentUser() + ": it stays as it is");
  }
  if (status.st_nlink > 1) {
    throw PidFileError(
        Cause::Foreign,
        "the file " + path + " has another name as well: it is not a pid file, and stays as it is");
  }
}

bool swapNames(const std::string& a, const std::string& b) noexcept {
  return ::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}

/// Puts a new file in the place of `old`, on which somebody holds a lock for
/// reading that would keep us from ours. Nothing if another start was faster.
Descriptor replace(const std::string& path, int old) {
  std::string fresh = path + ".XXXXXX";
  Descriptor fd(::mkostemp(fresh.data(), O_CLOEXEC));
  if (!fd) fail("cannot replace", path, errno);
  // Whatever has that name in the end: the old file, or ours.
  struct Removal {
    ~Removal() { ::unlink(name.c_str()); }
    const std::string& name;
  } const removal{fresh};
  if (!lock(fd.get())) fail("cannot lock", path, errno);
  if (const int error = writePid(fd.get()); error != 0) fail("cannot write", path, error);
  // In one step, so that one of two who do this at once sees what the other one has put there.
  if (!swapNames(fresh, path)) fail("cannot replace", path, errno);
  if (isSameFile(old, fresh)) return fd;
  swapNames(fresh, path);
  return {};
}

}  // namespace

PidFile PidFile::take(std::string path) {
  for (;;) {
    const auto [opened, isNew] = openFile(path);
    Descriptor fd(opened);
    requireOwn(fd.get(), path);
    const bool isLocked = lock(fd.get());
    if (!isLocked && errno != EAGAIN && errno != EACCES) fail("cannot lock", path, errno);
    // Removed between our open and our lock, or held by one that is just removing
    // it: the next turn makes a new one.
    if (!isSameFile(fd.get(), path)) continue;
    if (!isLocked && isLockedByOther(fd.get())) failAsRunning(path, fd.get());
    const std::optional<int> before = readPid(fd.get());
    if (!before) {
      throw PidFileError(Cause::Foreign,
                         "no pid is in the file " + path + ": it is not a pid file, and stays as it is");
    }
    if (!isLocked) {
      fd = replace(path, fd.get());
      if (!fd) continue;
    } else if (const int error = writePid(fd.get()); error != 0) {
      if (isNew) ::unlink(path.c_str());
      fail("cannot write", path, error);
    }
    showToAll(fd.get());
    PidFile file(std::move(path), std::move(fd));
    file.stalePid_ = *before;
    return file;
  }
}

PidFile PidFile::adopt(std::string path, int fd) {
  if (!isSameFile(fd, path) || !lock(fd)) {
    throw PidFileError(Cause::Failed,
                       "descriptor " + std::to_string(fd) + " does not hold the pid file " + path);
  }
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return PidFile(std::move(path), Descriptor(fd));
}

void PidFile::renew() noexcept {
  if (fd_) name(fd_.get());
}

bool PidFile::hasItsName() const noexcept {
  return fd_ && isSameFile(fd_.get(), path_);
}

void PidFile::remove() noexcept {
  // Before the lock ends: whoever waits for it finds the name gone and makes a new file.
  if (hasItsName()) ::unlink(path_.c_str());
  leaveToMaster();
}

bool PidFile::restore() noexcept {
  if (!fd_) return false;
  if (hasItsName()) return true;
  Descriptor fresh(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | kFlags, 0600));
  if (fresh.get() < 0) return false;
  if (!lock(fresh.get()) || writePid(fresh.get()) != 0 || !isSameFile(fresh.get(), path_)) {
    if (isSameFile(fresh.get(), path_) && !isLockedByOther(fresh.get())) ::unlink(path_.c_str());
    return false;
  }
  showToAll(fresh.get());
  fd_ = std::move(fresh);
  // Closing the old one has ended nothing of the new one's, which is another file.
  return true;
}

namespace {

bool runsThisProgram(pid_t pid) {
  const std::string program = programName();
  if (executableNameOf(pid) == program) return true;
  const std::vector<std::string> words = commandLineOf(pid);
  if (!words.empty() && words[0].starts_with(masterTitle(""))) return true;
  // Under valgrind, an emulator, …
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::string_view(word).substr(word.rfind('/') + 1) == program;
  });
}

/// Why the process that the kernel names is no master of ours; empty: it is one.
std::string whyNoMaster(pid_t pid, int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return reason(errno);
  if (pid == ::getpid()) return {};
  if (!hasProcFolder()) {
    // Then nobody else could have opened it for writing.
    const bool isSafe = file.st_uid == ::geteuid() && (file.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    return isSafe ? ""
                  : "it belongs to " + ownerOf(fd) + ", and without /proc nobody can tell whose process " +
                        std::to_string(pid) + " is";
  }
  // Processes of others may be hidden; then there is nothing that we could do to them.
  const std::optional<uid_t> user = userOf(pid);
  if (!user) return ::geteuid() == 0 ? "process " + std::to_string(pid) + " cannot be looked at" : "";
  if (*user != file.st_uid)
    return "it belongs to " + ownerOf(fd) + ", but is held by " + describeProcess(pid);
  if (!runsThisProgram(pid)) return "it is held by " + describeProcess(pid) + ", which is no master of ours";
  return {};
}

}  // namespace

RunningMaster findMaster(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | kFlags));
  if (fd.get() < 0) {
    if (errno == ENOENT) return {0, "there is no pid file " + path};
    if (errno == ELOOP) return {0, "a symbolic link is in the place of the pid file " + path};
    return {0, "cannot read the pid file " + path + ": " + reason(errno), false, false};
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {0, path + " is not a pid file"};
  if (!isLockedByOther(fd.get())) {
    const std::optional<int> pid = readPid(fd.get());
    if (!pid) return {0, path + " is not a pid file"};
    if (*pid == 0) return {0, "the pid file " + path + " is empty, and nobody holds it"};
    return {0, "the pid file " + path + " is left over from pid " + std::to_string(*pid) + ", which is gone"};
  }
  const pid_t pid = pidOfHolder(fd.get());
  if (pid == 0) {
    return {
        0,
        "another process holds the pid file " + path + ", but the kernel does not name it as its master here",
        true};
  }
  RunningMaster master{pid, {}, true, true, ProcessHandle(pid)};
  // It may have ended before it had a handle, and its number gone to another one.
  if (pid != ::getpid() && namedByKernel(fd.get()) != pid)
    return {0, "pid " + std::to_string(pid) + ", which held " + path + ", is gone"};
  if (const std::string why = whyNoMaster(pid, fd.get()); !why.empty()) {
    return {0, "the pid file " + path + " is stale: " + why};
  }
  return master;
}

}  // namespace Workerman::detail
