// Stop is complete: what was accepted is flushed, nothing is left, and the next start finds a free field.

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/program.h"
#include "support/service.h"

using testing::becomesTrue;
using testing::ChildProcess;
using testing::LineClient;
using testing::Program;
using testing::runs;
using testing::Service;
using testing::ServiceFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLong = 16 << 20;

/// Asks for far more than a socket holds, and waits until it is on its way.
void askForMuch(LineClient& client) {
  client.write("long=" + std::to_string(kLong) + "\n");
  char byte;
  CHECK(::recv(client.fd(), &byte, 1, MSG_PEEK) == 1);
}

/// How many bytes come before the line, or the stream, ends.
std::size_t receiveMuch(const LineClient& client) {
  std::string piece(1 << 16, '\0');
  for (std::size_t all = 0;;) {
    const ssize_t got = ::recv(client.fd(), piece.data(), piece.size(), 0);
    if (got <= 0) return all;
    all += static_cast<std::size_t>(got);
    if (piece[static_cast<std::size_t>(got) - 1] == '\n') return all - 1;
  }
}

/// The files of a folder but the program and what it has written for people.
std::vector<std::string> leftIn(const fs::path& folder) {
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name != "service" && name != "workerman.log" && name != "out") left.push_back(name);
  }
  return left;
}

}  // namespace

TEST_CASE("stop: an answer that is queued arrives whole, also where the client has said more meanwhile") {
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGUSR1}) {
    CAPTURE(signal);
    Service service({"stop-timeout=3600"});
    LineClient client(service.started(1)[0].port);
    askForMuch(client);
    service.process().signal(signal);
    service.sees("stop 0 ");
    client.write("something\n");
    CHECK(receiveMuch(client) == kLong);
    ::shutdown(client.fd(), SHUT_WR);
    if (signal == SIGUSR1) {
      service.started(2);
      service.process().signal(SIGTERM);
    }
    CHECK(service.process().wait() == 0);
    CHECK_FALSE(service.has("SIGKILL"));
  }
}

TEST_CASE("stop: Ctrl-C reaches every process of the group, and still counts as one stop") {
  const ServiceFolder folder;
  ChildProcess service("/usr/bin/setsid", {folder.program, "start", "-q", "count=2", "stop-timeout=3600"});
  const std::string first = service.waitForRest("start 0 ");
  CHECK(service.waitFor("start 1 "));
  int pid = 0, port = 0;
  std::istringstream(first) >> pid >> port;
  LineClient client(port);
  askForMuch(client);
  CHECK(::kill(-service.pid(), SIGINT) == 0);
  CHECK(service.waitUntil([](const std::string& text) { return text.find("stop ") != std::string::npos; }));
  // A second signal would have cut it off.
  CHECK(receiveMuch(client) == kLong);
  ::shutdown(client.fd(), SHUT_WR);
  CHECK(service.wait() == 0);
  CHECK(service.text().find("SIGKILL") == std::string::npos);
}

TEST_CASE("stop: pressed twice, Ctrl-C cuts off what is left") {
  const ServiceFolder folder;
  ChildProcess service("/usr/bin/setsid", {folder.program, "start", "-q", "stop-timeout=3600"});
  int pid = 0, port = 0;
  std::istringstream(service.waitForRest("start 0 ")) >> pid >> port;
  LineClient client(port);
  askForMuch(client);
  CHECK(::kill(-service.pid(), SIGINT) == 0);
  CHECK(service.waitFor("stop 0 "));
  CHECK(service.wait(0.3) == -1000);
  CHECK(::kill(-service.pid(), SIGINT) == 0);
  CHECK(service.wait() == 0);
}

TEST_CASE("stop: a worker that is busy for a while finishes its answer") {
  for (const int signal : {SIGTERM, SIGQUIT}) {
    CAPTURE(signal);
    Service service({"count=2", "stop-timeout=3600"});
    LineClient client(service.started(2)[0].port);
    client.write("work\n");
    service.sees("working");
    service.process().signal(signal);
    CHECK(client.readLine() == "done");
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(service.process().wait() == 0);
    CHECK_FALSE(service.has("SIGKILL"));
  }
}

TEST_CASE("stop: of a daemon, in both manners: no process, port, socket file, pid or status file is left") {
  for (const std::vector<std::string>& stop : {std::vector<std::string>{"stop"}, {"stop", "-g"}}) {
    CAPTURE(stop.back());
    const Program service;
    const fs::path socket = service.path / "app.sock";
    CHECK(service({"start", "-d", "count=2", service.toOutput(), "other=unix://" + socket.string()}).status ==
          0);
    const int port = service.port(), master = service.master();
    CHECK(LineClient(port).ask("who") != "");
    CHECK(service({"status"}).status == 0);
    CHECK(fs::exists(socket));
    CHECK(service(stop).status == 0);
    CHECK_FALSE(runs(master));
    CHECK(LineClient(port).error() == ECONNREFUSED);
    CHECK(leftIn(service.path) == std::vector<std::string>{});
    CHECK(service.log().find("exit with status") == std::string::npos);
  }
}

TEST_CASE(
    "kill -9 of the master: its workers end, and the next start has the port and the pid file at once") {
  const Program service;
  CHECK(service({"start", "-d", "count=2", service.toOutput()}).status == 0);
  const int port = service.port(), master = service.master();
  const std::string address = "listen=text://127.0.0.1:" + std::to_string(port);
  LineClient client(port);
  CHECK(client.ask("who") != "");
  ::kill(master, SIGKILL);
  CHECK(client.readLine() == "");
  CHECK(becomesTrue([&] { return !runs(master) && LineClient(port).error() == ECONNREFUSED; }));
  CHECK(service({"start", "-d", "count=2", service.toOutput(), address}).status == 0);
  CHECK(service.master() != master);
  CHECK(LineClient(port).ask("who") != "");
  CHECK(service({"stop"}).status == 0);
  CHECK(leftIn(service.path) == std::vector<std::string>{});
}

TEST_CASE("two services: copies in two folders, and one program with two pid files, know only themselves") {
  const Program one, two;
  CHECK(one({"start", "-d", one.toOutput()}).status == 0);
  CHECK(two({"start", "-d", two.toOutput()}).status == 0);
  const std::string pidFile = "pid-file=" + (one.path / "third.pid").string();
  const std::string statusFile = "status-file=" + (one.path / "third.status").string();
  const std::string output = "stdout=" + (one.path / "third.out").string();
  CHECK(one({"start", "-d", pidFile, statusFile, output}).status == 0);
  const int first = one.master(), second = two.master();
  const int third = std::atoi(testing::contents(one.path / "third.pid").c_str());
  CHECK(first != second);
  CHECK(first != third);
  CHECK(one({"stop"}).status == 0);
  CHECK_FALSE(runs(first));
  CHECK(runs(second));
  CHECK(runs(third));
  CHECK(one({"reload", pidFile}).status == 0);
  CHECK(two({"stop"}).status == 0);
  CHECK_FALSE(runs(second));
  CHECK(runs(third));
  CHECK(one({"stop", pidFile, statusFile}).status == 0);
  CHECK_FALSE(runs(third));
  CHECK(leftIn(one.path) == std::vector<std::string>{"third.out"});
}
