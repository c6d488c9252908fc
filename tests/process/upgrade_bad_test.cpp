// A reload after the program's binary was replaced by one that cannot run: the old one serves on, and the log
// says why.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/host_loop.h"
#include "support/line_client.h"
#include "support/program.h"
#include "support/service.h"
#include "support/upgradable.h"

using testing::becomesTrue;
using testing::contents;
using testing::LineClient;
using testing::runs;
using testing::Started;
using testing::Upgradable;
namespace fs = std::filesystem;

namespace {

/// Reloads, and checks that nothing has come of it but that line in the log.
void checkStaysWith(Upgradable& app, const Started& before, const std::string& why) {
  CAPTURE(why);
  const std::string line = "Workerman[app] the new binary " + app.program().string() + " cannot be started: ";
  const int failures = app.times(line), starts = app.times("\nstart ");
  const std::string who = LineClient(before.port).ask("who");
  CHECK(who.starts_with("A "));
  app.reload();
  app.sees("; still running the old one\n", failures + 1);
  const std::size_t at = app.text().rfind(line);
  REQUIRE(at != std::string::npos);
  const std::string cause = app.text().substr(at + line.size());
  CHECK_MESSAGE(cause.find(why) != std::string::npos, cause);
  CHECK(becomesTrue([&] { return contents(app.folder() / "workerman.log").find(why) != std::string::npos; }));
  CHECK(runs(before.pid));
  CHECK(LineClient(before.port).ask("who") == who);
  CHECK(app.times("\nstart ") == starts);
  CHECK_FALSE(app.has("\nmain B"));
}

void put(const Upgradable& app, const std::string& content, int mode = 0755) {
  const fs::path next = app.folder() / "next";
  std::ofstream(next) << content;
  ::chmod(next.c_str(), static_cast<mode_t>(mode));
  fs::rename(next, app.program());
}

}  // namespace

TEST_CASE("upgrade: a file that the system does not run") {
  Upgradable app;
  const Started before = app.started(0, "A");
  SUBCASE("has no right to be run") {
    put(app, contents(app.program()), 0644);
    checkStaysWith(app, before, "Permission denied");
  }
  SUBCASE("is no program") {
    put(app, "not a program");
    checkStaysWith(app, before, "Exec format error");
  }
  SUBCASE("is not there") {
    fs::remove(app.program());
    checkStaysWith(app, before, "No such file or directory");
  }
  SUBCASE("is there in part") {
    put(app, contents(app.program()).substr(0, 5000));
    checkStaysWith(app, before, "it ended by signal");
  }
  SUBCASE("is still being written") {
    app.put("B");
    const int fd = ::open(app.program().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    REQUIRE(fd >= 0);
    checkStaysWith(app, before, "Text file busy");
    ::close(fd);
  }
  SUBCASE("is another program") {
    fs::copy_file("/bin/true", app.folder() / "next");
    fs::rename(app.folder() / "next", app.program());
    checkStaysWith(app, before, "it ended with status 0 before its workers could start");
  }
  // The next one may be better.
  app.put("B");
  app.reload();
  CHECK(app.started(1, "B").port == before.port);
  CHECK(app.stop() == 0);
}

TEST_CASE("upgrade: a program that does not come as far as its workers") {
  Upgradable app({"timeout=0.5"});
  const Started before = app.started(0, "A");
  const std::pair<const char*, const char*> cases[] = {
      {"main=exit", "it ended with status 3 before its workers could start: main B  no such configuration"},
      {"main=exit-0", "it ended with status 0 before its workers could start"},
      {"main=abort", "it ended by signal 6 (Aborted)"},
      {"main=throw", "thrown by main"},
      {"main=hang", "it was not ready within 500 ms (upgradeTimeout)"},
      {"listen=text://nowhere:0", "cannot listen on text://nowhere:0: 'nowhere' is no IP address"},
      {"listen=nonsense://127.0.0.1:0", "unknown protocol 'nonsense'"},
      {"user=nobody-has-this-name", "there is no user \"nobody-has-this-name\""},
  };
  app.put("B");
  for (const auto& each : cases) {
    CAPTURE(std::string(each.first));
    app.tellB(each.first);
    checkStaysWith(app, before, each.second);
  }
  // What it prints is neither shown nor in its way.
  app.tellB("main=noise timeout=10");
  app.reload();
  app.started(1, "B");
  CHECK(app.stop() == 0);
}

TEST_CASE("upgrade: a new worker's port that is taken") {
  Upgradable app;
  const Started before = app.started(0, "A");
  int port = 0;
  const int blocker = testing::listenAnywhere(&port);
  const std::string address = "text://127.0.0.1:" + std::to_string(port);
  app.tellB("more=" + address);
  app.put("B");
  checkStaysWith(app, before, "cannot listen on " + address + ": Address already in use");
  ::close(blocker);
  app.reload();
  app.started(1, "B");
  CHECK(Upgradable::askUntil(port, "who", "B ") != "");
  CHECK(app.stop() == 0);
}

TEST_CASE("upgrade: a stop while the new binary is tried ends that as well") {
  Upgradable app({"timeout=3600"});
  app.started(0, "A");
  const fs::path mark = app.folder() / "mark";
  put(app, "#!/bin/sh\necho $$ > " + mark.string() + "\nexec sleep 3600\n");
  app.reload();
  CHECK(becomesTrue([&] { return contents(mark).ends_with("\n"); }));
  const int tried = std::stoi(contents(mark));
  CHECK(runs(tried));
  CHECK(app.stop() == 0);
  CHECK_FALSE(runs(tried));
}
