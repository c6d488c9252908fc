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
  bool embedded = false;  ///< only stderr, and no file is touched; any thread: std::atomic_ref
};

/// Until the very end of the process, static destructors included.
LogConfig& logConfig();

/// Opens logConfig().logFile for the rest of this process, which needs no
/// descriptor for a line then, and makes it, with the directories that lead to
/// it: what keeps it from that, empty if nothing does. The file is 0640, and
/// must be one that openOwnFile() opens.
std::string prepareLogFile();
/// For a process that is about to give up rights that the file takes: lines go
/// there further, and its older half can still be dropped.
void keepLogFile() noexcept;

/// One log line: `message`, trimmed, to stdout unless daemonized (decorations
/// as in safeEcho() with `decorated`), and with date and pid to the log file.
/// Embedded: to stderr only. Never throws; a file that cannot be written is
/// left out. Nothing that others can hold is waited for. A file that was moved
/// away is followed by a new one; where that cannot be, the old one is written
/// to further.
/// @see Workerman manual: worker/log-file
void log(std::string_view message, bool decorated = false) noexcept;

/// Text for the person at the terminal, written at once, to standard output or
/// Worker::outputStream. `<n>`, `<w>`, `<g>` and their ends (line up, white,
/// green) are coloured with `decorated` where that is a terminal and NO_COLOR is
/// not in the environment, and left out elsewhere.
void safeEcho(std::string_view message, bool decorated = false) noexcept;

/// The decorations replaced by their escape sequences, or by nothing.
std::string decorate(std::string_view message, bool coloured);

}  // namespace Workerman::detail
