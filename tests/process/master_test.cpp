// Master and workers: who runs, what happens when one ends, and how all of them stop.

#include <csignal>
#include <filesystem>
#include <set>
#include <string>

#include "support/line_client.h"
#include "support/service.h"

using testing::becomesTrue;
using testing::LineClient;
using testing::runs;
using testing::Service;
using testing::Started;

namespace {

std::string who(const Started& worker) {
  return std::to_string(worker.id) + " " + std::to_string(worker.pid);
}

}  // namespace

TEST_CASE("master: count processes for each worker, each with its id, which know only their own worker") {
  Service service({"count=3"});
  const auto workers = service.started(3);
  service.sees("other 0 ");
  std::set<int> ids, pids, ports;
  for (const Started& worker : workers) {
    ids.insert(worker.id);
    pids.insert(worker.pid);
    ports.insert(worker.port);
  }
  CHECK(ids == std::set<int>{0, 1, 2});
  CHECK(pids.size() == 3);
  CHECK(pids.count(service.process().pid()) == 0);
  CHECK(ports.size() == 1);
  CHECK(service.times(" of 1 ") == 3);
  for (int i = 0; i < 20; ++i) {
    const std::string answer = LineClient(workers[0].port).ask("who");
    CHECK((answer == who(workers[0]) || answer == who(workers[1]) || answer == who(workers[2])));
  }
  CHECK(service.stop() == 0);
  CHECK(service.times("stop ") == 4);  // three workers, one master
}

TEST_CASE("master: with reusePort each process has its own socket, on one port, which outlives it") {
  Service service({"count=3", "reuse-port=1"});
  const auto workers = service.started(3);
  const int port = workers[0].port;
  CHECK(port != 0);
  CHECK(workers[1].port == port);
  CHECK(workers[2].port == port);
  std::set<std::string> answers;
  for (int i = 0; i < 200 && answers.size() < 3; ++i) answers.insert(LineClient(port).ask("who"));
  CHECK(answers == std::set<std::string>{who(workers[0]), who(workers[1]), who(workers[2])});
  ::kill(workers[1].pid, SIGKILL);
  CHECK(service.started(4)[3].port == port);
  for (int i = 0; i < 20; ++i) CHECK(LineClient(port).ask("who") != "");
  CHECK(service.stop() == 0);
}

TEST_CASE(
    "master: a killed worker is replaced by one with its id; the log and onWorkerExit tell the raw status") {
  Service service({"count=2"});
  const auto before = service.started(2);
  ::kill(before[1].pid, SIGKILL);
  const auto after = service.started(3);
  CHECK(after[2].id == before[1].id);
  CHECK(after[2].pid != before[1].pid);
  service.sees("worker[service:" + std::to_string(before[1].pid) + "] exit with status 9\n");
  service.sees("exit service 9 " + std::to_string(before[1].pid));
  CHECK(runs(before[0].pid));
  CHECK(service.stop() == 0);
}

TEST_CASE("master: a worker stopped by a signal of its own is replaced without a word") {
  Service service;
  const auto before = service.started(1);
  ::kill(before[0].pid, SIGTERM);
  CHECK(service.started(2)[1].id == 0);
  CHECK_FALSE(service.has("exit with status"));
  CHECK(service.stop() == 0);
}

TEST_CASE("master: a process that ends at once again and again is started ever later, and the log says so") {
  Service service({"crash=1"});
  service.sees("exit with status 64000", 3);
  service.sees(
      "worker[service] has ended 3 times in a row within 2 seconds of its start: the next start is in 0.5");
  CHECK(service.has("std::runtime_error: crash"));
  CHECK(service.stop() == 0);
}

TEST_CASE("master: an exception in a callback ends that process with 250, and the others serve on") {
  Service service({"count=2"});
  const auto workers = service.started(2);
  CHECK(LineClient(workers[0].port).ask("throw") == "");
  service.sees("std::runtime_error: asked to");
  service.sees("exit service 64000 ");
  CHECK(service.started(3).size() == 3);
  CHECK(service.stop() == 0);
}

TEST_CASE("master: killed, it takes its workers with it, a stuck one too") {
  Service service({"count=2", "stop-timeout=0"});
  const auto workers = service.started(2);
  CHECK(LineClient(workers[0].port).ask("stuck") == "stuck");
  service.process().signal(SIGKILL);
  for (const Started& worker : workers) CHECK(becomesTrue([&] { return !runs(worker.pid); }));
  CHECK(service.process().waitUntil(
      [](const std::string& text) { return text.find("stops: its master has gone") != std::string::npos; }));
}

TEST_CASE("stop: a stuck worker is killed after stopTimeout, and the log says by whom and why") {
  Service service({"count=2", "stop-timeout=0.25"});
  const auto workers = service.started(2);
  LineClient client(workers[0].port);
  CHECK(client.ask("stuck") == "stuck");
  CHECK(service.stop(SIGINT) == 0);
  CHECK(service.times(
            "has not ended within 0.25 seconds (stopTimeout) of SIGINT: the master kills it with SIGKILL") ==
        1);
  CHECK(service.times("exit with status 9\n") == 1);
  for (const Started& worker : workers) CHECK_FALSE(runs(worker.pid));
}

TEST_CASE("stop: nothing is left, no process, no port, no unix socket's file") {
  {
    Service service({"count=2"});
    const auto workers = service.started(2);
    CHECK(service.stop() == 0);
    for (const Started& worker : workers) CHECK_FALSE(runs(worker.pid));
    CHECK(LineClient(workers[0].port).error() == ECONNREFUSED);
    CHECK(service.has("Workerman[service] received signal SIGTERM\n"));
    CHECK(service.has("Workerman[service] stopping\n"));
    CHECK(service.has("Workerman[service] has been stopped\n"));
    CHECK(service.times("master stop ") == 1);
  }
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("workerman-test-" + std::to_string(::getpid()) + ".sock");
  Service service({"count=2", "listen=unix://" + file.string()});
  const auto workers = service.started(2);
  // One process less, and its file stays.
  ::kill(workers[0].pid, SIGTERM);
  service.started(3);
  CHECK(std::filesystem::exists(file));
  CHECK(service.stop() == 0);
  CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("stop: gracefully, open connections may finish, and new ones are refused") {
  Service service;
  const auto worker = service.started(1)[0];
  LineClient client(worker.port);
  CHECK(client.ask("graceful") == "no");
  service.process().signal(SIGQUIT);
  service.sees("stop 0 ");
  CHECK(client.ask("graceful") == "yes");
  CHECK(client.ask("who") == who(worker));
  CHECK(service.process().wait(0.1) == -1000);
  SUBCASE("until they end") {
    ::shutdown(client.fd(), SHUT_RDWR);
  }
  SUBCASE("until it is stopped in the ordinary way") {
    service.process().signal(SIGTERM);
  }
  CHECK(service.process().wait() == 0);
}

TEST_CASE("stop: gracefully, but not for ever") {
  Service service({"graceful-timeout=0.25"});
  LineClient client(service.started(1)[0].port);
  CHECK(client.ask("who") != "");
  CHECK(service.stop(SIGQUIT) == 0);
  CHECK(client.readLine() == "");
  CHECK_FALSE(service.has("SIGKILL"));
}
