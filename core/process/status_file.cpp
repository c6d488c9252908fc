#include "status_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "privileges.h"

namespace Workerman::detail {
namespace {

/// What a report begins with; see status_records.h.
constexpr std::string_view kBegin = "\n{";

std::string because(const char* what, const std::string& path, int error) {
  return std::string(what) + " " + path + ": " + std::generic_category().message(error);
}

Descriptor openToRead(const std::string& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
}

enum class InPlace { Nothing, Report, Foreign };

/// What has the name now. A symbolic link or a directory counts as nothing: neither is written through.
InPlace lookAt(const std::string& path) noexcept {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode)) {
    return InPlace::Nothing;
  }
  if (!S_ISREG(status.st_mode)) return InPlace::Foreign;
  const Descriptor file = openToRead(path);
  std::array<char, kBegin.size()> begin{};
  const ssize_t size = ::read(file.get(), begin.data(), begin.size());
  const bool isOurs = size == 0 || (size == static_cast<ssize_t>(begin.size()) &&
                                    std::string_view(begin.data(), begin.size()) == kBegin);
  return isOurs ? InPlace::Report : InPlace::Foreign;
}

/// 0, or the error.
int writeWhole(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

std::string StatusFile::begin(const std::string& path, std::string_view record) {
  if (lookAt(path) == InPlace::Foreign) return path + " is no status file, and stays as it is";
  std::string fresh = path + ".XXXXXX";
  Descriptor file(::mkostemp(fresh.data(), O_CLOEXEC));
  if (!file) return because("cannot make", fresh, errno);
  int error = writeWhole(file.get(), record);
  if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(fresh.c_str());
    return because("cannot write", path, error);
  }
  path_ = path;
  fd_ = std::move(file);
  size_ = record.size();
  return {};
}

std::string StatusFile::add(std::string_view record) {
  if (!fd_) return {};
  if (record.size() > kMostReported - size_) return "the report in " + path_ + " is too long: it is cut off";
  if (const int error = writeWhole(fd_.get(), record); error != 0) {
    static_cast<void>(::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0);
    ::lseek(fd_.get(), static_cast<off_t>(size_), SEEK_SET);
    return because("cannot write", path_, error);
  }
  size_ += record.size();
  return {};
}

void removeReport(const std::string& path) noexcept {
  if (lookAt(path) == InPlace::Report) ::unlink(path.c_str());
}

std::string ReportReader::read(std::string_view end, bool anyway) {
  const Descriptor file = openToRead(path_);
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != owner_ ||
      static_cast<std::uint64_t>(status.st_size) > kMostReported) {
    return {};
  }
  const std::int64_t time = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  if (status.st_ino == seenFile_ && status.st_size == seenSize_ && time == seenTime_) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  const auto readAt = [&](std::string& text, std::size_t from) {
    std::size_t have = 0;
    for (ssize_t got; have < text.size() && (got = ::pread(file.get(), text.data() + have, text.size() - have,
                                                           static_cast<off_t>(from + have))) > 0;) {
      have += static_cast<std::size_t>(got);
    }
    text.resize(have);
  };
  std::string last(std::min(size, end.size()), '\0');
  readAt(last, size - last.size());
  if (last != end && !anyway) return {};
  seenFile_ = status.st_ino;
  seenSize_ = status.st_size;
  seenTime_ = time;
  std::string text(size, '\0');
  readAt(text, 0);
  return text;
}

std::string ReportReader::problem() const {
  const Descriptor file = openToRead(path_);
  if (!file) return errno == ENOENT ? "" : because("cannot read", path_, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || status.st_uid == owner_) return {};
  return path_ + " belongs to user " + userName(status.st_uid) + ", not to " + userName(owner_) +
         " as the master does";
}

}  // namespace Workerman::detail
