#include "command_line.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

namespace Workerman::detail {
namespace {

constexpr std::array<std::string_view, 6> kCommands{"start",  "stop",   "restart",
                                                    "reload", "status", "connections"};

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
  return arguments;
}

}  // namespace Workerman::detail
