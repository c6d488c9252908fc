#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace Workerman::detail {

/// Where log lines go. Plain per-process options, filled before the first
/// line by whoever starts the process.
struct LogConfig {
  std::string logFile;                       ///< empty: none
  std::uint64_t maxSize = 10 * 1024 * 1024;  ///< bytes; past it the older half goes; 0: no limit
  bool daemonize = false;                    ///< nothing to the terminal
  int keptFile = -1;                         ///< see keepLogFile()
  bool embedded = false;  ///< only stderr, and no file is touched; any thread: std::atomic_ref
};

LogConfig& logConfig();

/// Whether lines can be written to logConfig().logFile, which it makes, with the
/// directories that lead to it: what keeps them from it, empty if nothing does.
std::string prepareLogFile();
/// Opens the file for the rest of this process, which is about to give up rights
/// that it takes: lines go there where the file cannot be opened any more.
void keepLogFile() noexcept;

/// One log line: `message`, trimmed, to stdout unless daemonized (decorations
/// as in safeEcho() with `decorated`), and with date and pid to the log file.
/// Embedded: to stderr only. Never throws; a file that cannot be written is
/// left out.
/// @see Workerman manual: worker/log-file
void log(std::string_view message, bool decorated = false) noexcept;

/// Text for the person at the terminal, written at once. `<n>`, `<w>`, `<g>`
/// and their ends (line up, white, green) are coloured with `decorated` where
/// stdout is a terminal and NO_COLOR is not in the environment, and left out
/// elsewhere.
void safeEcho(std::string_view message, bool decorated = false) noexcept;

/// The decorations replaced by their escape sequences, or by nothing.
std::string decorate(std::string_view message, bool coloured);

}  // namespace Workerman::detail
