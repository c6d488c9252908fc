// The commands, as a person at the terminal or a script gives them, and the daemon that they talk to.

#include <workerman/version.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/program.h"

using testing::becomesTrue;
using testing::ChildProcess;
using testing::LineClient;
using testing::Program;
using testing::Result;
using testing::runs;
namespace fs = std::filesystem;

TEST_CASE("commands: those for a running service say that there is none, with a status that tells") {
  const Program service;
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"stop"}, {"stop", "-g"}, {"reload"}, {"reload", "-g"}}) {
    CAPTURE(command.front());
    const Result result = service(command);
    CHECK(result.status == 1);
    CHECK(result.has("Workerman[service] not run\n"));
  }
  CHECK_FALSE(fs::exists(service.pidFile()));
}

TEST_CASE("commands: --version tells the library's version and the API's") {
  const Program service;
  const Result version = service({"--version"});
  CHECK(version.status == 0);
  CHECK(version.has("Workerman/5.2.2 C++/" WORKERMAN_CPP_VERSION " libuv/"));
}

TEST_CASE("start -d: returns when the workers have started; their output goes to stdoutFile") {
  const Program service;
  const Result start = service({"start", "-d", "count=2", service.toOutput()});
  CHECK(start.status == 0);
  CHECK(start.has("Workerman[service] start in DAEMON mode\n"));
  CHECK(start.has("Input \"" + service.program.string() + " stop\" to stop. Start success.\n"));
  CHECK_FALSE(start.has("start 0"));
  const std::string output = service.output();
  CHECK(output.find("start 0 ") != std::string::npos);
  CHECK(output.find("start 1 ") != std::string::npos);
  const int master = service.master();
  CHECK(runs(master));
  CHECK(::getsid(master) != ::getsid(0));
  CHECK(::getsid(master) != master);  // so it never gets a terminal again
  CHECK(LineClient(service.port()).ask("who") != "");

  const Result stop = service({"stop"});
  CHECK(stop.status == 0);
  CHECK(stop.has("Workerman[service] is stopping ...\nWorkerman[service] stop success\n"));
  CHECK_FALSE(runs(master));
  CHECK(LineClient(service.port()).error() == ECONNREFUSED);
  CHECK_FALSE(fs::exists(service.pidFile()));
  CHECK(service.log().find("Workerman[service] has been stopped\n") != std::string::npos);
}

TEST_CASE("start -d: what keeps it from starting is shown, with status 1, and nothing stays") {
  const Program service;
  const std::pair<std::string, std::string> cases[] = {
      {"crash=1", "ended before all had started, with status 64000"},
      {"listen=text://nowhere:0", "cannot listen on text://nowhere:0: 'nowhere' is no IP address"},
      {"stdout=/nowhere/file", "/nowhere/file"},
      {"user=nobody-has-this-name", "nobody-has-this-name"},
      {"pid-file=/nowhere/file", "/nowhere/file"},
  };
  for (const auto& each : cases) {
    const auto& option = each.first;
    const auto& why = each.second;
    CAPTURE(option);
    const Result start = service({"start", "-d", option});
    CAPTURE(start.text);
    CHECK(start.status == 1);
    CHECK(start.has(why));
    CHECK_FALSE(start.has("Start success"));
    CHECK(becomesTrue([&] { return !fs::exists(service.pidFile()); }));
  }
}

TEST_CASE("start: a second one is refused while the first runs, in both modes") {
  const Program service;
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  const int master = service.master();
  for (const char* mode : {"-d", "-q"}) {
    const Result second = service({"start", mode});
    CHECK(second.status == 1);
    CHECK(second.has("Workerman[service] already running\n"));
  }
  CHECK(service.master() == master);
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("start: the pid of a master that was killed is no obstacle") {
  const Program service;
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  const int master = service.master();
  ::kill(master, SIGKILL);
  CHECK(becomesTrue([&] { return !runs(master); }));
  CHECK(fs::exists(service.pidFile()));
  CHECK(service({"stop"}).has("not run"));
  // Its workers end as well, and only then is the file free.
  CHECK(becomesTrue([&] { return service({"start", "-d"}).status == 0; }));
  CHECK(service.master() != master);
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("restart: another master; also where none runs") {
  const Program service;
  for (const std::vector<std::string>& modes :
       {std::vector<std::string>{"-d"}, {"-d"}, {"-d", "-g"}, {"-g", "-d"}}) {
    const int before = service.master();
    std::vector<std::string> arguments{"restart", service.toOutput()};
    arguments.insert(arguments.end(), modes.begin(), modes.end());
    const Result restart = service(arguments);
    CAPTURE(restart.text);
    CHECK(restart.status == 0);
    CHECK(restart.has("stop success") == (before != 0));
    CHECK(restart.has("gracefully") == (modes.size() == 2));
    CHECK(service.master() != before);
    CHECK(runs(service.master()));
  }
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("reload: a daemon's processes are replaced, its master stays") {
  const Program service;
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  const int master = service.master();
  const std::string before = LineClient(service.port()).ask("who");
  CHECK(service({"reload"}).status == 0);
  CHECK(becomesTrue([&] {
    const std::string now = LineClient(service.port()).ask("who");
    return now != "" && now != before;
  }));
  CHECK(service.master() == master);
  CHECK(service({"stop", "-g"}).status == 0);
}

TEST_CASE("start: the table of workers is shown, and with -q it is not") {
  for (const bool isQuiet : {false, true}) {
    const Program service;
    ChildProcess start(service.program,
                       isQuiet ? std::vector<std::string>{"start", "-q"} : std::vector<std::string>{"start"});
    CHECK(start.waitFor("other 0 "));
    CHECK(start.waitFor("start 0 "));
    const bool isShown = start.text().find("-- WORKERS --") != std::string::npos;
    CHECK(isShown != isQuiet);
    CHECK((start.text().find("Press Ctrl+C to stop. Start success.\n") != std::string::npos) != isQuiet);
    start.signal(SIGINT);
    CHECK(start.wait() == 0);
  }
}

TEST_CASE(
    "user: a worker gives up root for it; without root that is a warning (Workerman's setUserAndGroup)") {
  const Program service;
  ChildProcess start(service.program, {"start", "-q", "user=nobody"});
  CHECK(start.waitFor("start 0 "));
  const std::string uid = start.waitForRest("uid ");
  if (::getuid() == 0) {
    CHECK(uid != "0 ");
  } else {
    CHECK(uid == std::to_string(::getuid()) + " ");
    CHECK(start.text().find("Warning: You must have the root privileges") != std::string::npos);
  }
  // The one that has no root any more still dies with its master.
  start.signal(SIGKILL);
  CHECK(start.wait() == -SIGKILL);
}
