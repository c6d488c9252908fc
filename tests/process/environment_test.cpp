// A program where something is missing that it usually has, or that is watched by a tool.

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/program.h"

using testing::ChildProcess;
using testing::Program;
using testing::Result;
using testing::Service;
namespace fs = std::filesystem;

namespace {

/// What the shell says in a mount namespace of its own, where `prepare` has changed something; status -1
/// where this user may not make one.
Result apart(const std::string& prepare, const std::string& commands) {
  ChildProcess trial("/usr/bin/unshare", {"-m", "true"});
  if (trial.wait() != 0) return {-1, {}};
  ChildProcess shell("/usr/bin/unshare", {"-m", "/bin/sh", "-c", "set -e; " + prepare + "; " + commands});
  const int status = shell.wait(60);
  return {status, shell.text()};
}

/// A life from start to stop.
std::string life(const Program& service) {
  const std::string program = service.program.string();
  return program + " start -d; " + program + " status --json; " + program + " reload; " + program + " stop";
}

bool isThere(const std::string& tool) {
  if (fs::exists(tool)) return true;
  MESSAGE("skipped: there is no ", tool);
  return false;
}

}  // namespace

TEST_CASE("environment: where /proc is not mounted, every command works") {
  const Program service;
  const Result result = apart("mount -t tmpfs none /proc", life(service));
  if (result.status == -1) return;
  CHECK_MESSAGE(result.status == 0, result.text);
  CHECK(result.has("Start success"));
  CHECK(result.has("\"status\": \"idle\""));
  CHECK(result.has("stop success"));
}

TEST_CASE("environment: where /dev is empty, it works or says why not in one line") {
  const Program service;
  const Result result = apart("mount -t tmpfs none /dev", service.program.string() + " start -d");
  if (result.status == -1) return;
  CHECK(result.status == 1);
  CHECK_MESSAGE(result.has("Workerman[service] cannot open /dev/null for the output of the daemon: "),
                result.text);
}

TEST_CASE("environment: in a folder that is read-only, one line says what cannot be made") {
  const Program service;
  const std::string folder = service.path.string();
  const Result result =
      apart("mount --bind " + folder + " " + folder + "; mount -o remount,ro,bind " + folder,
            service.program.string() + " start -d");
  if (result.status == -1) return;
  CHECK(result.status == 1);
  CHECK_MESSAGE(result.has("Workerman[service] cannot make the pid file " + service.pidFile().string() +
                           " in " + folder + "/: Read-only file system\n"),
                result.text);
}

TEST_CASE("environment: with 64 descriptors, and without TMPDIR's folder") {
  const Program service;
  const auto prepare = [] {
    const rlimit few{64, 64};
    ::setrlimit(RLIMIT_NOFILE, &few);
    ::setenv("TMPDIR", "/nowhere", 1);
  };
  CHECK(service.prepared({"start", "-d", "count=20", service.toOutput()}, prepare).status == 0);
  CHECK(service.prepared({"status"}, prepare).status == 0);
  CHECK(service.prepared({"reload"}, prepare).status == 0);
  CHECK(service.prepared({"stop"}, prepare).status == 0);
  CHECK(service.log().find("Too many open files") == std::string::npos);
}

TEST_CASE("environment: more processes than there are descriptors for are named in the log") {
  const Program service;
  ChildProcess start(service.program, {"start", "count=60"}, [] {
    const rlimit few{40, 40};
    ::setrlimit(RLIMIT_NOFILE, &few);
  });
  CHECK(start.waitFor("worker[service] cannot be forked: Too many open files"));
  // Those that there are serve.
  CHECK(start.waitFor("start 0 "));
  start.signal(SIGTERM);
  CHECK(start.wait() == 0);
}

TEST_CASE("environment: under valgrind") {
  if (!isThere("/usr/bin/valgrind")) return;
  const Program service;
  ChildProcess start("/usr/bin/valgrind", {"-q", service.program.string(), "start"});
  CHECK(start.waitFor("start 0 ", 120));
  CHECK(service({"status"}).status == 0);
  CHECK(service({"stop"}).status == 0);
  CHECK(start.wait(120) == 0);
}

TEST_CASE("environment: under strace -f") {
  if (!isThere("/usr/bin/strace")) return;
  const Program service;
  ChildProcess start("/usr/bin/strace",
                     {"-f", "-o", (service.path / "trace").string(), service.program.string(), "start"});
  CHECK(start.waitFor("start 0 ", 60));
  CHECK(service({"status"}).status == 0);
  CHECK(service({"reload"}).status == 0);
  CHECK(service({"stop"}).status == 0);
  CHECK(start.wait(60) == 0);
}
