#pragma once

/// argv -> what to do (internal, pure).

#include <string>
#include <string_view>
#include <vector>

namespace Workerman::detail {

struct Command {
  /// The first argument that names a command of ours; empty if none does.
  std::string name;
  /// The first of "-d", "-g", "-q" among the arguments; empty if there is none.
  std::string mode;
};

/// Finds the command among a program's arguments (the program's name first).
/// What is not ours is left alone. @see Workerman manual: install/start-and-stop
Command parseCommand(const std::vector<std::string>& arguments);

std::string usage(std::string_view program);

/// The arguments this process was started with.
std::vector<std::string> processArguments();

}  // namespace Workerman::detail
