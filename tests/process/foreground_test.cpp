// A real program in the foreground: its command line, its signals, its output, its end.

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "support/child_process.h"
#include "support/host_loop.h"
#include "support/temporary_folder.h"

using testing::ChildProcess;
namespace fs = std::filesystem;

namespace {

/// A copy of the program in a folder of its own, where it may leave its log file.
struct Program {
  Program() { fs::copy_file(fs::read_symlink("/proc/self/exe").parent_path() / "test_app", path); }
  std::string log(const std::string& name = "workerman.log") const {
    std::ifstream file(folder / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const testing::TemporaryFolder home;
  const fs::path folder = home.path, path = folder / "app";
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

int count(const std::string& text, const std::string& part) {
  int times = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("command line: without a command the usage is printed, status 0, and no file is made") {
  const Program program;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, {"-d"}, {"begin"}, {"Start"}}) {
    ChildProcess app(program.path, arguments);
    CHECK(app.wait() == 0);
    CHECK(contains(app.text(), "Usage: " + program.path.string() + " <command>"));
    CHECK(contains(app.text(), "start"));
    CHECK_FALSE(contains(app.text(), "started"));
  }
  CHECK_FALSE(fs::exists(program.folder / "workerman.log"));
}

TEST_CASE("start: runs until SIGINT, SIGTERM or SIGHUP, then onWorkerStop and status 0") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) {
    CAPTURE(number);
    const Program program;
    ChildProcess app(program.path, {"start"});
    app.waitFor("Start success");
    app.signal(number);
    CHECK(app.wait() == 0);
    CHECK(count(app.text(), "started") == 1);
    CHECK(count(app.text(), "stopped\n") == 2);  // onWorkerStop's, and the next
    CHECK(count(app.text(), "Workerman[app] has been stopped\n") == 1);
    CHECK(contains(app.text(), "Workerman[app] start in DEBUG mode"));
  }
}

TEST_CASE("start: the log file is beside the program, or where Worker::logFile says") {
  const Program program;
  {
    ChildProcess app(program.path, {"start"});
    app.waitFor("Start success");
    app.signal(SIGINT);
    CHECK(app.wait() == 0);
  }
  CHECK(contains(program.log(), " pid:"));
  CHECK(contains(program.log(), "Workerman[app] start in DEBUG mode\n"));
  CHECK_FALSE(contains(program.log(), "started"));
  fs::remove(program.folder / "workerman.log");
  ChildProcess app(program.path, {"start", "log-file", program.folder / "other.log"});
  app.waitFor("Start success");
  app.signal(SIGINT);
  CHECK(app.wait() == 0);
  CHECK(contains(program.log("other.log"), "start in DEBUG mode"));
  CHECK_FALSE(fs::exists(program.folder / "workerman.log"));
}

TEST_CASE("start: std::cout appears at once, without a line's end, though it is no terminal") {
  const Program program;
  ChildProcess app(program.path, {"start"});
  CHECK(app.waitFor("started"));
  app.waitFor("Start success");
  app.signal(SIGTERM);
  CHECK(app.wait() == 0);
}

TEST_CASE("start: an exception is logged with what it says, and ends the worker with 250; a new one starts") {
  const Program program;
  const std::pair<std::string, std::string> cases[] = {
      {"throw", "std::runtime_error: thrown by onWorkerStart"},
      {"timer-throw", "std::logic_error: thrown by a timer"},
  };
  for (const auto& each : cases) {
    const auto& how = each.first;
    const auto& text = each.second;
    CAPTURE(how);
    ChildProcess app(program.path, {"start", how});
    CHECK(app.waitFor("exit with status 64000\nstarted"));
    app.signal(SIGINT);
    CHECK(app.wait() == 0);
    CHECK(contains(app.text(), text));
    CHECK(contains(program.log(), text));
    CHECK(contains(app.text(), "stopped"));
  }
  ChildProcess app(program.path, {"start", "stop-with-3"});
  CHECK(app.waitFor("three\nstopped\n"));
  CHECK(app.waitFor("exit with status 768\nstarted"));
  app.signal(SIGINT);
  CHECK(app.wait() == 0);
}

TEST_CASE("command line: all arguments reach getArgv, with those of Worker::command") {
  const Program program;
  const std::string path = program.path;
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"start", "arguments", "--port=80", "a b", ""}, "[" + path + "][start][arguments][--port=80][a b][]"},
      {{"arguments", "start", "given"}, "[" + path + "][arguments][start][given]"},
      {{"arguments", "command"}, "[" + path + "][arguments][command][start][with][more]"},
  };
  for (const auto& each : cases) {
    const auto& arguments = each.first;
    const auto& wanted = each.second;
    CAPTURE(wanted);
    ChildProcess app(program.path, arguments);
    CHECK(app.waitFor(wanted));
    app.waitFor("Start success");
    app.signal(SIGTERM);
    CHECK(app.wait() == 0);
  }
}

TEST_CASE("start: a port in use, or an address that is none, is one clear message and status 1") {
  const Program program;
  int port = 0;
  const int blocker = testing::listenAnywhere(&port);
  const std::string address = "text://127.0.0.1:" + std::to_string(port);
  const std::pair<std::string, std::string> cases[] = {
      {address, "cannot listen on " + address + ": Address already in use"},
      {"nonsense://127.0.0.1:0", "unknown protocol 'nonsense'"},
      {"text://nowhere:0", "'nowhere' is no IP address"},
  };
  for (const auto& each : cases) {
    const auto& name = each.first;
    const auto& text = each.second;
    CAPTURE(name);
    ChildProcess app(program.path, {"start", "listen", name});
    CHECK(app.wait() == 1);
    CHECK(count(app.text(), text) == 1);
    CHECK_FALSE(contains(app.text(), "started"));
    CHECK_FALSE(contains(app.text(), "stopped"));
  }
  ::close(blocker);
}

TEST_CASE("stop: a pending reconnect and look-ups under way hold up nobody") {
  const Program program;
  const std::pair<std::string, std::string> cases[] = {{"reconnect", "lost"}, {"look-up", "Start success"}};
  for (const auto& each : cases) {
    const auto& what = each.first;
    const auto& sign = each.second;
    CAPTURE(what);
    ChildProcess app(program.path, {"start", "slow-stop", what});
    app.waitFor("Start success");
    app.waitFor(sign);
    app.signal(SIGINT);
    const int status = app.wait();
    CAPTURE(app.text());
    CHECK(status == 0);
    CHECK(contains(app.text(), "stopped"));
  }
}

TEST_CASE("stop: what cannot be sent is cut off after stopTimeout, or by a second Ctrl-C") {
  const Program program;
  int port = 0;
  // Accepts in its backlog, and never reads.
  const int peer = testing::listenAnywhere(&port);
  const std::string address = "tcp://127.0.0.1:" + std::to_string(port);
  {
    ChildProcess app(program.path, {"start", "stalled", "slow-stop", address});
    app.waitFor("stalled");
    app.signal(SIGINT);
    app.waitFor("stopped");
    CHECK(app.wait(0.3) == -1000);
    app.signal(SIGINT);
    CHECK(app.wait() == 0);
  }
  const auto start = std::chrono::steady_clock::now();
  ChildProcess app(program.path, {"start", "stalled", address});
  app.waitFor("stalled");
  app.signal(SIGTERM);
  CHECK(app.wait() == 0);
  CHECK(secondsSince(start) > 1.9);
  ::close(peer);
}

TEST_CASE("onSignal: a program's own signal on globalEvent") {
  const Program program;
  ChildProcess app(program.path, {"start", "own-signal"});
  app.waitFor("Start success");
  app.signal(SIGUSR1);
  CHECK(app.waitFor("signal " + std::to_string(SIGUSR1)));
  app.signal(SIGINT);
  CHECK(app.wait() == 0);
}
