// Reload: every process is replaced, one after the other, and nobody is refused meanwhile.

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

#include "support/line_client.h"
#include "support/service.h"

using testing::becomesTrue;
using testing::LineClient;
using testing::runs;
using testing::Service;
using testing::Started;

namespace {

/// Connects, asks and leaves without pause until it goes out of scope.
class RestlessClient {
 public:
  explicit RestlessClient(int port)
      : thread_([this, port] {
          while (!isOver_) {
            LineClient client(port);
            const bool isRefused = !client.connected();
            const bool isAnswered = client.ask("who") != "";
            ++(isRefused ? refused : isAnswered ? answered : cut);
          }
        }) {}
  ~RestlessClient() {
    isOver_ = true;
    thread_.join();
  }

  std::atomic<int> answered{0}, refused{0}, cut{0};

 private:
  std::atomic<bool> isOver_{false};
  std::thread thread_;
};

}  // namespace

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

TEST_CASE("reload: no connection is refused, and with -g none is cut, however often") {
  const struct {
    const char* reusePort;
    int signal;
  } cases[] = {{"reuse-port=0", SIGUSR1},
               {"reuse-port=0", SIGUSR2},
               {"reuse-port=1", SIGUSR1},
               {"reuse-port=1", SIGUSR2}};
  for (const auto& each : cases) {
    CAPTURE(std::string(each.reusePort));
    CAPTURE(each.signal);
    Service service({"count=2", each.reusePort});
    const int port = service.started(2)[0].port;
    RestlessClient client(port);
    for (std::size_t times = 1; times <= 10; ++times) {
      service.process().signal(each.signal);
      const auto workers = service.started(2 + 2 * times);
      service.sees("other 0 ", static_cast<int>(times) + 1);
      const int answered = client.answered;
      CHECK(becomesTrue([&] { return client.answered > answered; }));
    }
    CHECK(client.refused == 0);
    if (each.signal == SIGUSR2) CHECK(client.cut == 0);
    CHECK(service.stop() == 0);
  }
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
  CHECK(service.times("(stopTimeout) of SIGUSR1: the master kills it with SIGKILL") == 1);
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
