#pragma once

/// What the program does for each of its commands (internal).

#include <string>

#include "command_line.h"

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
  [[noreturn]] void serve();
  void stop();
  [[noreturn]] void reload();
  int requireMaster();
  [[noreturn]] void fail(const std::string& why);
  void logLine(const std::string& text) const;
  void prepareFiles() const;

  Command command_;
  std::string calledAs_;
  std::string program_;
};

/// The executable of this process; "workerman" where that cannot be told.
std::string programPath();

}  // namespace Workerman::detail
