// A reload after the program's binary was replaced: the new one goes on with the same master, sockets and
// connections. What the bad ones do is in upgrade_bad_test.cpp.

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <string>

#include "support/deadline.h"
#include "support/line_client.h"
#include "support/program.h"
#include "support/restless_client.h"
#include "support/service.h"
#include "support/upgradable.h"

using testing::becomesTrue;
using testing::ChildProcess;
using testing::contents;
using testing::LineClient;
using testing::RestlessClient;
using testing::runs;
using testing::Started;
using testing::Upgradable;
namespace fs = std::filesystem;

TEST_CASE("upgrade: a reload runs the new binary, with the same master, port and arguments") {
  Upgradable app({"count=2", "an argument", ""});
  const Started first = app.started(0, "A"), second = app.started(1, "A");
  const std::string arguments = LineClient(first.port).ask("arguments");
  app.put("B");
  app.reload();
  const Started third = app.started(2, "B");
  CHECK(third.port == first.port);
  CHECK(third.id == 0);
  app.started(3, "B");
  CHECK(becomesTrue([&] { return !runs(first.pid) && !runs(second.pid); }));
  CHECK(Upgradable::askUntil(first.port, "who", "B ") != "");
  CHECK(LineClient(first.port).ask("arguments") == arguments);
  CHECK(LineClient(first.port).ask("traces") == "none");
  app.sees("stop ", 2);
  // It is no second start, and what tried the new binary has left no trace.
  CHECK(app.has("goes on with the new binary " + app.program().string() + "\n"));
  CHECK(app.times("start in DEBUG mode") == 1);
  CHECK(app.times("-- WORKERS --") == 1);
  CHECK(app.times("main B") == 1);
  CHECK(app.times("master reload B") == 1);
  CHECK(app.times("master reload A") == 0);
  CHECK(app.times("Workerman[app] reloading\n") == 1);
  CHECK_FALSE(app.has("exit with status"));
  // One after the other: the second goes only when there is another one for the first.
  CHECK(app.text().find("start 0 " + std::to_string(third.pid)) < app.text().find("reload 1 "));
  CHECK(app.stop() == 0);
  CHECK(app.has("master stop " + std::to_string(app.process().pid()) + " B"));
  CHECK(LineClient(first.port).error() == ECONNREFUSED);
  CHECK_FALSE(fs::exists(app.folder() / "workerman.app.pid"));
}

TEST_CASE("upgrade: ten times under clients, with none refused or, gracefully, cut") {
  for (const char* const reusePort : {"reuse-port=0", "reuse-port=1"}) {
    CAPTURE(std::string(reusePort));
    Upgradable app({"count=2", reusePort});
    const int port = app.started(0, "A").port;
    app.started(1, "A");
    std::mutex mutex;
    std::set<char> builds;
    RestlessClient client(port, [&](const std::string& answer) {
      const std::lock_guard lock(mutex);
      if (answer != "") builds.insert(answer[0]);
    });
    for (int times = 1; times <= 10; ++times) {
      const char build = times % 2 == 1 ? 'B' : 'A';
      app.put(std::string(1, build));
      app.reload(true);
      app.started(2 * times, std::string(1, build));
      app.started(2 * times + 1, std::string(1, build));
      Upgradable::askUntil(port, "who", std::string(1, build));
    }
    CHECK(client.refused == 0);
    CHECK(client.cut == 0);
    CHECK(client.answered > 10);
    CHECK(builds == std::set<char>{'A', 'B'});
    CHECK(app.stop() == 0);
    CHECK(app.has("master stop " + std::to_string(app.process().pid()) + " A"));
  }
}

TEST_CASE("upgrade: gracefully, connections of the old binary's processes may finish") {
  Upgradable app;
  const Started before = app.started(0, "A");
  LineClient client(before.port);
  CHECK(client.ask("who").starts_with("A"));
  app.put("B");
  app.reload(true);
  app.sees("stop 0 ");
  CHECK(client.ask("who").starts_with("A"));
  ::shutdown(client.fd(), SHUT_RDWR);
  CHECK(app.started(1, "B").port == before.port);
  CHECK(app.stop() == 0);
}

TEST_CASE("upgrade: without a new binary a reload is an ordinary one") {
  Upgradable app;
  app.started(0, "A");
  app.reload();
  app.started(1, "A");
  CHECK(app.times("main A") == 1);
  CHECK(app.stop() == 0);
}

TEST_CASE(
    "upgrade: the new binary may have more workers and processes, or fewer; a socket that is unwanted "
    "closes") {
  Upgradable app({"count=2", "more=text://127.0.0.1:0"});
  const Started first = app.started(0, "A"), second = app.started(1, "A");
  app.sees("\nmore ");
  int morePid = 0, morePort = 0;
  std::istringstream(app.text().substr(app.text().find("\nmore ") + 6)) >> morePid >> morePort;
  CHECK(LineClient(morePort).ask("who").starts_with("A"));
  app.tellB("count=1 more= name=renamed");
  app.put("B");
  app.reload();
  app.started(2, "B");
  for (const int pid : {first.pid, second.pid, morePid}) CHECK(becomesTrue([&] { return !runs(pid); }));
  CHECK(app.has("no worker listens on the inherited socket 127.0.0.1:" + std::to_string(morePort)));
  CHECK(LineClient(morePort).error() == ECONNREFUSED);
  Upgradable::askUntil(first.port, "who", "B ");
  // And back again.
  app.put("A");
  app.reload();
  app.started(4, "A");
  app.sees("\nmore ", 2);
  CHECK(app.stop() == 0);
}

TEST_CASE("upgrade: where reloadable is false the old binary's processes stay, and end with the new master") {
  Upgradable app({"count=2", "reloadable=0"});
  const Started first = app.started(0, "A"), second = app.started(1, "A");
  app.put("B");
  app.reload();
  app.sees("\nreload ", 2);
  app.sees("master reload B");
  CHECK(runs(first.pid));
  CHECK(LineClient(first.port).ask("who").starts_with("A"));
  // One that ends has a successor of the new binary.
  ::kill(first.pid, SIGKILL);
  CHECK(app.started(2, "B").id == first.id);
  app.sees("exit 9 " + std::to_string(first.pid) + " B");
  CHECK(app.stop() == 0);
  CHECK_FALSE(runs(second.pid));
}

TEST_CASE("upgrade: a unix socket keeps its file, and the last one removes it") {
  testing::TemporaryFolder folder;
  const std::string path = folder.path + "/socket";
  const auto who = [&] {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    char build = 0;
    const timeval limit{static_cast<time_t>(testing::kHangSeconds), 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::send(fd, "who\n", 4, MSG_NOSIGNAL) == 4) {
      ::recv(fd, &build, 1, 0);
    }
    ::close(fd);
    return build;
  };
  Upgradable app({"listen=unix://" + path});
  app.started(0, "A");
  CHECK(who() == 'A');
  app.put("B");
  app.reload();
  app.started(1, "B");
  CHECK(becomesTrue([&] { return who() == 'B'; }));
  // One that only the new binary has is opened once, and is the master's.
  app.tellB("more=unix://" + path + "2");
  app.put("B");
  app.reload();
  app.sees("\nmore ");
  CHECK(fs::exists(path + "2"));
  app.put("A");
  app.reload();
  app.started(3, "A");
  CHECK(becomesTrue([&] { return !fs::exists(path + "2"); }));
  CHECK(fs::exists(path));
  CHECK(app.stop() == 0);
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE(
    "upgrade: a link that leads elsewhere by now is followed, from the working directory at the start") {
  testing::TemporaryFolder folder;
  const fs::path root = folder.path;
  for (const std::string build : {"A", "B"}) {
    fs::create_directories(root / build);
    testing::putBuild(build, root / build / "app");
  }
  fs::create_symlink("A", root / "current");
  const fs::path elsewhere = root / "elsewhere";
  fs::create_directories(elsewhere);
  ChildProcess app("current/app",
                   {"start", "folder=" + elsewhere.string(), "pid-file=" + (root / "pid").string()}, [root] {
                     if (::chdir(root.c_str()) != 0) ::_exit(126);
                   });
  CHECK(app.waitFor("\nstart 0 "));
  fs::create_symlink("B", root / "next");
  fs::rename(root / "next", root / "current");
  app.signal(SIGUSR1);
  CHECK(app.waitUntil([](const std::string& text) {
    const std::size_t second = text.find("\nstart 0 ", text.find("\nstart 0 ") + 1);
    return second != std::string::npos && text.find(" B", second) != std::string::npos;
  }));
  CHECK(contents(root / "pid") == std::to_string(app.pid()));
  app.signal(SIGTERM);
  CHECK(app.wait() == 0);
  CHECK_FALSE(fs::exists(root / "pid"));
}

TEST_CASE("upgrade: one that is asked for during another follows it, and so does a stop") {
  Upgradable app({"count=2"});
  app.started(1, "A");
  app.put("B");
  app.reload();
  app.sees("reload 0 ");
  app.reload();
  app.started(5, "B");
  app.sees("Workerman[app] reloading\n", 2);
  app.put("A");
  app.reload();
  CHECK(app.stop() == 0);
}

TEST_CASE("upgrade: a daemon stays one, and its commands find it") {
  testing::TemporaryFolder folder;
  const fs::path root = folder.path;
  const auto run = [&](const std::vector<std::string>& arguments) {
    ChildProcess command(root / "app", arguments);
    const int status = command.wait();
    CHECK_MESSAGE(status == 0, command.text());
  };
  const auto output = [&] { return contents(root / "out"); };
  testing::putBuild("A", root / "app");
  run({"start", "-d", "stdout=" + (root / "out").string()});
  const int master = std::stoi(contents(root / "workerman.app.pid"));
  testing::putBuild("B", root / "app");
  run({"reload"});
  CHECK(
      becomesTrue([&] { return output().find(" B \n", output().find("\nstart 0 ")) != std::string::npos; }));
  CHECK(becomesTrue([&] { return output().find("stop 0 ") != std::string::npos; }));
  CHECK(std::stoi(contents(root / "workerman.app.pid")) == master);
  CHECK(runs(master));
  run({"stop"});
  CHECK_FALSE(runs(master));
  CHECK_FALSE(fs::exists(root / "workerman.app.pid"));
}
