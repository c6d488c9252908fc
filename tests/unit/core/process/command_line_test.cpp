#include "core/process/command_line.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace Workerman::detail;

TEST_CASE(
    "command line: the first command and every mode count, wherever they stand (Workerman's parseCommand)") {
  const struct {
    std::vector<std::string> arguments;
    std::string command, modes;
  } cases[] = {
      {{}, "", ""},
      {{"app"}, "", ""},
      {{"app", "start"}, "start", ""},
      {{"app", "start", "-d"}, "start", "d"},
      {{"app", "-d", "start"}, "start", "d"},
      {{"app", "--port=80", "start", "name", "-g"}, "start", "g"},
      {{"app", "stop", "start"}, "stop", ""},
      {{"app", "restart", "-g", "-d"}, "restart", "dg"},
      {{"app", "restart", "-d", "-q", "-g"}, "restart", "dgq"},
      {{"app", "reload"}, "reload", ""},
      {{"app", "status", "-d"}, "status", "d"},
      {{"app", "connections"}, "connections", ""},
      {{"app", "start", "-q"}, "start", "q"},
      {{"app", "START"}, "", ""},
      {{"app", "start "}, "", ""},
      {{"app", ""}, "", ""},
      {{"app", "--", "-x", "-dg"}, "", ""},
      {{"start"}, "", ""},
      {{"start", "stop"}, "stop", ""},
      {{"-d", "start"}, "start", ""},
  };
  for (const auto& c : cases) {
    std::string line;
    for (const auto& argument : c.arguments) line += argument + " ";
    CAPTURE(line);
    const Command command = parseCommand(c.arguments);
    CHECK(command.name == c.command);
    CHECK(command.isDaemon == (c.modes.find('d') != std::string::npos));
    CHECK(command.isGraceful == (c.modes.find('g') != std::string::npos));
    CHECK(command.isQuiet == (c.modes.find('q') != std::string::npos));
  }
}

TEST_CASE("command line: the usage names the program as it was called") {
  CHECK(usage("./app").starts_with("Usage: ./app <command>"));
}

TEST_CASE("command line: the arguments of this process are found without main") {
  const auto arguments = processArguments();
  REQUIRE_FALSE(arguments.empty());
  CHECK(arguments[0].find("unit_tests") != std::string::npos);
}
