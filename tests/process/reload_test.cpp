// Reload: every process is replaced, one after the other, and nobody is refused meanwhile.

#include <csignal>
#include <string>

#include "support/line_client.h"
#include "support/restless_client.h"
#include "support/service.h"

using testing::becomesTrue;
using testing::LineClient;
using testing::RestlessClient;
using testing::runs;
using testing::Service;
using testing::Started;

TEST_CASE("reload: each process is replaced, one after the other, with the same ids") {
  Service service({"count=3"});
  const auto before = service.started(3);
  service.process().signal(SIGUSR1);
  const auto after = service.started(6);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(after[i + 3].id == static_cast<int>(i));
    CHECK(after[i + 3].port == before[i].port);
    CHECK(becomesTrue([&] { return !runs(before[i].pid); }));
  }
  CHECK(service.times("master reload") == 1);
  CHECK(service.times("\nreload ") == 3);
  CHECK(service.has("Workerman[service] reloading\n"));
  CHECK_FALSE(service.has("exit with status"));
  // The second goes only when the first one's place is taken again.
  const std::string& text = service.process().text();
  CHECK(text.find("start 0 " + std::to_string(after[3].pid)) < text.find("reload 1 "));
  CHECK(text.find("start 1 " + std::to_string(after[4].pid)) < text.find("reload 2 "));
  CHECK(service.stop() == 0);
}

TEST_CASE(
    "reload: a process whose connections stay open is replaced after stopTimeout, and the log counts them") {
  Service service({"stop-timeout=0.25"});
  const auto before = service.started(1)[0];
  LineClient client(before.port), other(before.port);
  CHECK(client.ask("who") != "");
  CHECK(other.ask("who") != "");
  service.process().signal(SIGUSR1);
  service.sees("stop 0 ");
  // Still served, though not by name: the process has not been replaced yet.
  CHECK(client.ask("graceful") == "no");
  CHECK(client.readLine() == "");
  CHECK(client.error() == 0);
  service.started(2);
  CHECK(service.has("worker[service:" + std::to_string(before.pid) +
                    "] closes 2 connections that have not finished within 0.25 seconds (stopTimeout)"));
  CHECK(service.stop() == 0);
}

TEST_CASE("reload: who has connected while a process was busy is served, whatever has been read by then") {
  Service service;
  const int port = service.started(1)[0].port;
  LineClient busy(port), waiting(port);
  CHECK(waiting.ask("who") != "");
  busy.write("work\n");
  service.sees("working");
  service.process().signal(SIGUSR1);
  waiting.write("who\n");
  LineClient late(port);
  late.write("who\n");
  CHECK(busy.readLine() == "done");
  CHECK(waiting.readLine() != "");
  CHECK(late.readLine() != "");
  CHECK(service.stop() == 0);
}

TEST_CASE("reload: where reloadable is false, onWorkerReload runs and the process stays") {
  Service service({"count=2", "reloadable=0"});
  const auto before = service.started(2);
  service.process().signal(SIGUSR1);
  service.sees("\nreload ", 2);
  service.sees("other 0 ", 2);
  for (const Started& worker : before) CHECK(runs(worker.pid));
  CHECK(service.times("\nstop ") == 0);
  CHECK(service.stop() == 0);
}

TEST_CASE("reload: one that is asked for during another follows it") {
  Service service({"count=2"});
  service.started(2);
  service.process().signal(SIGUSR1);
  service.sees("\nreload 0 ");
  service.process().signal(SIGUSR1);
  service.started(6);
  service.sees("Workerman[service] reloading\n", 2);
  CHECK(service.stop() == 0);
}

TEST_CASE("reload: gracefully, a process ends with its last connection") {
  Service service;
  const auto before = service.started(1)[0];
  LineClient client(before.port);
  CHECK(client.ask("graceful") == "no");
  service.process().signal(SIGUSR2);
  service.sees("stop 0 ");
  CHECK(client.ask("graceful") == "yes");
  CHECK(runs(before.pid));
  ::shutdown(client.fd(), SHUT_RDWR);
  const auto after = service.started(2)[1];
  // The flag does not stick: the next stop is an ordinary one.
  LineClient again(after.port);
  CHECK(again.ask("graceful") == "no");
  CHECK(service.stop() == 0);
}

TEST_CASE("reload: a stuck process is killed after stopTimeout, and the reload goes on") {
  Service service({"count=2", "stop-timeout=0.25"});
  const auto before = service.started(2);
  CHECK(LineClient(before[0].port).ask("stuck") == "stuck");
  service.process().signal(SIGUSR1);
  service.started(4);
  CHECK(service.times(
            "within 0.5 seconds (twice stopTimeout) of SIGUSR1: the master kills it with SIGKILL") == 1);
  CHECK(service.stop() == 0);
}

TEST_CASE("reload: onMasterReload may ask for more processes") {
  Service service({"count=1", "grow=3"});
  service.started(1);
  service.process().signal(SIGUSR1);
  const auto workers = service.started(4);
  CHECK(service.sees("start 1 "));
  CHECK(service.sees("start 2 "));
  CHECK(service.sees("start 0 ", 2));
  CHECK(service.stop() == 0);
}
