#pragma once

/// argv -> what to do, and what the program is called (internal).

#include <string>
#include <string_view>
#include <vector>

namespace Workerman::detail {

struct Command {
  /// The first argument that names a command of ours; empty if none does.
  std::string name;
  bool isDaemon = false;    ///< -d; for `status`: again and again
  bool isGraceful = false;  ///< -g
  bool isQuiet = false;     ///< -q
  bool isJson = false;      ///< --json
  bool isVersion = false;   ///< --version, where there is no command
};

/// Finds the command among a program's arguments (the program's name first).
/// What is not ours is left alone. @see Workerman manual: install/start-and-stop
/// Differs from Workerman: all modes count, not only the first: `restart -d -g`.
Command parseCommand(const std::vector<std::string>& arguments);

std::string usage(std::string_view program);

/// The arguments this process was started with. Call it before a process title hides them.
std::vector<std::string> processArguments();

/// The executable of this process; "workerman" where that cannot be told.
std::string programPath();
/// Without the folder.
std::string programName();

}  // namespace Workerman::detail
