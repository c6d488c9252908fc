#include "log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

namespace Workerman::detail {

namespace {

constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_NOCTTY;

class File {
 public:
  File(const char* path, int flags) : fd_(::open(path, flags | O_CLOEXEC, 0644)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) {
      ::close(fd_);  // Ends the lock as well.
    }
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

bool writeAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      return false;
    }
    text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
  }
  return true;
}

/// The file from the first line that starts in its newer half.
std::string newerHalf(int fd, off_t size) {
  const off_t start = size / 2;
  std::string text(static_cast<std::size_t>(size - start), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::pread(fd, text.data() + have, text.size() - have, start + static_cast<off_t>(have));
    if (got <= 0) {
      break;
    }
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  const std::size_t lineEnd = text.find('\n');
  return lineEnd == std::string::npos ? text : text.substr(lineEnd + 1);
}

/// Differs from Workerman: shortened in place under the lock instead of
/// replaced by a renamed copy, so that a process that waits for the lock does
/// not write its line into a file that has gone.
void dropOlderHalf(int fd, off_t size) {
  const std::string keep = newerHalf(fd, size);
  if (::ftruncate(fd, 0) == 0) {
    writeAll(fd, keep);
  }
}

void appendToFile(const LogConfig& config, std::string_view message) {
  std::array<char, 32> date{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", &parts);
  std::string line = date.data();
  line += " pid:" + std::to_string(::getpid()) + " ";
  line += message;
  line += '\n';

  // By its name for each line, as it may have been moved away meanwhile.
  const File file(config.logFile.c_str(), kFlags);
  const int fd = file.fd() >= 0 ? file.fd() : config.keptFile;
  if (fd < 0) {
    return;
  }
  while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat status {};
  if (writeAll(fd, line) && config.maxSize != 0 && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<std::uint64_t>(status.st_size) > config.maxSize) {
    dropOlderHalf(fd, status.st_size);
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

}  // namespace

LogConfig& logConfig() {
  static LogConfig config;
  return config;
}

std::string prepareLogFile() {
  const std::string& path = logConfig().logFile;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const File file(path.c_str(), kFlags);
  if (file.fd() >= 0) return {};
  return "cannot write the log file " + path + ": " + std::generic_category().message(errno);
}

void keepLogFile() noexcept {
  LogConfig& config = logConfig();
  if (config.keptFile < 0) config.keptFile = ::open(config.logFile.c_str(), kFlags | O_CLOEXEC, 0644);
}

void log(std::string_view message, bool decorated) noexcept {
  try {
    const LogConfig& config = logConfig();
    const std::string_view text = trimmed(message);
    if (std::atomic_ref(logConfig().embedded).load()) {
      print(stderr, std::string(text) + '\n');
      return;
    }
    if (!config.daemonize) {
      safeEcho(std::string(text) + '\n', decorated);
    }
    if (!config.logFile.empty()) {
      appendToFile(config, text);
    }
  } catch (...) {
    // Out of memory: a log line is not worth ending the process for.
  }
}

void safeEcho(std::string_view message, bool decorated) noexcept {
  try {
    const bool hasColours = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    print(stdout, decorate(message, decorated && hasColours));
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
