#include "own_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

namespace Workerman::detail {
namespace {

/// Only root makes links there; /dev/shm is everybody's.
bool hasRootsLinks(std::string_view path) noexcept {
  const std::string_view folder = path.substr(0, path.rfind('/') + 1);
  return folder == "/dev/" || folder == "/dev/fd/" || folder == "/proc/self/fd/";
}

/// Null: it may be written to.
const char* refusalOf(const struct stat& status) noexcept {
  if (S_ISCHR(status.st_mode)) return nullptr;
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) return "it is no file";
  if (status.st_uid != ::geteuid() && status.st_uid != 0) return "it belongs to another user";
  return status.st_nlink > 1 ? "it has another name as well" : nullptr;
}

}  // namespace

std::string OwnFile::why() const {
  if (refusal != nullptr) return refusal;
  return error != 0 ? std::generic_category().message(error) : std::string();
}

OwnFile openOwnFile(const char* path, int flags, mode_t mode) noexcept {
  const bool follows = hasRootsLinks(path);
  OwnFile file;
  // Nothing is made there that should be a device.
  if (follows) flags &= ~O_CREAT;
  file.fd.reset(::open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follows ? 0 : O_NOFOLLOW), mode));
  if (!file.fd) {
    file.error = errno;
    struct stat named {};
    const bool isLink = file.error == ELOOP && ::lstat(path, &named) == 0 && S_ISLNK(named.st_mode);
    if (isLink && !follows) file.refusal = "it is a symbolic link";
    return file;
  }
  struct stat status {};
  if (follows) return file;
  if (::fstat(file.fd.get(), &status) != 0) {
    file.error = errno;
    file.fd.reset();
  } else if ((file.refusal = refusalOf(status)) != nullptr) {
    file.fd.reset();
  }
  return file;
}

FileId fileIdOf(const char* path) noexcept {
  struct statx status {};
  if (::statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &status) != 0) return {};
  const std::uint64_t device = std::uint64_t{status.stx_dev_major} << 32 | status.stx_dev_minor;
  const bool isKnown = (status.stx_mask & STATX_BTIME) != 0;
  return {device, status.stx_ino,
          isKnown ? status.stx_btime.tv_sec * 1'000'000'000 + status.stx_btime.tv_nsec : 0};
}

void removeIfStill(const char* path, const FileId& file) noexcept {
  if (file && fileIdOf(path) == file) ::unlink(path);
}

bool isNameOf(const char* path, int fd) noexcept {
  struct stat named {
  }, open{};
  const int found = hasRootsLinks(path) ? ::stat(path, &named) : ::lstat(path, &named);
  return found == 0 && ::fstat(fd, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

}  // namespace Workerman::detail
