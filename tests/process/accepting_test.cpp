// Who takes connections in a service of several processes, and who stops to.

#include <csignal>
#include <string>

#include "support/line_client.h"
#include "support/service.h"

using testing::becomesTrue;
using testing::LineClient;
using testing::runs;
using testing::Service;

namespace {

/// The process that answers, as text.
std::string pidOf(LineClient& client) {
  const std::string who = client.ask("who");
  return who.substr(who.find(' ') + 1);
}

bool hasHeardNothing(const LineClient& client) {
  char byte;
  return ::recv(client.fd(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

TEST_CASE("pauseAccept: who comes meanwhile waits, is not refused, and is served after resumeAccept") {
  Service service;
  LineClient inside(service.started(1)[0].port);
  CHECK(inside.ask("accept pause") == "done");
  LineClient outside(service.started(1)[0].port);
  CHECK(outside.connected());
  outside.write("who\n");
  for (int i = 0; i < 10; ++i) CHECK(inside.ask("who") != "");
  CHECK(hasHeardNothing(outside));
  CHECK(inside.ask("accept resume") == "done");
  CHECK(outside.readLine() == inside.ask("who"));
  CHECK(service.stop() == 0);
}

TEST_CASE("pauseAccept: who waits is served by the other process, or by the next one") {
  Service service({"count=2"});
  const int port = service.started(2)[0].port;
  LineClient first(port);
  CHECK(first.ask("accept pause") == "done");
  const std::string paused = pidOf(first);
  for (int i = 0; i < 20; ++i) {
    LineClient client(port);
    const std::string pid = pidOf(client);
    CHECK(pid != "");
    CHECK(pid != paused);
  }
  // The other one as well: now somebody has to wait for a reload.
  LineClient second(port);
  CHECK(second.ask("accept pause") == "done");
  LineClient outside(port);
  outside.write("who\n");
  CHECK(second.ask("who") != "");
  CHECK(hasHeardNothing(outside));
  ::shutdown(first.fd(), SHUT_WR);
  ::shutdown(second.fd(), SHUT_WR);
  service.process().signal(SIGUSR1);
  CHECK(outside.readLine() != "");
  CHECK(service.stop() == 0);
}

TEST_CASE(
    "unlisten: in one process, its connections stay and the others take the new ones; a reload brings it "
    "back") {
  Service service({"count=2"});
  const int port = service.started(2)[0].port;
  LineClient inside(port);
  CHECK(inside.ask("accept end") == "done");
  const std::string left = pidOf(inside);
  for (int i = 0; i < 20; ++i) {
    LineClient client(port);
    const std::string pid = pidOf(client);
    CHECK(pid != "");
    CHECK(pid != left);
  }
  CHECK(pidOf(inside) == left);
  ::shutdown(inside.fd(), SHUT_WR);
  service.process().signal(SIGUSR1);
  const auto workers = service.started(4);
  // Each of the new ones takes connections: the other is told to leave them alone.
  LineClient first(port);
  const std::string one = pidOf(first);
  CHECK(first.ask("accept end") == "done");
  LineClient second(port);
  const std::string two = pidOf(second);
  CHECK(one != two);
  for (const std::string& pid : {one, two}) {
    CHECK((pid == std::to_string(workers[2].pid) || pid == std::to_string(workers[3].pid)));
  }
  CHECK(service.stop() == 0);
}

TEST_CASE("listen: a worker made in onWorkerStart lives and ends with its process") {
  Service service({"inner=text://127.0.0.1:0"});
  const auto before = service.started(1)[0];
  const int port = service.port("inner 0 ");
  CHECK(port != before.port);
  LineClient client(port);
  CHECK(client.ask("hello") == "inner " + std::to_string(before.pid));
  ::shutdown(client.fd(), SHUT_WR);
  service.process().signal(SIGUSR1);
  const auto after = service.started(2)[1];
  service.sees("inner 0 ", 2);
  CHECK(service.has("inner stop 0 " + std::to_string(before.pid)));
  CHECK(LineClient(port).error() == ECONNREFUSED);
  const std::string& text = service.process().text();
  const std::string begin = "inner 0 " + std::to_string(after.pid) + " ";
  const int next = std::stoi(text.substr(text.find(begin) + begin.size()));
  CHECK(LineClient(next).ask("hello") == "inner " + std::to_string(after.pid));
  CHECK(service.stop() == 0);
  CHECK(service.times("inner stop 0 ") == 2);
  CHECK(LineClient(next).error() == ECONNREFUSED);
}
