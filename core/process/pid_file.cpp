#include "pid_file.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace Workerman::detail {
namespace {

using Cause = PidFileError::Cause;

/// A master that has just locked its file has its pid in it a moment later.
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

struct flock wholeFile(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// Whether another open file has the lock. Asking takes nothing, so a question
/// never makes a start at the same time fail.
bool isLockedByOther(int fd) {
  struct flock lock = wholeFile(F_WRLCK);
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

std::string ownerOf(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return "another user";
  std::array<char, 4096> buffer{};
  struct passwd entry {};
  struct passwd* found = nullptr;
  ::getpwuid_r(status.st_uid, &entry, buffer.data(), buffer.size(), &found);
  return "user " + (found ? std::string(found->pw_name) : std::to_string(status.st_uid));
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

int pidOfHolder(int fd) {
  for (int i = 0; i < kPatience && isLockedByOther(fd); ++i) {
    if (const int pid = readPid(fd).value_or(0); pid > 0) return pid;
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
    fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | kFlags, 0644);
    if (fd >= 0) return {fd, true};
    if (errno != EEXIST) failToOpen(path, errno);
  }
}

bool isSameFile(int fd, const std::string& path) noexcept {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

bool lock(int fd) noexcept {
  struct flock lock = wholeFile(F_WRLCK);
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
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

}  // namespace

PidFile PidFile::take(std::string path) {
  for (;;) {
    const auto [opened, isNew] = openFile(path);
    Descriptor fd(opened);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      throw PidFileError(Cause::Foreign,
                         "something that is not a file is in the place of the pid file " + path);
    }
    if (!lock(fd.get())) {
      if (errno != EAGAIN && errno != EACCES) fail("cannot lock", path, errno);
      // Held by one that is just removing it: the next turn makes a new one.
      if (!isSameFile(fd.get(), path)) continue;
      failAsRunning(path, fd.get());
    }
    if (!isSameFile(fd.get(), path)) continue;  // Removed between our open and our lock.
    const std::optional<int> before = readPid(fd.get());
    if (!before) {
      throw PidFileError(Cause::Foreign,
                         "no pid is in the file " + path + ": it is not a pid file, and stays as it is");
    }
    if (const int error = writePid(fd.get()); error != 0) {
      if (isNew) ::unlink(path.c_str());
      fail("cannot write", path, error);
    }
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
  Descriptor fresh(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | kFlags, 0644));
  if (fresh.get() < 0) return false;
  if (!lock(fresh.get()) || writePid(fresh.get()) != 0 || !isSameFile(fresh.get(), path_)) {
    if (isSameFile(fresh.get(), path_) && !isLockedByOther(fresh.get())) ::unlink(path_.c_str());
    return false;
  }
  fd_ = std::move(fresh);
  return true;
}

RunningMaster findMaster(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | kFlags));
  if (fd.get() < 0) {
    if (errno == ENOENT) return {0, "there is no pid file " + path};
    return {0, "cannot read the pid file " + path + ": " + reason(errno), false, false};
  }
  if (!isLockedByOther(fd.get())) {
    const std::optional<int> pid = readPid(fd.get());
    if (!pid) return {0, path + " is not a pid file"};
    if (*pid == 0) return {0, "the pid file " + path + " is empty, and nobody holds it"};
    return {0, "the pid file " + path + " is left over from pid " + std::to_string(*pid) + ", which is gone"};
  }
  const int pid = pidOfHolder(fd.get());
  if (pid == 0) return {0, "another process holds the pid file " + path + ", but its pid is not in it", true};
  if (::kill(pid, 0) != 0 && errno == ESRCH) {
    return {0, "pid " + std::to_string(pid) + ", which holds " + path + ", cannot be seen from here", true};
  }
  return {pid, {}, true};
}

}  // namespace Workerman::detail
