// The program as process 1 of a container: it adopts what others leave, and no signal ends it by default.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/program.h"
#include "support/service.h"
#include "support/upgradable.h"

using testing::becomesTrue;
using testing::ChildProcess;
using testing::contents;
using testing::LineClient;
using testing::Upgradable;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kUnshare{"--pid", "--fork", "--mount-proc", "--kill-child"};

bool mayUnshare() {
  std::vector<std::string> arguments = kUnshare;
  arguments.push_back("true");
  ChildProcess process("/usr/bin/unshare", arguments);
  if (process.wait() == 0) return true;
  MESSAGE("skipped: this user may not make a namespace of processes: ", process.text());
  return false;
}

std::vector<int> childrenOf(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  std::vector<int> children;
  for (int child = 0; file >> child;) children.push_back(child);
  return children;
}

/// A program that lies in `folder`, as process 1.
class Container {
 public:
  Container(const fs::path& program, const std::vector<std::string>& options)
      : process_("/usr/bin/unshare", arguments(program, options)) {}

  ChildProcess& process() { return process_; }
  /// Process 1, as it is called outside.
  int init() const {
    const auto children = childrenOf(process_.pid());
    return children.size() == 1 ? children[0] : 0;
  }
  void signal(int number) const {
    REQUIRE(init() > 0);
    REQUIRE(::kill(init(), number) == 0);
  }
  int port() {
    std::istringstream words(process_.waitForRest("start 0 "));
    int pid = 0, port = 0;
    words >> pid >> port;
    return port;
  }

 private:
  static std::vector<std::string> arguments(const fs::path& program,
                                            const std::vector<std::string>& options) {
    std::vector<std::string> all = kUnshare;
    all.insert(all.end(), {program.string(), "start"});
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }

  ChildProcess process_;
};

}  // namespace

TEST_CASE("container: process 1 serves, reloads, reaps the orphans of others and stops with status 0") {
  if (!mayUnshare()) return;
  testing::TemporaryFolder folder;
  const fs::path program = fs::path(folder.path) / "app";
  testing::putBuild("A", program);
  Container container(program, {"count=2"});
  container.process().waitFor("\nstart 1 ");
  const int port = container.port();
  const int init = container.init();
  const auto own = childrenOf(init);
  CHECK(own.size() == 2);
  // The grandchild of a worker, whose parent ends: it is process 1's now.
  CHECK(LineClient(port).ask("orphan") != "");
  const auto orphan = [&] {
    for (const int child : childrenOf(init)) {
      if (std::find(own.begin(), own.end(), child) == own.end()) return child;
    }
    return 0;
  };
  CHECK(becomesTrue([&] { return orphan() != 0; }));
  const int pid = orphan();
  ::kill(pid, SIGKILL);
  CHECK(becomesTrue([&] { return !fs::exists("/proc/" + std::to_string(pid)); }));
  CHECK(childrenOf(init) == own);
  // A signal that is nobody's business, and one that reloads, with a new binary as well.
  container.signal(SIGIO);
  testing::putBuild("B", program);
  container.signal(SIGUSR1);
  CHECK(Upgradable::askUntil(port, "who", "B ") != "");
  CHECK(container.process().waitUntil(
      [](const std::string& text) { return text.find("stop 1 ") != std::string::npos; }));
  CHECK(container.init() == init);
  CHECK(becomesTrue([&] { return childrenOf(init).size() == 2; }));
  container.signal(SIGTERM);
  CHECK(container.process().wait() == 0);
  CHECK(container.process().text().find("master stop 1 B") != std::string::npos);
  CHECK(LineClient(port).error() == ECONNREFUSED);
  // What goes to the log file is on standard output as well.
  for (const char* const line :
       {"Workerman[app] start in DEBUG mode\n", "Workerman[app] has been stopped\n"}) {
    CHECK(container.process().text().find(line) != std::string::npos);
    CHECK(contents(fs::path(folder.path) / "workerman.log").find(line) != std::string::npos);
  }
}

TEST_CASE(
    "container: the pid file of one that was killed says 1 and is no obstacle (walkor/workerman#87, #125)") {
  if (!mayUnshare()) return;
  testing::TemporaryFolder folder;
  const fs::path program = fs::path(folder.path) / "app",
                 pidFile = fs::path(folder.path) / "workerman.app.pid";
  testing::putBuild("A", program);
  {
    Container container(program, {});
    container.process().waitFor("\nstart 0 ");
    CHECK(contents(pidFile) == "1");
    container.signal(SIGKILL);
    CHECK(container.process().wait() != 0);
  }
  CHECK(contents(pidFile) == "1");
  Container container(program, {});
  CHECK(container.process().waitFor("\nstart 0 "));
  container.signal(SIGINT);
  CHECK(container.process().wait() == 0);
  CHECK_FALSE(fs::exists(pidFile));
}
