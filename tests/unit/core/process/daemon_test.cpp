#include "core/process/daemon.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace detail = Workerman::detail;
namespace fs = std::filesystem;

namespace {

struct Folder : testing::TemporaryFolder {
  std::string contents(const std::string& name) const {
    std::ifstream in(path + "/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

struct Pair {
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0); }
  std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("daemon: the launcher hears how the start went") {
  const Pair pair;
  detail::Readiness readiness(pair.ends[1]);
  SUBCASE("up") {
    readiness.ready();
    readiness.failed(7, "too late");
    const detail::StartOutcome outcome = detail::awaitReadiness(pair.ends[0]);
    CHECK(outcome.status == 0);
    CHECK(outcome.why.empty());
  }
  SUBCASE("failed, with a reason of any length") {
    const std::string why(20'000, 'x');
    readiness.failed(7, why);
    const detail::StartOutcome outcome = detail::awaitReadiness(pair.ends[0]);
    CHECK(outcome.status == 7);
    CHECK(outcome.why == why);
  }
  SUBCASE("a failure is never status 0") {
    readiness.failed(256, "");
    CHECK(detail::awaitReadiness(pair.ends[0]).status == 255);
  }
  SUBCASE("ended without a word") {
    { const detail::Readiness moved = std::move(readiness); }
    const detail::StartOutcome outcome = detail::awaitReadiness(pair.ends[0]);
    CHECK(outcome.status == 1);
    CHECK(outcome.why.find("ended before it was up") != std::string::npos);
  }
}

TEST_CASE("daemon: a launcher that has gone disturbs nobody") {
  const Pair pair;
  ::close(pair.ends[0]);
  detail::Readiness readiness(pair.ends[1]);
  readiness.failed(3, std::string(100'000, 'x'));
  readiness.ready();
  CHECK(::fcntl(pair.ends[1], F_GETFD) == -1);
}

TEST_CASE(
    "daemon: output goes to the end of the file, input is empty (Workerman manual: worker/stdout-file)") {
  const Folder folder;
  std::ofstream(folder.path + "/out") << "before\n";
  const int status = testing::inChild([&] {
    ::close(STDIN_FILENO);  // As a service manager may start us.
    detail::redirectStdio(folder.path + "/out");
    char byte = 0;
    const bool done = ::read(STDIN_FILENO, &byte, 1) == 0 && ::write(STDOUT_FILENO, "out\n", 4) == 4 &&
                      ::write(STDERR_FILENO, "err\n", 4) == 4;
    return done ? 0 : 1;
  });
  CHECK(status == 0);
  CHECK(folder.contents("out") == "before\nout\nerr\n");
}

TEST_CASE("daemon: an output file that cannot be opened is named, and the streams stay") {
  const Folder folder;
  struct stat before {
  }, after{};
  REQUIRE(::fstat(STDOUT_FILENO, &before) == 0);
  const std::string file = folder.path + "/none/out";
  const std::string expected =
      "cannot open " + file + " for the output of the daemon: No such file or directory";
  CHECK_THROWS_WITH(detail::redirectStdio(file), expected.c_str());
  REQUIRE(::fstat(STDOUT_FILENO, &after) == 0);
  CHECK(before.st_ino == after.st_ino);
}

TEST_CASE(
    "daemon: has a session that it does not lead, its folder and its umask, and is no child of the "
    "launcher") {
  const Folder folder;
  // The daemon's parent is then this process, which can reap it.
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  std::array<int, 2> report{};
  REQUIRE(::pipe2(report.data(), O_CLOEXEC) == 0);
  const mode_t mask = ::umask(027);
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    fs::current_path(folder.path);
    const pid_t session = ::getsid(0);
    detail::Detached start = detail::detach();
    if (!start.isDaemon) ::_exit(start.outcome.status == 5 && start.outcome.why == "port taken" ? 0 : 1);
    const bool isApart = ::getsid(0) != session && ::getsid(0) != ::getpid() && ::umask(0) == 027 &&
                         fs::current_path() == fs::path(folder.path);
    if (::write(report[1], isApart ? "y" : "n", 1) != 1) ::_exit(1);
    start.readiness.failed(5, "port taken");
    ::_exit(0);
  }
  ::umask(mask);
  int status = -1;
  REQUIRE(::waitpid(launcher, &status, 0) == launcher);
  CHECK(status == 0);
  char verdict = 0;
  REQUIRE(::read(report[0], &verdict, 1) == 1);
  CHECK(verdict == 'y');
  CHECK(::wait(&status) > 0);  // The daemon, whose launcher has gone.
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  ::close(report[0]);
  ::close(report[1]);
}
