#include "command_line.h"

#include <sys/auxv.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace Workerman::detail {
namespace {

constexpr std::array<std::string_view, 6> kCommands{"start",  "stop",   "restart",
                                                    "reload", "status", "connections"};

/// Where /proc is not mounted. glibc hands main()'s arguments to what runs before it, other C libraries do
/// not.
char** argumentsOfMain = nullptr;
#ifdef __GLIBC__
[[gnu::constructor]] void keepArguments(int, char** argv, char**) {
  argumentsOfMain = argv;
}
#endif

}  // namespace

Command parseCommand(const std::vector<std::string>& arguments) {
  Command command;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (command.name.empty() && std::find(kCommands.begin(), kCommands.end(), word) != kCommands.end()) {
      command.name = word;
    }
    command.isDaemon = command.isDaemon || word == "-d";
    command.isGraceful = command.isGraceful || word == "-g";
    command.isQuiet = command.isQuiet || word == "-q";
    command.isJson = command.isJson || word == "--json";
    command.isVersion = command.isVersion || word == "--version";
  }
  return command;
}

std::string usage(std::string_view program) {
  return "Usage: " + std::string(program) +
         " <command> [mode]\n"
         "Commands:\n"
         "start\t\tRun the workers in the foreground; Ctrl+C stops them.\n"
         "\t\tWith -d as a daemon; with -q without the table of workers.\n"
         "stop\t\tStop the workers and their master.\n"
         "\t\tWith -g gracefully: connections may finish by themselves.\n"
         "restart\t\tStop, then start. Takes -d, -g and -q.\n"
         "reload\t\tReplace the workers' processes, one after the other.\n"
         "\t\tWith -g gracefully.\n"
         "status\t\tShow what the processes do; with -d again every second.\n"
         "\t\tWith --json for programs.\n"
         "connections\tShow their connections. With --json for programs.\n";
}

std::vector<std::string> processArguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> arguments;
  for (std::size_t from = 0; from < all.size();) {
    const std::size_t end = std::min(all.find('\0', from), all.size());
    arguments.push_back(all.substr(from, end - from));
    from = end + 1;
  }
  if (arguments.empty() && argumentsOfMain != nullptr) {
    for (char** word = argumentsOfMain; *word != nullptr; ++word) arguments.push_back(*word);
  }
  return arguments;
}

std::string programPath() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path running = fs::read_symlink("/proc/self/exe", error);
  if (!error) return running;
  const auto* const name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  const fs::path found = name != nullptr ? fs::canonical(name, error) : fs::path();
  return error || found.empty() ? std::string("workerman") : found.string();
}

std::string programName() {
  return std::filesystem::path(programPath()).filename();
}

}  // namespace Workerman::detail
