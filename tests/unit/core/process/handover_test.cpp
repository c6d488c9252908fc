// What an old binary leaves to the new one.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <workerman/core/process/handover.h>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/process/binary_upgrade.h"

using namespace Workerman::detail;

namespace {

bool isCloseOnExec(int fd) {
  return ::fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

}  // namespace

TEST_CASE("handover: what is written is read again, text that is no UTF-8 included") {
  Handover given;
  given.sockets = {{7, {1, 2, 3}, false}, {8, {}, true}};
  given.processes = {{"text://0.0.0.0:1 #1", "name \xff", 3, 4711, 10, true, false, 123456789012345}};
  given.exits = {{"name none #2", 64000, 5'000'000'000}};
  given.pidFile = "/run/a \"b\".pid";
  given.pidFd = 9;
  given.launcher = 11;
  given.daemonize = given.isUp = given.isGraceful = true;
  given.reloadAgain = 1;
  given.startTime = 1'700'000'000;
  CHECK(given.descriptors() == std::vector<int>{9, 11, 10, 7, 8});
  const Descriptor memory = given.write();
  CHECK(isCloseOnExec(memory.get()));
  const Handover read = Handover::read(memory.get());
  CHECK(read.descriptors() == given.descriptors());
  CHECK(read.sockets[0].file == FileId{1, 2, 3});
  CHECK_FALSE(read.sockets[1].file);
  CHECK_FALSE(read.sockets[0].anyPort);
  CHECK(read.sockets[1].anyPort);
  CHECK(read.processes.at(0).worker == given.processes[0].worker);
  CHECK(read.processes[0].name == "name \xef\xbf\xbd");
  CHECK(read.processes[0].id == 3);
  CHECK(read.processes[0].pid == 4711);
  CHECK(read.processes[0].channel == 10);
  CHECK(read.processes[0].isReady);
  CHECK_FALSE(read.processes[0].isReloadable);
  CHECK(read.processes[0].startedAt == 123456789012345);
  CHECK(read.exits.at(0).status == 64000);
  CHECK(read.exits[0].times == 5'000'000'000);
  CHECK(read.pidFile == given.pidFile);
  CHECK(read.launcher == 11);
  CHECK((read.daemonize && read.isUp && read.isGraceful));
  CHECK(read.reloadAgain == 1);
  CHECK(read.startTime == given.startTime);
}

TEST_CASE("handover: what is none is refused") {
  CHECK_THROWS_AS(Handover::read(-1), std::runtime_error);
  const Descriptor memory(::memfd_create("test", MFD_CLOEXEC));
  REQUIRE(::write(memory.get(), "{\"sockets\":[]}", 14) == 14);
  CHECK_THROWS_AS(Handover::read(memory.get()), std::runtime_error);
}

TEST_CASE("handover: announced, the variable is set and the descriptors survive an exec; then neither") {
  CHECK(handed().role == Handed::Role::None);
  Handover state;
  const Descriptor memory = state.write();
  const Descriptor other(::memfd_create("test", MFD_CLOEXEC));
  state.pidFd = other.get();
  const Handed trial{Handed::Role::Trial, memory.get(), -1};
  announce(trial, state, 4711, true);
  CHECK(std::string(::getenv("WORKERMAN_UPGRADE")) ==
        "2 trial 4711 " + std::to_string(memory.get()) + " -1 " + std::to_string(other.get()));
  CHECK_FALSE(isCloseOnExec(memory.get()));
  CHECK_FALSE(isCloseOnExec(other.get()));
  announce(trial, state, 4711, false);
  CHECK(::getenv("WORKERMAN_UPGRADE") == nullptr);
  CHECK(isCloseOnExec(memory.get()));
  CHECK(isCloseOnExec(other.get()));
}

TEST_CASE(
    "executable: this process's own, absolute and unreplaced; a file's state changes with each of its "
    "marks") {
  const Executable self = Executable::ofThisProcess();
  CHECK(std::filesystem::path(self.path).is_absolute());
  CHECK(std::filesystem::equivalent(self.path, "/proc/self/exe"));
  CHECK_FALSE(self.arguments.empty());
  CHECK_FALSE(self.isReplaced());
  CHECK_FALSE(fileState("/nowhere/file").has_value());
  const std::string file = "/tmp/workerman-state-" + std::to_string(::getpid());
  std::ofstream(file) << "a";
  const auto before = fileState(file);
  std::ofstream(file) << "ab";
  CHECK(fileState(file) != before);
  std::filesystem::remove(file);
  CHECK(fileState(file) != before);
}
