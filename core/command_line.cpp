#include "command_line.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

namespace Workerman::detail {
namespace {

constexpr std::array<std::string_view, 6> kCommands{"start", "stop", "restart", "reload", "status", "connections"};
constexpr std::array<std::string_view, 3> kModes{"-d", "-g", "-q"};

template <std::size_t N>
std::string firstOf(const std::vector<std::string>& arguments, const std::array<std::string_view, N>& known) {
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (std::find(known.begin(), known.end(), arguments[i]) != known.end()) return arguments[i];
  }
  return {};
}

}  // namespace

Command parseCommand(const std::vector<std::string>& arguments) {
  return {firstOf(arguments, kCommands), firstOf(arguments, kModes)};
}

std::string usage(std::string_view program) {
  return "Usage: " + std::string(program) +
         " <command>\n"
         "Commands:\n"
         "start\t\tRun the workers in the foreground; Ctrl+C stops them.\n";
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
