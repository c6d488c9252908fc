#pragma once

/// What the program does for each of its commands (internal).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "binary_upgrade.h"
#include "command_line.h"
#include "pid_file.h"

namespace Workerman::detail {

/// One run of the program, from the command line to exit.
class Invocation {
 public:
  /// `calledAs`: the program's name as the person at the terminal wrote it.
  Invocation(Command command, std::string calledAs);

  /// Does not return, in no process.
  [[noreturn]] void run();

 private:
  [[noreturn]] void start();
  void checkLogFile() const;
  [[noreturn]] void serve();
  [[noreturn]] void tryToServe();
  [[noreturn]] void goOn();
  void stop();
  [[noreturn]] void reload();
  [[noreturn]] void showStatus();
  [[noreturn]] void showConnections();
  template <class Report>
  Report ask(int signal, const std::string& file,
             std::optional<Report> (*decode)(std::string_view, std::int64_t));
  [[noreturn]] void failWithoutAnswer(const std::string& file, const std::string& problem);
  RunningMaster requireMaster();
  void signalMaster(const ProcessHandle& master, int signal);
  /// Whether it only looks at what others do: it leaves no trace in the log.
  bool isQuestion() const noexcept;
  [[noreturn]] void fail(const std::string& why);
  void logLine(const std::string& text) const;
  void prepareFiles() const;

  Command command_;
  Executable executable_;
  std::string calledAs_;
  std::string program_;
};

}  // namespace Workerman::detail
