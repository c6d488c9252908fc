// What the commands print, compared with the files in golden/: to the letter, but for what differs from run
// to run and machine to machine, which a word of the same width replaces. With GOLDEN_WRITE set in the
// environment the files are written instead.

#include <pwd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/program.h"

using testing::becomesTrue;
using testing::ChildProcess;
using testing::contents;
using testing::LineClient;
using testing::Program;
namespace fs = std::filesystem;

namespace {

using Output = ChildProcess::Output;
using Arguments = std::vector<std::string>;

const Arguments kService{"name=golden", "timers=2"};

Arguments with(Arguments command, const Arguments& more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

/// Each match becomes `word`, with the spaces that keep its width.
void replaceSameWidth(std::string& text, const std::string& pattern, std::string word) {
  const std::regex regex(pattern, std::regex::ECMAScript | std::regex::multiline);
  std::string replaced;
  auto from = text.cbegin();
  for (std::sregex_iterator match(text.cbegin(), text.cend(), regex), end; match != end; ++match) {
    word.resize(std::max(word.size(), static_cast<std::size_t>((*match)[0].length())), ' ');
    replaced.append(from, (*match)[0].first).append(word);
    from = (*match)[0].second;
  }
  text = replaced.append(from, text.cend());
}

void replaceAll(std::string& text, const std::string& pattern, const std::string& by) {
  text = std::regex_replace(text, std::regex(pattern, std::regex::ECMAScript | std::regex::multiline), by);
}

std::string userName() {
  const passwd* const entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_name : std::to_string(::geteuid());
}

std::string normalised(const Program& service, std::string text) {
  // What the program itself says stands anywhere between the library's lines.
  replaceAll(text, "^((start|stop|other|reload) [0-9]|exit |master (stop|reload) )[^\n]*\n", "");
  for (std::size_t at; (at = text.find(service.program.string())) != std::string::npos;) {
    text.replace(at, service.program.string().size(), "./service");
  }
  replaceAll(text, "^start time:[-0-9: ]{19} ", "start time:DATE ");
  replaceAll(text, "load average: [0-9., ]+$", "load average: LOAD");
  replaceSameWidth(text, "C\\+\\+/[0-9.]+ libuv/[0-9.]+ +", "LIBUV");
  replaceAll(text, "Linux/\\S+", "SYSTEM");
  replaceSameWidth(text, "^uv +\\S+ +" + userName() + " +", "uv          tcp         USER");
  replaceAll(text, "^[0-9]+\t", "PID\t");
  replaceSameWidth(text, "\t[0-9.]+M +", "\tMEMORY");
  replaceSameWidth(text, "^[0-9]+ +(?=golden)", "PID");
  replaceSameWidth(text, "127\\.0\\.0\\.1:[1-9][0-9]+ +", "ADDRESS");
  return text;
}

void compare(const Program& service, const std::string& name, const std::string& text) {
  const fs::path file = fs::path(GOLDEN_FOLDER) / (name + ".txt");
  const std::string now = normalised(service, text);
  if (std::getenv("GOLDEN_WRITE") != nullptr) std::ofstream(file) << now;
  CAPTURE(name);
  CHECK(now == contents(file));
}

void withColours() {
  ::unsetenv("NO_COLOR");
}
void withoutColours() {
  ::setenv("NO_COLOR", "1", 1);
}

/// The output of a command that ends by itself, with status 0.
std::string outputOf(const Program& service, const Arguments& arguments, Output output = Output::Pipe) {
  ChildProcess process(service.program, arguments, withColours, output);
  CHECK(process.wait() == 0);
  return process.text();
}

}  // namespace

TEST_CASE("golden: the usage, without a command") {
  const Program service;
  compare(service, "usage", outputOf(service, {}));
  compare(service, "usage", outputOf(service, {}, Output::Terminal));
}

TEST_CASE("golden: start in the foreground, coloured on a terminal only, until it is stopped") {
  for (const bool isTerminal : {false, true}) {
    const Program service;
    ChildProcess start(service.program, with({"start"}, kService), withColours,
                       isTerminal ? Output::Terminal : Output::Pipe);
    CHECK(start.waitFor("\nstart 0 "));
    CHECK(start.waitFor("other 0 "));
    start.signal(SIGINT);
    CHECK(start.wait() == 0);
    compare(service, isTerminal ? "start_terminal" : "start", start.text());
  }
}

TEST_CASE("golden: a terminal whose person wants no colours gets none (no-color.org)") {
  const Program service;
  ChildProcess start(service.program, with({"start"}, kService), withoutColours, Output::Terminal);
  CHECK(start.waitFor("\nstart 0 "));
  CHECK(start.waitFor("other 0 "));
  start.signal(SIGINT);
  CHECK(start.wait() == 0);
  compare(service, "start", start.text());
}

TEST_CASE("golden: a daemon and the commands for it") {
  const Program service;
  const Arguments options = with({service.toOutput()}, kService);
  compare(service, "start_d", outputOf(service, with({"start", "-d"}, options)));
  LineClient client(service.port());
  CHECK(client.ask("state") == "status 2 running workers 1");
  // Neither the page nor the table has colours, as in Workerman.
  for (const Output output : {Output::Pipe, Output::Terminal}) {
    compare(service, "status", outputOf(service, {"status"}, output));
    compare(service, "connections", outputOf(service, {"connections"}, output));
  }
  ChildProcess live(service.program, {"status", "-d"}, withColours, Output::Terminal);
  CHECK(live.waitFor("Press Ctrl+C to quit.\n\n"));
  live.signal(SIGINT);
  CHECK(live.wait() == -SIGINT);
  compare(service, "status_d_terminal", live.text());

  compare(service, "reload", outputOf(service, {"reload"}));
  CHECK(becomesTrue([&] { return service.log().find(" reloading\n") != std::string::npos; }));
  compare(service, "reload_g", outputOf(service, {"reload", "-g"}));
  compare(service, "restart_d", outputOf(service, with({"restart", "-d"}, options)));
  compare(service, "restart_d_terminal",
          outputOf(service, with({"restart", "-d"}, options), Output::Terminal));
  compare(service, "stop_g", outputOf(service, {"stop", "-g"}));
  compare(service, "start_d_terminal", outputOf(service, with({"start", "-d"}, options), Output::Terminal));
  compare(service, "stop", outputOf(service, {"stop"}, Output::Terminal));
  ChildProcess again(service.program, {"stop"});
  CHECK(again.wait() == 1);
  compare(service, "not_run", again.text());
}
