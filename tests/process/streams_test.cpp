// Standard input, output and error: closed, ignored with their terminal, moved away, shared by several
// processes.

#include <fcntl.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
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
using testing::Result;
using testing::runs;
using testing::Service;
namespace fs = std::filesystem;

namespace {

std::string descriptor(int pid, int fd) {
  std::error_code error;
  return fs::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd), error);
}

/// The program with a global worker in a folder of its own.
struct Globals {
  Globals() { fs::copy_file(fs::read_symlink("/proc/self/exe").parent_path() / "test_globals", program); }
  std::string log() const { return contents(fs::path(home.path) / "workerman.log"); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(home.path), fs::directory_iterator()));
  }
  const testing::TemporaryFolder home;
  const std::string program = home.path + "/globals";
};

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("streams: where they are closed nothing else gets their numbers") {
  for (const std::vector<int>& closed : {std::vector<int>{0}, {1}, {2}, {0, 1, 2}}) {
    CAPTURE(closed.size());
    for (const bool isDaemon : {false, true}) {
      const Program service;
      std::vector<std::string> arguments{"start"};
      if (isDaemon) arguments.push_back("-d");
      ChildProcess start(service.program, arguments, [&] {
        for (const int fd : closed) ::close(fd);
      });
      CHECK(becomesTrue(
          [&] { return service({"status"}).has("1 [idle]") || service({"status"}).status == 0; }));
      const int master = service.master();
      CHECK(contents(service.pidFile()) == std::to_string(master));
      for (const int fd : closed) CHECK(descriptor(master, fd) == "/dev/null");
      CHECK(service({"reload"}).status == 0);
      CHECK(service({"stop"}).status == 0);
      CHECK(start.wait() == 0);
      CHECK(service.log().find("has been stopped") != std::string::npos);
    }
  }
}

TEST_CASE("streams: SIGHUP that was ignored at the start stays ignored (nohup), other signals do not") {
  Service service({}, [] { ::signal(SIGHUP, SIG_IGN); });
  const auto worker = service.started(1)[0];
  service.process().signal(SIGHUP);
  ::kill(worker.pid, SIGHUP);
  CHECK(LineClient(worker.port).ask("who") == "0 " + std::to_string(worker.pid));
  // Master and worker have gone on, and go on.
  service.process().signal(SIGUSR1);
  const auto next = service.started(2)[1];
  CHECK(next.pid != worker.pid);
  service.process().signal(SIGHUP);
  ::kill(next.pid, SIGHUP);
  CHECK(LineClient(next.port).ask("who") != "");
  CHECK_FALSE(service.has("received signal SIGHUP"));
  CHECK(service.stop(SIGTERM) == 0);
}

TEST_CASE("streams: SIGINT that was ignored at the start counts where a process has sent it, as stop does") {
  const Program service;
  ChildProcess start(service.program, {"start"}, [] {
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGQUIT, SIG_IGN);
  });
  CHECK(start.waitFor("start 0 "));
  CHECK(service({"stop"}).status == 0);
  CHECK(start.wait() == 0);
}

TEST_CASE(
    "streams: reload opens the daemon's output again, in master and workers (Worker::resetStd in PHP)") {
  std::vector<std::string> options;
  SUBCASE("workers that are replaced") {
    options = {};
  }
  SUBCASE("workers that are not") {
    options = {"reloadable=0"};
  }
  const Program service;
  options.insert(options.begin(), {"start", "-d", service.toOutput()});
  CHECK(service(options).status == 0);
  const int port = service.port();
  fs::rename(service.path / "out", service.path / "out.1");
  CHECK(LineClient(port).ask("work") == "done");
  CHECK_FALSE(fs::exists(service.path / "out"));
  const int before = occurrences(contents(service.path / "out.1"), "working");
  CHECK(before == 1);
  CHECK(service({"reload"}).status == 0);
  CHECK(becomesTrue([&] { return service.output().find("master reload ") != std::string::npos; }));
  CHECK(becomesTrue([&] {
    LineClient(port).ask("work");
    return service.output().find("working") != std::string::npos;
  }));
  CHECK(service({"stop"}).status == 0);
  CHECK(service.output().find("stop 0 ") != std::string::npos);
  CHECK(service.output().find("master stop ") != std::string::npos);
  CHECK(contents(service.path / "out.1").find("master stop ") == std::string::npos);
}

TEST_CASE("streams: lines of several processes stay whole, and what has no end appears as well") {
  const Globals globals;
  ChildProcess start(globals.program, {"start"});
  CHECK(start.waitUntil([](const std::string& text) { return occurrences(text, "half of one") == 4; }));
  start.signal(SIGTERM);
  CHECK(start.wait() == 0);
  // What has no end stands before whatever comes next.
  std::string text = start.text();
  for (std::size_t at; (at = text.find("half of one")) != std::string::npos;) text.erase(at, 11);
  int lines = 0;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) {
    if (line.find("line ") == std::string::npos && line.find(" ends") == std::string::npos) continue;
    std::istringstream words(line);
    std::string word, of, end, rest;
    int id = -1, number = -1, count = 0;
    words >> word >> id >> number >> of >> count >> end;
    CHECK_MESSAGE((word == "line" && id >= 0 && id < 4 && of == "of" && count == 300 && end == "ends" &&
                   !(words >> rest)),
                  line);
    ++lines;
  }
  CHECK(lines == 4 * 300);
}

TEST_CASE("streams: a global worker is silent at the end, whatever the command, and leaves no file") {
  const Globals globals;
  ChildProcess start(globals.program, {"start"});
  CHECK(start.waitUntil([](const std::string& text) { return occurrences(text, "half of one") == 4; }));
  ChildProcess status(globals.program, {"status", "--json"});
  CHECK(status.wait() == 0);
  CHECK(nlohmann::json::parse(status.text())["processes"].size() == 4);
  ChildProcess usage(globals.program, {});
  CHECK(usage.wait() == 0);
  ChildProcess stop(globals.program, {"stop"});
  CHECK(stop.wait() == 0);
  CHECK(start.wait() == 0);
  for (const std::string& text : {start.text(), status.text(), usage.text(), stop.text(), globals.log()}) {
    CHECK(text.find("destroyed") == std::string::npos);
  }
  CHECK(globals.files() == 2);  // the program and its log
}

TEST_CASE("streams: a local worker that listens in a callback and is destroyed says so") {
  const Globals globals;
  ChildProcess start(globals.program, {"start", "inner=1"});
  const std::string line =
      "a Worker that listens on text://127.0.0.1:0 is destroyed, and with it what it listens with";
  CHECK(start.waitUntil([&](const std::string& text) { return occurrences(text, line) == 4; }));
  start.signal(SIGTERM);
  CHECK(start.wait() == 0);
}
