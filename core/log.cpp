#include "log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <system_error>
#include <utility>

#include "own_file.h"
#include "worker.h"

namespace Workerman::detail {

namespace {

/// The log file, once it is open.
class LogFile {
 public:
  /// Opens it if it is not, or if another file has its name by now; what keeps it from that.
  std::string open(const std::string& path, bool makesFolders);
  void append(const LogConfig& config, std::string_view message) noexcept;
  void keep(const std::string& path) noexcept;

 private:
  OwnFile renew(const std::string& path);
  bool hasItsName() const noexcept { return fd_ && isNameOf(path_.c_str(), fd_.get()); }
  void dropOlderHalf(std::uint64_t maxSize) noexcept;

  std::mutex mutex_;
  std::string path_;
  Descriptor fd_;
  /// The same without O_APPEND; see keepLogFile().
  Descriptor editable_;
  /// A disk that was full has cut off the last line.
  bool isCut_ = false;
};

LogFile& logFile() {
  static LogFile& file = *new LogFile;
  return file;
}

std::string LogFile::open(const std::string& path, bool makesFolders) {
  const std::lock_guard lock(mutex_);
  if (makesFolders) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  }
  return renew(path).why();
}

/// What is open stays if that fails, unless it is another log's.
OwnFile LogFile::renew(const std::string& path) {
  if (path != path_) {
    fd_.reset();
    editable_.reset();
    path_ = path;
  }
  OwnFile now = openOwnFile(path.c_str(), O_RDWR | O_APPEND | O_CREAT, 0640);
  if (now.fd) fd_ = std::move(now.fd);
  return now;
}

void LogFile::keep(const std::string& path) noexcept {
  const std::lock_guard lock(mutex_);
  if (fd_) editable_ = openOwnFile(path.c_str(), O_RDWR, 0).fd;
}

void LogFile::append(const LogConfig& config, std::string_view message) noexcept {
  std::array<char, 64> head{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::size_t size = std::strftime(head.data(), head.size(), "%Y-%m-%d %H:%M:%S", &parts);
  size += static_cast<std::size_t>(
      std::snprintf(head.data() + size, head.size() - size, " pid:%d ", static_cast<int>(::getpid())));

  const std::lock_guard lock(mutex_);
  // By its name for each line, as it may have been moved away meanwhile.
  try {
    if (config.logFile != path_ || !hasItsName()) renew(config.logFile);
  } catch (...) {
    return;  // No memory for the path of another log.
  }
  if (!fd_) return;
  char lineEnd = '\n';
  // One call, so that lines of several processes stay whole without a lock.
  const std::array<iovec, 4> line{{{&lineEnd, isCut_ ? std::size_t{1} : 0},
                                   {head.data(), size},
                                   {const_cast<char*>(message.data()), message.size()},
                                   {&lineEnd, 1}}};
  ssize_t written = 0;
  do {
    written = ::writev(fd_.get(), line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return;
  isCut_ = static_cast<std::size_t>(written) < line[0].iov_len + size + message.size() + 1;
  struct stat status {};
  if (config.maxSize != 0 && ::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<std::uint64_t>(status.st_size) > config.maxSize) {
    dropOlderHalf(config.maxSize);
  }
}

/// Differs from Workerman: shortened in place instead of replaced by a renamed
/// copy, so that processes that have the file open go on with it. A line that
/// another process adds meanwhile is kept, but for one between the last read and
/// the cut that follows it. The lock keeps two from doing it at the same time;
/// where somebody holds it for another reason, the file is shortened some other time.
void LogFile::dropOlderHalf(std::uint64_t maxSize) noexcept {
  const Descriptor own(editable_ ? -1 : openOwnFile(path_.c_str(), O_RDWR, 0).fd.release());
  const int fd = editable_ ? editable_.get() : own.get();
  struct stat status {
  }, open{};
  if (fd < 0 || ::flock(fd, LOCK_EX | LOCK_NB) != 0) return;
  if (::fstat(fd, &status) == 0 && ::fstat(fd_.get(), &open) == 0 && status.st_ino == open.st_ino &&
      static_cast<std::uint64_t>(status.st_size) > maxSize) {
    static std::array<char, 65536> piece;
    const auto pread = [&](off_t at) { return ::pread(fd, piece.data(), piece.size(), at); };
    const off_t half = std::min<off_t>(status.st_size / 2, static_cast<off_t>(maxSize / 2));
    off_t from = status.st_size - half, to = 0;
    ssize_t got = 0;
    // From the first line that begins there.
    for (bool isFound = false; !isFound && (got = pread(from)) > 0;) {
      const std::string_view text(piece.data(), static_cast<std::size_t>(got));
      const std::size_t end = text.find('\n');
      isFound = end != std::string_view::npos;
      from += isFound ? static_cast<off_t>(end) + 1 : got;
    }
    while ((got = pread(from)) > 0 && ::pwrite(fd, piece.data(), static_cast<std::size_t>(got), to) == got) {
      from += got;
      to += got;
    }
    if (got == 0) static_cast<void>(::ftruncate(fd, to) == 0);
  }
  ::flock(fd, LOCK_UN);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank(" \n\r\t\v\0", 6);
  const std::size_t first = text.find_first_not_of(blank);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(blank) - first + 1);
}

void print(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

/// Whose colours a stream may show; -1: a stream of the program's own has none.
int descriptorOf(const std::ostream* stream) noexcept {
  if (stream == nullptr || stream == &std::cout) return STDOUT_FILENO;
  return stream == &std::cerr || stream == &std::clog ? STDERR_FILENO : -1;
}

}  // namespace

LogConfig& logConfig() {
  static LogConfig& config = *new LogConfig;
  return config;
}

std::string prepareLogFile() {
  const std::string& path = logConfig().logFile;
  const std::string why = logFile().open(path, true);
  return why.empty() ? why : "cannot write the log file " + path + ": " + why;
}

void keepLogFile() noexcept {
  logFile().keep(logConfig().logFile);
}

void log(std::string_view message, bool decorated) noexcept {
  const LogConfig& config = logConfig();
  const std::string_view text = trimmed(message);
  try {
    if (std::atomic_ref(logConfig().embedded).load()) return print(stderr, std::string(text) + '\n');
    if (!config.daemonize) safeEcho(std::string(text) + '\n', decorated);
  } catch (...) {
    // Out of memory: the terminal's line is not worth ending the process for.
  }
  if (!config.logFile.empty()) logFile().append(config, text);
}

void safeEcho(std::string_view message, bool decorated) noexcept {
  try {
    std::ostream* const stream = Worker::outputStream;
    const bool hasColours = ::isatty(descriptorOf(stream)) == 1 && std::getenv("NO_COLOR") == nullptr;
    const std::string text = decorate(message, decorated && hasColours);
    if (stream == nullptr) return print(stdout, text);
    *stream << text << std::flush;
  } catch (...) {
    // As in log().
  }
}

std::string decorate(std::string_view message, bool coloured) {
  constexpr std::string_view end = "\033[0m";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> tags = {{{"<n>", "\033[1A\n\033[K"},
                                                                                  {"<w>", "\033[47;30m"},
                                                                                  {"<g>", "\033[32;40m"},
                                                                                  {"</n>", end},
                                                                                  {"</w>", end},
                                                                                  {"</g>", end}}};
  std::string out;
  out.reserve(message.size());
  while (!message.empty()) {
    std::size_t length = 1;
    std::string_view replacement = message.substr(0, 1);
    for (const auto& [tag, escape] : tags) {
      if (message.starts_with(tag)) {
        length = tag.size();
        replacement = coloured ? escape : std::string_view();
        break;
      }
    }
    out += replacement;
    message.remove_prefix(length);
  }
  return out;
}

}  // namespace Workerman::detail
