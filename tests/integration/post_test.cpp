// Exceptions of an embedded world, and worlds in several threads that post to each other.

#include <array>
#include <atomic>
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

/// Lets a worker answer one line and runs until `arrange` has ended it all.
struct Outcome {
  int status;
  std::string log;
};

Outcome runWith(void (*arrange)(Worker& worker, AsyncTcpConnection& client)) {
  CapturedStderr output;
  Worker worker("text://127.0.0.1:0");
  worker.onMessage = [](auto connection, auto data) { connection->send(data); };
  Worker::embed();
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "text"));
  arrange(worker, *client);
  client->send("hi");
  client->connect();
  const int watchdog = Timer::add(
      10, [] { Worker::stopAll(99); }, {}, false);
  const int status = Worker::runLoop();
  CHECK(watchdog > 0);
  return {status, output.text()};
}

}  // namespace

TEST_CASE("embed: an exception in any callback is logged to stderr, stops all and gives 250; nothing exits") {
  using Arrange = void (*)(Worker & worker, AsyncTcpConnection & client);
  struct Odd {};
  const struct {
    std::string where;
    Arrange arrange;
    std::string logged;
  } cases[] = {
      {"worker's onMessage",
       [](Worker& w, AsyncTcpConnection&) { w.onMessage = [] { throw std::runtime_error("boom"); }; },
       "std::runtime_error: boom"},
      {"worker's onConnect",
       [](Worker& w, AsyncTcpConnection&) { w.onConnect = [] { throw std::logic_error("at once"); }; },
       "std::logic_error: at once"},
      {"worker's onClose",
       [](Worker& w, AsyncTcpConnection& c) {
         w.onClose = [] { throw std::out_of_range("late"); };
         c.onMessage = [](auto connection, auto) { connection->close(); };
       },
       "std::out_of_range: late"},
      {"client's onConnect",
       [](Worker&, AsyncTcpConnection& c) { c.onConnect = [] { throw std::runtime_error("client"); }; },
       "std::runtime_error: client"},
      {"a text is thrown", [](Worker& w, AsyncTcpConnection&) { w.onMessage = [] { throw "plain text"; }; },
       "plain text"},
      {"a std::string is thrown",
       [](Worker& w, AsyncTcpConnection&) { w.onMessage = [] { throw std::string("a string"); }; },
       "a string"},
      {"a number is thrown", [](Worker& w, AsyncTcpConnection&) { w.onMessage = [] { throw 42; }; },
       "something that is no std::exception"},
      {"an object is thrown", [](Worker& w, AsyncTcpConnection&) { w.onMessage = [] { throw Odd(); }; },
       "something that is no std::exception"},
      {"a timer",
       [](Worker&, AsyncTcpConnection&) { Timer::add(0, [] { throw std::runtime_error("tick"); }); },
       "std::runtime_error: tick"},
      {"a posted function",
       [](Worker&, AsyncTcpConnection&) {
         Worker::post(Worker::globalEvent->uvLoop(), [] { throw std::runtime_error("posted"); });
       },
       "std::runtime_error: posted"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.where);
    const Outcome outcome = runWith(c.arrange);
    CHECK(outcome.status == 250);
    CHECK_MESSAGE(outcome.log.find(c.logged) != std::string::npos, outcome.log);
    CHECK_FALSE(Worker::isRunning());
  }
}

TEST_CASE(
    "embed: an exception in onWorkerStart stops all; one in onWorkerStop is logged and the stop goes on") {
  CapturedStderr output;
  int stopped = 0;
  Worker worker("text://127.0.0.1:0"), other("text://127.0.0.1:0");
  other.onWorkerStop = [&] { ++stopped; };
  worker.onWorkerStart = [] { throw std::runtime_error("cannot start"); };
  worker.onWorkerStop = [&] {
    ++stopped;
    throw std::runtime_error("cannot stop");
  };
  Worker::embed();
  CHECK(Worker::runLoop() == 250);
  CHECK(stopped == 1);  // the other one had not started
  CHECK(output.text().find("std::runtime_error: cannot start") != std::string::npos);
  CHECK(output.text().find("std::runtime_error: cannot stop") != std::string::npos);
  worker.onWorkerStart = nullptr;
  Worker::embed();
  Worker::stopAll();
  CHECK(Worker::runLoop() == 0);
  CHECK(stopped == 3);
}

TEST_CASE("errorHandler of a connection takes the exception first, and then nothing stops") {
  CapturedStderr output;
  HostLoop host;
  Worker worker("text://127.0.0.1:0");
  std::vector<std::string> taken;
  worker.onConnect = [&](auto connection) {
    connection->errorHandler = [&](const std::exception& e) { taken.emplace_back(e.what()); };
  };
  worker.onMessage = [](auto connection, auto data) {
    connection->send("got " + std::string(data));
    if (data == "number") throw 7;
    throw std::runtime_error("no " + std::string(data));
  };
  Worker::embed(host.get());
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "text"));
  std::vector<std::string> answers;
  client->onConnect = [](auto connection) {
    for (const char* line : {"one", "two", "number"}) connection->send(line);
  };
  client->onMessage = [&](auto, auto data) { answers.emplace_back(data); };
  client->connect();
  CHECK(host.runUntil([&] { return answers.size() == 3; }));
  CHECK(taken == std::vector<std::string>{"no one", "no two", "something that is no std::exception"});
  CHECK(Worker::isRunning());
  CHECK(output.text().empty());
  Worker::stopAll();
  uv_run(host.get(), UV_RUN_DEFAULT);
}

TEST_CASE("errorHandler that throws itself: that exception stops all") {
  const Outcome outcome = runWith([](Worker& w, AsyncTcpConnection&) {
    w.onMessage = [](auto connection, auto) {
      connection->errorHandler = [](const std::exception&) { throw std::runtime_error("from the handler"); };
      throw std::runtime_error("first");
    };
  });
  CHECK(outcome.status == 250);
  CHECK(outcome.log.find("from the handler") != std::string::npos);
}

TEST_CASE("post: from another thread while the world starts and stops, again and again") {
  constexpr int kRounds = 40;
  HostLoop host;
  Worker worker("text://127.0.0.1:0");
  std::atomic<bool> isOver{false};
  std::atomic<long> accepted{0}, ran{0}, refused{0};
  std::array<std::thread, 2> posters;
  for (auto& poster : posters) {
    poster = std::thread([&] {
      while (!isOver) {
        if (Worker::post(host.get(), [&] { ++ran; })) {
          ++accepted;
        } else {
          ++refused;
          std::this_thread::yield();
        }
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    Worker::embed(host.get());
    const long seen = ran;
    CHECK(host.runUntil([&] { return ran > seen; }));
    Worker::stopAll();
    uv_run(host.get(), UV_RUN_DEFAULT);
    const long before = refused;
    while (refused == before) std::this_thread::yield();
  }
  isOver = true;
  for (auto& poster : posters) poster.join();
  CHECK(ran <= accepted);
  CHECK(ran >= kRounds);
  CHECK_FALSE(Worker::post(host.get(), [] {}));
}

TEST_CASE("post: what was accepted but never ran is destroyed with the world") {
  HostLoop host;
  Worker worker;
  Worker::embed(host.get());
  const auto captured = std::make_shared<int>(1);
  bool hasRun = false;
  CHECK(Worker::post(host.get(), [captured, &hasRun] { hasRun = true; }));
  CHECK(captured.use_count() == 2);
  Worker::stopAll();
  uv_run(host.get(), UV_RUN_DEFAULT);
  CHECK(captured.use_count() == 1);
  CHECK_FALSE(Worker::post(host.get(), [] {}));
  CHECK_FALSE(Worker::post(nullptr, [] {}));
}

TEST_CASE("threads: each with its own workers, connections and loop, all at once") {
  constexpr int kThreads = 4;
  std::array<int, kThreads> statuses{};
  std::array<int, kThreads> messages{};
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([number, &statuses, &messages] {
      int& got = messages[static_cast<std::size_t>(number)];
      Worker worker("text://127.0.0.1:0");
      worker.onMessage = [](auto connection, auto data) { connection->send(data); };
      worker.onWorkerStart = [&got](Worker* started) {
        auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*started, "text"));
        client->onConnect = [](auto connection) { connection->send("0"); };
        client->onMessage = [&got](auto connection, auto) {
          if (++got == 200) return Worker::stopAll();
          connection->send("again");
        };
        client->connect();
      };
      Worker::embed();
      CHECK(Worker::getAllWorkers().size() == 1);
      statuses[static_cast<std::size_t>(number)] = Worker::runLoop() + 1;
      CHECK(TcpConnection::connections.size() == 0);
    });
  }
  for (auto& thread : threads) thread.join();
  for (int number = 0; number < kThreads; ++number) {
    CHECK(statuses[static_cast<std::size_t>(number)] == 1);
    CHECK(messages[static_cast<std::size_t>(number)] == 200);
  }
  CHECK_FALSE(Worker::isRunning());
}

TEST_CASE("threads: one stops another's world with post") {
  std::atomic<uv_loop_t*> loop{nullptr};
  std::atomic<int> status{-1};
  std::thread thread([&] {
    Worker worker("text://127.0.0.1:0");
    Worker::embed();
    loop = Worker::globalEvent->uvLoop();
    status = Worker::runLoop();
  });
  while (loop == nullptr) std::this_thread::yield();
  CHECK(Worker::post(loop, [] { Worker::stopAll(7); }));
  thread.join();
  CHECK(status == 7);
  CHECK_FALSE(Worker::post(loop, [] {}));
}

TEST_CASE("runLoop: inside a callback is refused, and the loop goes on") {
  const Outcome outcome = runWith([](Worker&, AsyncTcpConnection& client) {
    client.onMessage = [](auto, auto) {
      CHECK_THROWS_WITH_AS(Worker::runLoop(), doctest::Contains("running already"), std::logic_error);
      Worker::stopAll();
    };
  });
  CHECK(outcome.status == 0);
}
