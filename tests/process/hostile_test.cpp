// A service beside users that it does not trust: what they hold, forge, link or use up stops and misleads
// nobody.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
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
namespace fs = std::filesystem;

namespace {

using Arguments = std::vector<std::string>;

/// A process of a user that holds something until this ends.
class Other {
 public:
  /// `take` runs as `user` and tells whether it has it.
  Other(uid_t user, const std::function<bool()>& take) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::getuid() == 0 && ::setuid(user) != 0) ::_exit(1);
      const bool hasIt = take();
      if (!hasIt || ::write(ready[1], "y", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    CHECK(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
  }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;
  ~Other() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

constexpr uid_t kNobody = 65534;

bool lockAll(const fs::path& file, int flags, short type) {
  struct flock lock {};
  lock.l_type = type;
  return ::fcntl(::open(file.c_str(), flags, 0644), F_SETLK, &lock) == 0;
}

mode_t modeOf(const fs::path& file) {
  struct stat status {};
  return ::lstat(file.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

/// The pid of the worker's process, another one than `before`.
int workerOf(const Program& service, int before = 0) {
  int pid = 0;
  const bool isThere = becomesTrue([&] {
    const Result status = service({"status", "--json"});
    if (status.status != 0) return false;
    const auto report = nlohmann::json::parse(status.text);
    for (const auto& process : report["processes"]) {
      if (process["name"] == "service") pid = process["pid"];
    }
    return pid > 0 && pid != before;
  });
  REQUIRE(isThere);
  return pid;
}

}  // namespace

TEST_CASE("hostile: a log that others hold locks on holds nobody up") {
  const Program service;
  CHECK(service({"start", "-d", service.toOutput(), "log-size=100"}).status == 0);
  const fs::path log = service.path / "workerman.log";
  CHECK(modeOf(log) == 0640);
  fs::permissions(log, fs::perms(0644));
  fs::permissions(service.path, fs::perms(0755));
  for (const int kind : {LOCK_SH, LOCK_EX}) {
    const Other other(kNobody, [&] { return ::flock(::open(log.c_str(), O_RDONLY), kind) == 0; });
    const int before = workerOf(service);
    ::kill(before, SIGKILL);
    CHECK(workerOf(service, before) != before);
    CHECK(service.log().find("exit with status 9") != std::string::npos);
    CHECK(service({"reload"}).status == 0);
  }
  const Other other(kNobody, [&] { return ::flock(::open(log.c_str(), O_RDONLY), LOCK_EX) == 0; });
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("hostile: a pid file that names another process, with whatever lock on it, has nobody signalled") {
  const Program service;
  fs::permissions(service.path, fs::perms(0777));
  // Of the service's own user, as root is a victim that counts.
  const Other victim(::getuid(), [] { return true; });
  const auto name = [&](const fs::path& file) { std::ofstream(file) << victim.pid(); };
  std::unique_ptr<Other> forger;
  bool mayStart = true;
  SUBCASE("left over") {
    name(service.pidFile());
  }
  SUBCASE("read-locked by anybody") {
    name(service.pidFile());
    forger = std::make_unique<Other>(kNobody, [&] { return lockAll(service.pidFile(), O_RDONLY, F_RDLCK); });
  }
  SUBCASE("made and locked by somebody else") {
    if (::getuid() != 0) return;
    mayStart = false;
    forger = std::make_unique<Other>(kNobody, [&] {
      name(service.pidFile());
      return lockAll(service.pidFile(), O_RDWR, F_WRLCK);
    });
  }
  SUBCASE("locked by a process of ours that is no master") {
    mayStart = false;
    name(service.pidFile());
    forger = std::make_unique<Other>(::getuid(), [&] { return lockAll(service.pidFile(), O_RDWR, F_WRLCK); });
  }
  for (const Arguments& command :
       {Arguments{"stop"}, {"stop", "-g"}, {"reload"}, {"status"}, {"connections"}}) {
    const Result result = service(command);
    CHECK(result.status == 1);
    CHECK_MESSAGE(result.has(service.pidFile().string()), result.text);
  }
  CHECK(runs(victim.pid()));
  if (forger) CHECK(runs(forger->pid()));
  CHECK(service({"start", "-d"}).status == (mayStart ? 0 : 1));
  if (mayStart) {
    CHECK(service({"stop"}).status == 0);
    CHECK_FALSE(fs::exists(service.pidFile()));
  }
  CHECK(runs(victim.pid()));
}

TEST_CASE("hostile: no file is written to through a link, nor one that is another's") {
  const Program service;
  const fs::path precious = service.path / "precious";
  std::ofstream(precious) << "precious";
  fs::permissions(precious, fs::perms(0600));
  std::string what, why;
  fs::path file;
  SUBCASE("the log, by a symbolic link") {
    file = service.path / "workerman.log";
    fs::create_symlink(precious, file);
    why = "cannot write the log file " + file.string() + ": it is a symbolic link";
  }
  SUBCASE("the log, by a hard link") {
    file = service.path / "workerman.log";
    fs::create_hard_link(precious, file);
    why = "cannot write the log file " + file.string() + ": it has another name as well";
  }
  SUBCASE("the output, by a symbolic link") {
    file = service.path / "out";
    fs::create_symlink(precious, file);
    why = "cannot open " + file.string() + " for the output of the daemon: it is a symbolic link";
  }
  SUBCASE("the output, of another user") {
    if (::getuid() != 0) return;
    file = service.path / "out";
    std::ofstream(file) << "";
    REQUIRE(::chown(file.c_str(), kNobody, kNobody) == 0);
    why = "cannot open " + file.string() + " for the output of the daemon: it belongs to another user";
  }
  const Result start = service({"start", "-d", service.toOutput(), "log-size=1"});
  CHECK(start.status == 1);
  CHECK_MESSAGE(start.has(why), start.text);
  CHECK(contents(precious) == "precious");
  CHECK(modeOf(precious) == 0600);
  // Another one meanwhile, with the old one open: what is open is written to further.
  fs::remove(file);
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  fs::remove(file);
  fs::create_symlink(precious, file);
  CHECK(service({"reload"}).status == 0);
  CHECK(service({"stop"}).status == 0);
  CHECK(contents(precious) == "precious");
}

TEST_CASE("hostile: reports of workers that gave up root, through a file that is root's alone") {
  if (::getuid() != 0) return;
  const Program service;
  fs::permissions(service.path, fs::perms(0777));
  CHECK(service({"start", "-d", "user=nobody", "count=2", service.toOutput()}).status == 0);
  LineClient client(service.port());
  CHECK(client.ask("who") != "");
  const Result status = service({"status", "--json"});
  CHECK(status.status == 0);
  const auto report = nlohmann::json::parse(status.text);
  CHECK(report["processes"].size() == 3);
  for (const auto& process : report["processes"]) CHECK(process["status"] == "idle");
  const Result connections = service({"connections", "--json"});
  CHECK(nlohmann::json::parse(connections.text)["connections"].size() == 1);
  CHECK(modeOf(service.path / "workerman.service.status") == 0600);
  CHECK(modeOf(service.path / "workerman.service.status.connection") == 0600);
  // One that is in its place is replaced, and one that others put there later is not read.
  fs::remove(service.path / "workerman.service.status");
  std::ofstream(service.path / "workerman.service.status") << "\n{\"forged\":1}\n";
  REQUIRE(::chown((service.path / "workerman.service.status").c_str(), kNobody, kNobody) == 0);
  CHECK(nlohmann::json::parse(service({"status", "--json"}).text)["processes"].size() == 3);
  CHECK(modeOf(service.path / "workerman.service.status") == 0600);
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("hostile: the next start says which stopped process of a killed master has the port") {
  const Program service;
  CHECK(service({"start", "-d", service.toOutput()}).status == 0);
  const int worker = workerOf(service), master = service.master();
  const std::string listen = "listen=text://127.0.0.1:" + std::to_string(service.port());
  ::kill(worker, SIGSTOP);
  ::kill(master, SIGKILL);
  CHECK(becomesTrue([&] { return !runs(master); }));
  const Result start = service({"start", "-d", listen});
  CHECK(start.status == 1);
  CHECK_MESSAGE(
      start.has("Address already in use; process " + std::to_string(worker) + " (WorkerMan: worker process"),
      start.text);
  CHECK_MESSAGE(start.has("is stopped (SIGSTOP)"), start.text);
  ::kill(worker, SIGCONT);
  CHECK(becomesTrue([&] { return !runs(worker); }));
  CHECK(service({"start", "-d", listen}).status == 0);
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE(
    "hostile: a unix socket's file that somebody else has bound since stays, and one of others is kept") {
  const Program service;
  const std::string path = service.path / "socket";
  CHECK(service({"start", "-d", "listen=unix://" + path}).status == 0);
  fs::remove(path);
  const int other = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(other, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(other, 1) == 0);
  CHECK(service({"stop"}).status == 0);
  CHECK(fs::is_socket(path));
  const Result start = service({"start", "-d", "listen=unix://" + path});
  CHECK(start.status == 1);
  CHECK_MESSAGE(start.has("Address already in use; process " + std::to_string(::getpid()) + " ("),
                start.text);
  ::close(other);
  if (::getuid() == 0) {
    REQUIRE(::lchown(path.c_str(), kNobody, kNobody) == 0);
    CHECK(service({"start", "-d", "listen=unix://" + path}).status == 1);
    CHECK(fs::is_socket(path));
    REQUIRE(::lchown(path.c_str(), 0, 0) == 0);
  }
  CHECK(service({"start", "-d", "listen=unix://" + path}).status == 0);
  CHECK(service({"stop"}).status == 0);
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("hostile: when descriptors are used up, the log says so, and processes still answer") {
  const Program service;
  const Result start = service.prepared({"start", "-d", service.toOutput()}, [] {
    const rlimit few{24, 24};
    ::setrlimit(RLIMIT_NOFILE, &few);
  });
  CHECK(start.status == 0);
  std::vector<std::unique_ptr<LineClient>> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(std::make_unique<LineClient>(service.port()));
  CHECK(becomesTrue([&] { return service.log().find("accept: Too many open files") != std::string::npos; }));
  const Result status = service({"status", "--json"});
  CHECK(nlohmann::json::parse(status.text)["processes"][0]["status"] == "idle");
  clients.clear();
  CHECK(becomesTrue([&] { return LineClient(service.port()).ask("who") != ""; }));
  CHECK(service({"stop"}).status == 0);
}

TEST_CASE("hostile: the log's folder that has yet to be made has the first line as well") {
  const Program service;
  const fs::path log = service.path / "new" / "folder" / "log";
  const std::string option = "log-file=" + log.string();
  CHECK(service({"start", "-d", option}).status == 0);
  CHECK(contents(log).find("start in DAEMON mode\n") != std::string::npos);
  CHECK(service({"stop", option}).status == 0);
}
