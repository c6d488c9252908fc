#include "core/process/pid_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace detail = Workerman::detail;
namespace fs = std::filesystem;
using detail::PidFile;
using detail::PidFileError;
using Cause = PidFileError::Cause;

namespace {

struct Folder : testing::TemporaryFolder {
  ~Folder() { ::chmod(path.c_str(), 0755); }
  void write(const std::string& text) const { std::ofstream(file) << text; }
  std::string contents() const {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  const std::string file = path + "/app.pid";
};

/// As somebody who is not root, whom permissions do not stop.
struct AsNobody {
  AsNobody() {
    if (::geteuid() == 0) REQUIRE(::seteuid(65534) == 0);
  }
  ~AsNobody() {
    if (::getuid() == 0) CHECK(::seteuid(0) == 0);
  }
};

/// What take() says; empty if it succeeds.
std::string refusal(const std::string& path, Cause cause) {
  try {
    PidFile::take(path).remove();
    return {};
  } catch (const PidFileError& error) {
    CHECK(error.cause() == cause);
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "pid file: holds the pid and nothing else, and goes with its owner (Workerman manual: worker/pid-file)") {
  const Folder folder;
  CHECK(detail::findMaster(folder.file).pid == 0);
  PidFile file = PidFile::take(folder.file);
  CHECK(folder.contents() == std::to_string(::getpid()));
  CHECK(file.stalePid() == 0);
  struct stat status {};
  REQUIRE(::stat(folder.file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777 & ~0644) == 0);
  CHECK((::fcntl(file.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(detail::findMaster(folder.file).pid == ::getpid());
  file.remove();
  CHECK_FALSE(fs::exists(folder.file));
  CHECK(detail::findMaster(folder.file).why == "there is no pid file " + folder.file);
}

TEST_CASE("pid file: a second start is refused, with the pid that runs") {
  const Folder folder;
  const PidFile file = PidFile::take(folder.file);
  const std::string said = refusal(folder.file, Cause::Running);
  CHECK(contains(said, "already running as pid " + std::to_string(::getpid())));
  CHECK(folder.contents() == std::to_string(::getpid()));
}

TEST_CASE("pid file: a stale one is taken over, even if its pid is a living process of today") {
  const Folder folder;
  const std::string parent = std::to_string(::getppid());
  for (const std::string& text : {parent, parent + "\n", std::string("2147483647"), std::string()}) {
    CAPTURE(text);
    folder.write(text);
    const detail::RunningMaster nobody = detail::findMaster(folder.file);
    CHECK(nobody.pid == 0);
    CHECK_FALSE(nobody.isLocked);
    CHECK(contains(nobody.why, text.empty() ? "is empty" : "left over from pid"));
    PidFile file = PidFile::take(folder.file);
    CHECK(file.stalePid() == (text.empty() ? 0 : std::stoi(text)));
    CHECK(folder.contents() == std::to_string(::getpid()));
    file.remove();
  }
}

TEST_CASE("pid file: what is no pid file is left as it is") {
  const Folder folder;
  for (const char* text : {"server { listen 80; }", "12a", "-5", "0", "1 2", "99999999999999999999"}) {
    CAPTURE(text);
    folder.write(text);
    CHECK(contains(refusal(folder.file, Cause::Foreign), "is not a pid file"));
    CHECK(folder.contents() == text);
    CHECK(detail::findMaster(folder.file).why == folder.file + " is not a pid file");
  }
}

TEST_CASE("pid file: something else in its place is named and left") {
  const Folder folder;
  SUBCASE("a directory") {
    fs::create_directory(folder.file);
    CHECK(contains(refusal(folder.file, Cause::Foreign), "a directory is in the place of"));
    CHECK(fs::is_directory(folder.file));
    CHECK(detail::findMaster(folder.file).pid == 0);
  }
  SUBCASE("a symbolic link") {
    const std::string target = folder.path + "/precious";
    fs::create_symlink(target, folder.file);
    CHECK(contains(refusal(folder.file, Cause::Foreign), "a symbolic link is in the place of"));
    CHECK_FALSE(fs::exists(target));
  }
  SUBCASE("a fifo, without waiting for its other end") {
    REQUIRE(::mkfifo(folder.file.c_str(), 0600) == 0);
    CHECK(contains(refusal(folder.file, Cause::Foreign), "not a file"));
    CHECK(detail::findMaster(folder.file).pid == 0);
  }
  SUBCASE("no such folder") {
    CHECK(contains(refusal(folder.path + "/none/app.pid", Cause::Failed), "No such file or directory"));
  }
}

TEST_CASE("pid file: a directory that may not be written is named") {
  const Folder folder;
  ::chmod(folder.path.c_str(), 0555);
  const AsNobody nobody;
  CHECK(contains(refusal(folder.file, Cause::NotPermitted), "cannot make the pid file " + folder.file));
}

TEST_CASE("pid file: another user hears who runs, or whose file it is") {
  const Folder folder;
  ::chmod(folder.path.c_str(), 0755);
  if (::getuid() != 0) return;
  SUBCASE("while the master runs") {
    const PidFile file = PidFile::take(folder.file);
    const AsNobody nobody;
    CHECK(contains(refusal(folder.file, Cause::Running), std::to_string(::getpid()) + " of user root"));
  }
  SUBCASE("left over") {
    folder.write("12345");
    const AsNobody nobody;
    CHECK(contains(refusal(folder.file, Cause::NotPermitted), "of user root: Permission denied"));
    CHECK(folder.contents() == "12345");
  }
  SUBCASE("not even readable") {
    folder.write("12345");
    ::chmod(folder.file.c_str(), 0600);
    const AsNobody nobody;
    CHECK(contains(refusal(folder.file, Cause::NotPermitted), "Permission denied"));
    CHECK(contains(detail::findMaster(folder.file).why, "cannot read the pid file"));
  }
}

TEST_CASE("pid file: a disk without space is named, and no empty file stays") {
  const Folder folder;
  bool wasStale = false;
  SUBCASE("new") {
    wasStale = false;
  }
  SUBCASE("stale") {
    wasStale = true;
  }
  if (wasStale) folder.write("12345");
  // A file size limit of nothing stands in for the full disk.
  const int status = testing::inChild([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
    try {
      PidFile::take(folder.file);
      return 1;
    } catch (const PidFileError& error) {
      return error.cause() == Cause::Failed && contains(error.what(), "cannot write the pid file") ? 0 : 2;
    }
  });
  CHECK(status == 0);
  CHECK(fs::exists(folder.file) == wasStale);
  if (wasStale) CHECK(folder.contents() == "12345");
}

TEST_CASE("pid file: the lock ends with the master, although a child was forked from it") {
  const Folder folder;
  int ends[2], hold[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::pipe(hold) == 0);
  const pid_t master = ::fork();
  if (master == 0) {
    ::close(hold[1]);
    PidFile file = PidFile::take(folder.file);
    char byte = 'w';
    if (::fork() == 0) {
      file.leaveToMaster();
      if (::write(ends[1], &byte, 1) != 1) ::_exit(1);
    }
    ::_exit(::read(hold[0], &byte, 1) == 0 ? 0 : 1);  // Until the test is over.
  }
  char byte = 0;
  REQUIRE(::read(ends[0], &byte, 1) == 1);
  CHECK(detail::findMaster(folder.file).pid == master);
  ::kill(master, SIGKILL);
  ::waitpid(master, nullptr, 0);
  const detail::RunningMaster nobody = detail::findMaster(folder.file);
  CHECK(nobody.pid == 0);
  CHECK(contains(nobody.why, "left over from pid " + std::to_string(master)));
  PidFile file = PidFile::take(folder.file);
  CHECK(file.stalePid() == master);
  file.remove();
  for (const int fd : {ends[0], ends[1], hold[0], hold[1]}) ::close(fd);
}

TEST_CASE("pid file: of many starts at once exactly one wins") {
  const Folder folder;
  constexpr int kStarts = 12;
  int gate[2], verdicts[2], hold[2];
  REQUIRE(::pipe(gate) == 0);
  REQUIRE(::pipe(verdicts) == 0);
  REQUIRE(::pipe(hold) == 0);
  std::string stale;
  SUBCASE("without a file") {}
  SUBCASE("over a stale one") {
    stale = "12345";
  }
  if (!stale.empty()) folder.write(stale);
  for (int i = 0; i < kStarts; ++i) {
    if (::fork() != 0) continue;
    ::close(gate[1]);
    ::close(hold[1]);
    char byte = 0;
    if (::read(gate[0], &byte, 1) != 0) ::_exit(1);
    char verdict = 'l';
    try {
      const PidFile file = PidFile::take(folder.file);
      verdict = 'w';
      if (::write(verdicts[1], &verdict, 1) == 1 && ::read(hold[0], &byte, 1) == 0) ::_exit(0);
    } catch (const PidFileError& error) {
      if (error.cause() != Cause::Running) verdict = 'e';
      if (::write(verdicts[1], &verdict, 1) == 1) ::_exit(0);
    }
    ::_exit(1);
  }
  ::close(gate[1]);  // Go.
  std::string all;
  while (all.size() < kStarts) {
    char byte = 0;
    REQUIRE(::read(verdicts[0], &byte, 1) == 1);
    all += byte;
  }
  CHECK(std::count(all.begin(), all.end(), 'w') == 1);
  CHECK(std::count(all.begin(), all.end(), 'l') == kStarts - 1);
  ::close(hold[1]);
  for (int i = 0; i < kStarts; ++i) ::wait(nullptr);
  for (const int fd : {gate[0], verdicts[0], verdicts[1], hold[0]}) ::close(fd);
}

TEST_CASE("pid file: only one's own is removed") {
  const Folder folder;
  PidFile file = PidFile::take(folder.file);
  REQUIRE(::unlink(folder.file.c_str()) == 0);
  folder.write("777");
  CHECK_FALSE(file.restore());
  file.remove();
  CHECK(folder.contents() == "777");
  CHECK(file.fd() == -1);
}

TEST_CASE("pid file: one that somebody deletes is put back, locked") {
  const Folder folder;
  PidFile file = PidFile::take(folder.file);
  CHECK(file.restore());
  REQUIRE(::unlink(folder.file.c_str()) == 0);
  CHECK(file.restore());
  CHECK(detail::findMaster(folder.file).pid == ::getpid());
  CHECK(contains(refusal(folder.file, Cause::Running), "already running"));
  file.remove();
  CHECK_FALSE(file.restore());
  CHECK_FALSE(fs::exists(folder.file));
}

TEST_CASE("pid file: what was taken before an exec is adopted by its descriptor") {
  const Folder folder;
  PidFile file = PidFile::take(folder.file);
  const int kept = ::fcntl(file.fd(), F_DUPFD, 50);  // As if inherited: the same open file.
  file.leaveToMaster();
  CHECK(detail::findMaster(folder.file).pid == ::getpid());
  PidFile adopted = PidFile::adopt(folder.file, kept);
  CHECK((::fcntl(kept, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_THROWS_AS(PidFile::adopt(folder.file, 0), PidFileError);
  CHECK_THROWS_AS(PidFile::adopt(folder.file, 999), PidFileError);
  adopted.remove();
  CHECK_FALSE(fs::exists(folder.file));
}

namespace {

/// A process that holds a lock on a file while this lives.
class LockHolder {
 public:
  /// Opens it with these flags and calls `take` with the descriptor.
  template <class Take>
  LockHolder(const std::string& file, int flags, Take take) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int fd = ::open(file.c_str(), flags);
      if (fd >= 0 && take(fd) && ::write(ready[1], "y", 1) == 1) {
        for (;;) ::pause();
      }
      ::_exit(1);
    }
    ::close(ready[1]);
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
  }
  LockHolder(const LockHolder&) = delete;
  LockHolder& operator=(const LockHolder&) = delete;
  ~LockHolder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

bool lockAll(int fd, short type, int command) {
  struct flock lock {};
  lock.l_type = type;
  return ::fcntl(fd, command, &lock) == 0;
}

}  // namespace

TEST_CASE("pid file: the kernel names the master, whatever stands in the file") {
  const Folder folder;
  PidFile held;
  const LockHolder master(folder.file, O_RDWR | O_CREAT, [&](int) {
    held = PidFile::take(folder.file);
    return true;
  });
  for (const std::string& text : {std::string("1"), std::to_string(::getpid()), std::string("2147483646")}) {
    folder.write(text);
    const detail::RunningMaster found = detail::findMaster(folder.file);
    CHECK(found.pid == master.pid());
    CHECK(found.process.pid() == master.pid());
    CHECK_FALSE(found.process.hasEnded());
  }
}

TEST_CASE("pid file: locks for reading, which anybody may take, neither count nor hinder") {
  const Folder folder;
  for (const int command : {F_SETLK, F_OFD_SETLK}) {
    folder.write(std::to_string(::getppid()));
    const LockHolder other(folder.file, O_RDONLY, [&](int fd) { return lockAll(fd, F_RDLCK, command); });
    const detail::RunningMaster nobody = detail::findMaster(folder.file);
    CHECK(nobody.pid == 0);
    CHECK_FALSE(nobody.isLocked);
    CHECK(contains(nobody.why, "left over from pid " + std::to_string(::getppid())));
    PidFile file = PidFile::take(folder.file);
    CHECK(file.stalePid() == ::getppid());
    CHECK(folder.contents() == std::to_string(::getpid()));
    CHECK(detail::findMaster(folder.file).pid == ::getpid());
    CHECK(contains(refusal(folder.file, Cause::Running), "already running"));
    struct stat status {};
    REQUIRE(::stat(folder.file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0644);
    file.remove();
    // Neither that nor the file that it has replaced.
    CHECK(fs::is_empty(folder.path));
  }
}

TEST_CASE("pid file: who holds it for writing and is no master is named, and not taken for one") {
  const Folder folder;
  for (const int command : {F_SETLK, F_OFD_SETLK}) {
    folder.write(std::to_string(::getppid()));
    const LockHolder other(folder.file, O_RDWR, [&](int fd) { return lockAll(fd, F_WRLCK, command); });
    const detail::RunningMaster nobody = detail::findMaster(folder.file);
    CHECK(nobody.pid == 0);
    CHECK(nobody.isLocked);
    CHECK(contains(nobody.why, "the kernel does not name it as its master"));
    CHECK(contains(refusal(folder.file, Cause::Running), "another process holds"));
    CHECK(folder.contents() == std::to_string(::getppid()));
  }
}

TEST_CASE("pid file: one of another user is neither believed nor written over") {
  if (::getuid() != 0) return;
  const Folder folder;
  ::chmod(folder.path.c_str(), 0777);
  PidFile held;
  const LockHolder forger(folder.path, O_RDONLY | O_DIRECTORY, [&](int) {
    if (::setuid(65534) != 0) return false;
    held = PidFile::take(folder.file);
    return true;
  });
  // Of nobody's own master root is told the truth.
  CHECK(detail::findMaster(folder.file).pid == forger.pid());
  folder.write(std::to_string(::getpid()));
  CHECK(detail::findMaster(folder.file).pid == forger.pid());
  CHECK(contains(refusal(folder.file, Cause::Foreign), "belongs to user nobody, not to root"));
  // What the process of one user holds in a file of another is nobody's.
  REQUIRE(::chown(folder.file.c_str(), 1, 1) == 0);
  const detail::RunningMaster stale = detail::findMaster(folder.file);
  CHECK(stale.pid == 0);
  CHECK(contains(stale.why, "is stale: it belongs to user "));
  CHECK(contains(stale.why, " of user nobody"));
}

TEST_CASE("pid file: a file that has another name as well stays as it is") {
  const Folder folder;
  folder.write("12345");
  fs::create_hard_link(folder.file, folder.path + "/precious");
  CHECK(contains(refusal(folder.file, Cause::Foreign), "has another name as well"));
  CHECK(folder.contents() == "12345");
}

TEST_CASE("process handle: tells the end of its process and signals no other one") {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const detail::ProcessHandle process(child);
  CHECK_FALSE(process.hasEnded());
  CHECK(process.signal(0) == 0);
  CHECK(detail::userOf(child) == ::geteuid());
  CHECK(detail::executableNameOf(child) == fs::read_symlink("/proc/self/exe").filename());
  CHECK(detail::describeProcess(child).starts_with("process " + std::to_string(child) + " ("));
  CHECK(process.signal(SIGKILL) == 0);
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) == 0);
  CHECK(process.hasEnded());
  CHECK(detail::stateOf(child) == 'Z');
  ::waitpid(child, nullptr, 0);
  CHECK(process.hasEnded());
  CHECK(process.signal(SIGKILL) == ESRCH);
  CHECK(detail::ProcessHandle().signal(SIGKILL) == ESRCH);
  CHECK_FALSE(detail::userOf(child).has_value());
}
