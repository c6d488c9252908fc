// Worker::embed, runLoop, stopAll and post: our workers inside somebody's program.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/captured_stderr.h"
#include "support/host_loop.h"
#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::HostLoop;

namespace {

/// Embeds on a loop of our own and runs it to its end.
int embedAndRun() {
  Worker::embed();
  return Worker::runLoop();
}

/// A client that sends "hi" and a worker that answers it; true when the answer came.
bool exchangesAMessage(Worker& worker, HostLoop& host) {
  bool answered = false;
  worker.onMessage = [](auto connection, auto data) { connection->send(data); };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "text"));
  client->onConnect = [](auto connection) { connection->send("hi"); };
  client->onMessage = [&](auto, auto data) { answered = data == "hi"; };
  client->connect();
  return host.runUntil([&] { return answered; });
}

}  // namespace

TEST_CASE(
    "embed: the host's timers, signals, working directory and umask are left alone, and uv_run returns") {
  const auto directory = std::filesystem::current_path();
  const mode_t mask = ::umask(027);
  struct sigaction before[NSIG] {};
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, nullptr, &before[signal]);
  HostLoop host;
  int ticks = 0;
  uv_timer_t timer;
  uv_timer_init(host.get(), &timer);
  timer.data = &ticks;
  uv_timer_start(
      &timer, [](uv_timer_t* each) { ++*static_cast<int*>(each->data); }, 0, 1);
  {
    Worker worker("text://127.0.0.1:0");
    Worker::embed(host.get());
    CHECK(Worker::globalEvent->uvLoop() == host.get());
    CHECK(exchangesAMessage(worker, host));
    CHECK(Worker::isRunning());
    Worker::stopAll();
    CHECK(host.runUntil([] { return !Worker::isRunning(); }));
    CHECK(Worker::globalEvent == nullptr);
  }
  CHECK(std::filesystem::current_path() == directory);
  CHECK(::umask(mask) == 027);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction after {};
    ::sigaction(signal, nullptr, &after);
    CAPTURE(signal);
    const bool isSame = after.sa_handler == before[signal].sa_handler;
    CHECK(isSame);
  }
  const int seen = ticks;
  CHECK(host.runUntil([&] { return ticks > seen + 2; }));
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  // Nothing is left, so the loop ends by itself.
  CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);
}

TEST_CASE("embed: SIGPIPE at its default does not end the host when a peer is gone") {
  struct sigaction standard {
  }, before{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGPIPE, &standard, &before);
  HostLoop host;
  Worker worker("tcp://127.0.0.1:0");
  int closed = 0;
  worker.onConnect = [](auto connection) { connection->destroy(); };
  Worker::embed(host.get());
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "tcp"));
  client->onClose = [&](auto) { ++closed; };
  client->onConnect = [](auto connection) {
    Timer::add(0, [connection] { connection->send(std::string(100000, 'x')); });
  };
  client->connect();
  CHECK(host.runUntil([&] { return closed == 1; }));
  Worker::stopAll();
  uv_run(host.get(), UV_RUN_DEFAULT);
  struct sigaction after {};
  ::sigaction(SIGPIPE, &before, &after);
  const bool isDefault = after.sa_handler == SIG_DFL;
  CHECK(isDefault);
}

TEST_CASE("embed: works again after a stop, with the worker's own callbacks") {
  HostLoop host;
  Worker worker("text://127.0.0.1:0");
  int started = 0, stopped = 0;
  worker.onWorkerStart = [&](Worker* each) {
    ++started;
    CHECK(each == &worker);
    CHECK(each->getListenPort() > 0);
  };
  worker.onWorkerStop = [&](Worker*) { ++stopped; };
  for (int round = 1; round <= 3; ++round) {
    CAPTURE(round);
    Worker::embed(host.get());
    CHECK(started == round);
    CHECK(exchangesAMessage(worker, host));
    Worker::stopAll();
    CHECK(stopped == round);
    // With nothing to wait for, the last step may also be left to the next embed().
    if (round != 2) uv_run(host.get(), UV_RUN_DEFAULT);
    CHECK(worker.getListenPort() == 0);
  }
  CHECK(stopped == 3);
}

TEST_CASE("embed: a worker is told of its stop once, also when it is destroyed later") {
  HostLoop host;
  int stopped = 0;
  {
    Worker worker("tcp://127.0.0.1:0");
    worker.onWorkerStop = [&] { ++stopped; };
    Worker::embed(host.get());
    Worker::stopAll();
    Worker::stopAll();
    uv_run(host.get(), UV_RUN_DEFAULT);
  }
  CHECK(stopped == 1);
}

TEST_CASE("embed: twice without a stop throws and changes nothing") {
  HostLoop host, other;
  Worker worker("text://127.0.0.1:0");
  Worker::embed(host.get());
  CHECK_THROWS_WITH_AS(Worker::embed(host.get()), doctest::Contains("run already"), std::logic_error);
  CHECK_THROWS_AS(Worker::embed(other.get()), std::logic_error);
  CHECK_THROWS_AS(Worker::embed(), std::logic_error);
  CHECK_THROWS_WITH_AS(Worker::runLoop(), doctest::Contains("host"), std::logic_error);
  CHECK(exchangesAMessage(worker, host));
  Worker::stopAll();
  uv_run(host.get(), UV_RUN_DEFAULT);
  CHECK_THROWS_WITH_AS(Worker::runLoop(), doctest::Contains("embed"), std::logic_error);
}

TEST_CASE("embed: a port in use throws one clear error, everything is stopped, and it can be tried again") {
  HostLoop host, other;
  Worker first("text://127.0.0.1:0");
  int started = 0, stopped = 0;
  first.onWorkerStart = [&] { ++started; };
  first.onWorkerStop = [&] { ++stopped; };
  int port = 0;
  const int blocker = testing::listenAnywhere(&port);
  const std::string name = "text://127.0.0.1:" + std::to_string(port);
  auto second = std::make_unique<Worker>(name);
  CHECK_THROWS_WITH_AS(Worker::embed(host.get()),
                       doctest::Contains(("cannot listen on " + name + ": Address already in use").c_str()),
                       std::runtime_error);
  CHECK(first.getListenPort() == 0);
  CHECK_FALSE(Worker::isRunning());
  CHECK(Worker::globalEvent == nullptr);
  // All sockets are opened before any callback runs, so there is nothing to take back.
  CHECK(started == 0);
  CHECK(stopped == 0);
  CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);
  ::close(blocker);
  Worker::embed(other.get());
  CHECK(started == 1);
  CHECK(second->getListenPort() == port);
  CHECK(exchangesAMessage(first, other));
  Worker::stopAll();
  uv_run(other.get(), UV_RUN_DEFAULT);
  CHECK(stopped == 1);
}

TEST_CASE("embed: a failed start on a loop of our own leaves nothing behind") {
  Worker worker("nonsense://127.0.0.1:0");
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_WITH_AS(Worker::embed(), doctest::Contains("unknown protocol 'nonsense'"),
                         std::runtime_error);
    CHECK(Worker::globalEvent == nullptr);
  }
}

TEST_CASE("embed: on a loop that another thread's workers live on is refused, and the thread can go on") {
  HostLoop host;
  Worker worker;
  Worker::embed(host.get());
  std::thread([&] {
    Worker mine;
    CHECK_THROWS_WITH_AS(Worker::embed(host.get()), doctest::Contains("another EventLoop"), std::logic_error);
    CHECK_FALSE(Worker::isRunning());
    mine.onWorkerStart = [] { Worker::stopAll(); };
    CHECK(embedAndRun() == 0);
  }).join();
  Worker::stopAll();
  uv_run(host.get(), UV_RUN_DEFAULT);
}

TEST_CASE("stopAll: before the loop runs, in onWorkerStart, in a timer, in the next iteration") {
  const struct {
    std::string where;
    void (*arrange)(Worker& worker);
  } cases[] = {
      {"onWorkerStart", [](Worker& worker) { worker.onWorkerStart = [] { Worker::stopAll(); }; }},
      {"a timer made before", [](Worker&) { Timer::add(0.001, [] { Worker::stopAll(); }); }},
      {"a timer of onWorkerStart",
       [](Worker& worker) { worker.onWorkerStart = [] { Timer::add(0, [] { Worker::stopAll(); }); }; }},
      {"a posted function",
       [](Worker& worker) {
         worker.onWorkerStart = [] {
           CHECK(Worker::post(Worker::globalEvent->uvLoop(), [] { Worker::stopAll(); }));
         };
       }},
      {"a deferred function",
       [](Worker& worker) {
         worker.onWorkerStart = [] { Worker::globalEvent->delay(0, [] { Worker::stopAll(); }); };
       }},
  };
  for (const auto& c : cases) {
    CAPTURE(c.where);
    int stopped = 0;
    Worker worker("text://127.0.0.1:0");
    worker.onWorkerStop = [&] { ++stopped; };
    c.arrange(worker);
    CHECK(embedAndRun() == 0);
    CHECK(stopped == 1);
    c.arrange(worker);
    HostLoop host;
    Worker::embed(host.get());
    CHECK(host.runUntil([] { return !Worker::isRunning(); }));
    CHECK(stopped == 2);
  }
  Worker worker("text://127.0.0.1:0");
  Worker::embed();
  Worker::stopAll();
  CHECK(Worker::runLoop() == 0);
  CHECK_FALSE(Worker::isRunning());
}

TEST_CASE("stopAll: in each callback of a worker and its connections") {
  using Arrange = void (*)(Worker & worker, AsyncTcpConnection & client);
  const std::pair<std::string, Arrange> cases[] = {
      {"onConnect", [](Worker& w, AsyncTcpConnection&) { w.onConnect = [] { Worker::stopAll(); }; }},
      {"onMessage", [](Worker& w, AsyncTcpConnection&) { w.onMessage = [] { Worker::stopAll(); }; }},
      {"onClose",
       [](Worker& w, AsyncTcpConnection& client) {
         w.onClose = [] { Worker::stopAll(); };
         client.onMessage = [](auto connection, auto) { connection->close(); };
       }},
      {"onBufferFull",
       [](Worker& w, AsyncTcpConnection&) {
         w.onBufferFull = [] { Worker::stopAll(); };
         w.onMessage = [](auto connection, auto) {
           connection->maxSendBufferSize = 1000;
           for (int i = 0; i < 100; ++i) connection->send(std::string(100000, 'x'));
         };
       }},
      {"client onConnect",
       [](Worker&, AsyncTcpConnection& client) { client.onConnect = [] { Worker::stopAll(); }; }},
      {"client onMessage",
       [](Worker&, AsyncTcpConnection& client) { client.onMessage = [] { Worker::stopAll(); }; }},
      {"client onClose",
       [](Worker& w, AsyncTcpConnection& client) {
         w.onMessage = [](auto connection, auto) { connection->destroy(); };
         client.onClose = [](auto connection) {
           Worker::stopAll();
           connection->reConnect();  // too late: everything ends
         };
       }},
  };
  for (const auto& each : cases) {
    const auto& where = each.first;
    const auto& arrange = each.second;
    CAPTURE(where);
    HostLoop host;
    Worker worker("text://127.0.0.1:0");
    int closed = 0;
    bool stopCameFirst = true;
    bool hasStopped = false;
    worker.onWorkerStop = [&] { hasStopped = true; };
    worker.onMessage = [](auto connection, auto data) { connection->send(data); };
    worker.onClose = [&] {
      ++closed;
      stopCameFirst = stopCameFirst && hasStopped;
    };
    Worker::embed(host.get());
    auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "text"));
    client->onConnect = [](auto connection) { connection->send("hi"); };
    arrange(worker, *client);
    // What the case replaced would otherwise not send.
    if (where == "client onConnect") client->send("hi");
    client->connect();
    client.reset();
    CHECK(host.runUntil([] { return !Worker::isRunning(); }));
    CHECK(hasStopped);
    // There the other end was gone before.
    if (where != "client onClose") CHECK(stopCameFirst);
    CHECK(TcpConnection::connections.size() == 0);
    CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);
  }
}

TEST_CASE("stopAll: a connection that does not end by itself is cut off after stopTimeout") {
  HostLoop host;
  const double before = std::exchange(Worker::stopTimeout, 0.05);
  Worker worker("tcp://127.0.0.1:0");
  int closed = 0;
  worker.onConnect = [](auto connection) {
    connection->maxSendBufferSize = 100'000'000;
    connection->send(std::string(50'000'000, 'x'));
  };
  worker.onClose = [&] { ++closed; };
  Worker::embed(host.get());
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "tcp"));
  bool isFull = false;
  client->onConnect = [&](auto connection) {
    connection->pauseRecv();
    isFull = true;
  };
  client->connect();
  host.runUntil([&] { return isFull && worker.connections.size() == 1; });
  Worker::stopAll();
  CHECK(host.runUntil([] { return !Worker::isRunning(); }));
  CHECK(closed == 1);
  Worker::stopTimeout = before;
}

TEST_CASE("stopAll: while nothing runs it does nothing") {
  CapturedStderr output;
  Worker::stopAll();
  Worker::stopAll(3);
  CHECK_FALSE(Worker::isRunning());
  CHECK(output.text().empty());
}

TEST_CASE("listen: while everything stops it opens nothing that would stay") {
  HostLoop host;
  Worker worker("text://127.0.0.1:0");
  worker.onWorkerStop = [] {
    auto late = std::make_shared<Worker>("text://127.0.0.1:0");
    late->listen();
    CHECK(late->getListenPort() == 0);
  };
  Worker::embed(host.get());
  Worker::stopAll();
  CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);
}
