// The files of a service: in the way, gone, unwritable, moved away, or somebody else's.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
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
using testing::Started;
namespace fs = std::filesystem;

namespace {

using Arguments = std::vector<std::string>;

const std::vector<Arguments> kOfOneThatRuns{{"stop"},   {"stop", "-g"},  {"reload"},
                                            {"status"}, {"connections"}, {"status", "--json"}};

void put(const fs::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

/// As nobody where this is root, who may write everywhere.
Result withoutRights(const Program& service, const Arguments& arguments) {
  return ::getuid() == 0 ? service.asNobody(arguments) : service(arguments);
}

/// Where no file can grow beyond `blocks` of 512 bytes, as on a disk that is full.
Result onFullDisk(const Program& service, int blocks, const std::string& arguments) {
  ChildProcess shell("/bin/sh", {"-c", "trap '' XFSZ; ulimit -f " + std::to_string(blocks) + "; exec " +
                                           service.program.string() + " " + arguments});
  const int status = shell.wait();
  return {status, shell.text()};
}

std::size_t filesIn(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("pid file: one left behind by another life of the container counts for nothing") {
  const Program service;
  // Of a process that lives, is not ours and never held the file.
  for (const std::string& pid : {std::string("1"), std::to_string(::getpid()), std::string()}) {
    CAPTURE(pid);
    put(service.pidFile(), pid);
    for (const Arguments& command : kOfOneThatRuns) {
      const Result result = service(command);
      CHECK(result.status == 1);
      CHECK(result.has("Workerman[service] not run: the pid file " + service.pidFile().string() + " is "));
    }
    CHECK(service({"start", "-d"}).status == 0);
    CHECK(std::to_string(service.master()) != pid);
    CHECK(service({"stop"}).status == 0);
    CHECK_FALSE(fs::exists(service.pidFile()));
  }
}

TEST_CASE("pid file: what is no pid file is named, and stays as it is") {
  const Program service;
  std::string why = "no pid is in the file " + service.pidFile().string() + ": it is not a pid file";
  SUBCASE("a text") {
    put(service.pidFile(), "precious");
  }
  SUBCASE("a link to one") {
    put(service.path / "text", "precious");
    fs::create_symlink(service.path / "text", service.pidFile());
    why = "a symbolic link is in the place of the pid file";
  }
  for (const Arguments& command : {Arguments{"start", "-d"}, {"start"}, {"restart", "-d"}}) {
    const Result result = service(command);
    CHECK(result.status == 1);
    CHECK_MESSAGE(result.has(why), result.text);
  }
  for (const Arguments& command : kOfOneThatRuns) CHECK(service(command).status == 1);
  CHECK(contents(service.pidFile()) == "precious");
}

TEST_CASE("pid file: in a directory that may not be written there is none, and nothing else") {
  const Program service;
  for (const Arguments& command : {Arguments{"start", "-d"}, {"start"}}) {
    fs::permissions(service.path, fs::perms(0555));
    const Result start = withoutRights(service, command);
    fs::permissions(service.path, fs::perms(0755));
    CHECK(start.status == 1);
    CHECK_MESSAGE(start.has("Workerman[service] cannot make the pid file " + service.pidFile().string() +
                            " in " + service.path.string() + "/: Permission denied\n"),
                  start.text);
    CHECK_FALSE(start.has("Start success"));
  }
  CHECK(filesIn(service.path) == 1);
}

TEST_CASE("pid file: a full disk is named, and no half of a file stays") {
  const Program service;
  for (const char* command : {"start -d", "start"}) {
    const Result start = onFullDisk(service, 0, command);
    CHECK(start.status == 1);
    CHECK_MESSAGE(start.has("cannot write the pid file " + service.pidFile().string() + ": "), start.text);
    CHECK_FALSE(fs::exists(service.pidFile()));
  }
}

TEST_CASE("pid file: one that is deleted while the service runs is put back") {
  const Program service;
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  const int master = service.master();
  // It looks for its file now and then: not yet.
  ::kill(master, SIGSTOP);
  fs::remove(service.pidFile());
  CHECK(service({"status"}).has("not run\n"));
  ::kill(master, SIGCONT);
  SUBCASE("at the next signal") {
    ::kill(master, SIGIO);
  }
  SUBCASE("after a while") {}
  CHECK(becomesTrue([&] { return service.master() == master; }));
  const std::string line = "the pid file " + service.pidFile().string() + " had gone: it is there again\n";
  CHECK(becomesTrue([&] { return service.log().find(line) != std::string::npos; }));
  CHECK(service({"start", "-d"}).has("already running\n"));
  CHECK(service({"stop"}).status == 0);
  CHECK_FALSE(runs(master));
}

TEST_CASE("start: of several at once exactly one wins, and the others say so") {
  const Program service;
  std::vector<std::unique_ptr<ChildProcess>> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(
        std::make_unique<ChildProcess>(service.program, Arguments{"start", "-d", service.toOutput()}));
  }
  int winners = 0;
  for (const auto& start : all) {
    const int status = start->wait();
    if (status == 0) {
      ++winners;
    } else {
      CHECK(status == 1);
      CHECK_MESSAGE(start->text().find("Workerman[service] already ") != std::string::npos, start->text());
    }
  }
  CHECK(winners == 1);
  CHECK(runs(service.master()));
  CHECK(LineClient(service.port()).ask("who") != "");
  CHECK(service({"stop"}).status == 0);
  CHECK(service.output().find("start ") == service.output().rfind("start "));
}

TEST_CASE("commands: of another user change nothing, and say who may (walkor/workerman#467)") {
  if (::getuid() != 0) return;
  const Program service;
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  const int master = service.master();
  for (const Arguments& command : kOfOneThatRuns) {
    const Result result = service.asNobody(command);
    CHECK(result.status == 1);
    CHECK_MESSAGE(result.has(command[0] + " fail: it runs as process " + std::to_string(master) +
                             " of user root, and only root may tell it; you are nobody\n"),
                  result.text);
  }
  CHECK(service.asNobody({"start", "-d"}).has("already running\n"));
  CHECK(service.asNobody({"start", "-d"}).status == 1);
  fs::permissions(service.pidFile(), fs::perms(0600));
  for (const Arguments& command : kOfOneThatRuns) {
    const Result result = service.asNobody(command);
    CHECK(result.status == 1);
    CHECK(result.has("cannot read the pid file " + service.pidFile().string() + ": Permission denied\n"));
  }
  CHECK(service.asNobody({"start", "-d"}).status == 1);
  CHECK(service.master() == master);
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("status file: a master that cannot write it says why in its log, and the command names both") {
  const Program service;
  std::string file, why;
  SUBCASE("no such directory") {
    file = "/nowhere/file";
    why = "cannot make /nowhere/file.";
  }
  SUBCASE("another file") {
    file = service.path / "text";
    put(file, "precious");
    why = file + " is no status file, and stays as it is";
  }
  SUBCASE("no file at all") {
    file = "/dev/null";
    why = "/dev/null is no status file, and stays as it is";
  }
  const std::string option = "status-file=" + file;
  CHECK(service({"start", "-d", option}).status == 0);
  const Result status = service({"status", option});
  CHECK(status.status == 1);
  CHECK_MESSAGE(status.has("status fail: no answer has come in " + file +
                           "; if the master cannot write there, its log says why: " +
                           (service.path / "workerman.log").string() + "\n"),
                status.text);
  CHECK(service.log().find(why) != std::string::npos);
  CHECK(service({"stop", option}).status == 0);
  if (fs::is_regular_file(file)) CHECK(contents(file) == "precious");
}

TEST_CASE("status file: a full disk is named, and what has left no room for it ends nobody") {
  const Program folder;
  // One block holds a pid, but no report on processes with such long names.
  ChildProcess service("/bin/sh", {"-c", "trap '' XFSZ; ulimit -f 1; exec " + folder.program.string() +
                                             " start -q count=8 name=" + std::string(200, 'n')});
  CHECK(service.waitFor("other 0 "));
  const Result status = folder({"status"});
  CHECK(status.status == 1);
  CHECK(status.has("no answer has come in "));
  const std::string why = "cannot write " + (folder.path / "workerman.service.status").string() + ": ";
  CHECK(service.waitFor(why));
  CHECK_FALSE(fs::exists(folder.path / "workerman.service.status"));
  service.signal(SIGTERM);
  CHECK(service.wait() == 0);
}

TEST_CASE("status file: that of a master that was killed is replaced, and goes with the next one") {
  const Program service;
  CHECK(service({"start", "-d"}).status == 0);
  CHECK(service({"status"}).status == 0);
  const int master = service.master();
  ::kill(master, SIGKILL);
  CHECK(becomesTrue([&] { return service({"start", "-d"}).status == 0; }));
  CHECK(fs::exists(service.path / "workerman.service.status"));
  CHECK(service({"stop"}).status == 0);
  CHECK_FALSE(fs::exists(service.path / "workerman.service.status"));
}

TEST_CASE("log file: one that is moved or taken away is followed by a new one") {
  Service service;
  LineClient client(service.started(1)[0].port);
  const fs::path file = service.folder() / "workerman.log";
  CHECK(client.ask("log one") == "done");
  fs::rename(file, file.string() + ".1");
  CHECK(client.ask("log two") == "done");
  CHECK(contents(file.string() + ".1").ends_with(" one\n"));
  CHECK(contents(file).ends_with(" two\n"));
  fs::remove(file);
  CHECK(client.ask("log three") == "done");
  CHECK(contents(file).ends_with(" three\n"));
  CHECK(contents(file).find("two") == std::string::npos);
  CHECK(service.stop() == 0);
  CHECK(contents(file).ends_with(" Workerman[service] has been stopped\n"));
}

TEST_CASE("log file: past logFileMaxSize its older half goes, whoever of the processes writes") {
  Service service({"count=2", "log-size=2000"});
  const auto workers = service.started(2);
  const fs::path file = service.folder() / "workerman.log";
  for (int i = 0; i < 100; ++i) {
    CHECK(LineClient(workers[0].port).ask("log line " + std::to_string(i) + " ends") == "done");
    CHECK(fs::file_size(file) <= 2000);
  }
  const std::string text = contents(file);
  CHECK(text.size() > 900);
  CHECK(text.ends_with(" line 99 ends\n"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) CHECK(line.ends_with(" ends"));
  CHECK(service.stop() == 0);
}

TEST_CASE("log file: where it cannot be written, a daemon is not started; the terminal stands in for it") {
  const Program service;
  const std::string option = "log-file=" + service.path.string();
  const std::string why =
      "Workerman[service] cannot write the log file " + service.path.string() + ": Is a directory";
  const Result daemon = service({"start", "-d", option});
  CHECK(daemon.status == 1);
  CHECK(daemon.has(why + "\n"));
  CHECK_FALSE(daemon.has("Start success"));
  CHECK_FALSE(fs::exists(service.pidFile()));
  ChildProcess start(service.program, {"start", option});
  CHECK(start.waitFor(why + "; the terminal has all of it\n"));
  CHECK(start.waitFor("start 0 "));
  start.signal(SIGINT);
  CHECK(start.wait() == 0);
  CHECK(start.text().find("has been stopped\n") != std::string::npos);
}

TEST_CASE("log file: workers of another user, who may not open it, write to it") {
  if (::getuid() != 0) return;
  Service service({"user=nobody"});
  const Started worker = service.started(1)[0];
  const fs::path file = service.folder() / "workerman.log";
  CHECK(LineClient(worker.port).ask("log of nobody") == "done");
  CHECK(contents(file).ends_with(" pid:" + std::to_string(worker.pid) + " of nobody\n"));
  CHECK((fs::status(file).permissions() & fs::perms(0777)) == fs::perms(0640));
  CHECK(service.stop() == 0);
}
