// Does the tasks of task_queue.cpp, one at a time. Such work blocks this program, and only
// this one: that is what the queue is for.
//
//     [QUEUE=text://127.0.0.1:12345] ./task_worker start

#include <workerman/workerman.h>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

using nlohmann::json;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

long primesBelow(std::size_t limit) {
  std::vector<bool> isPrime(limit, true);
  for (std::size_t i = 2; i * i < limit; ++i) {
    if (!isPrime[i]) continue;
    for (std::size_t multiple = i * i; multiple < limit; multiple += i) isPrime[multiple] = false;
  }
  return limit <= 2 ? 0 : std::count(isPrime.begin() + 2, isPrime.end(), true);
}

json perform(const json& task) {
  const bool isKnown = task.is_object() && task.value("task", json()) == "primes";
  if (!isKnown) return {{"error", "I know no such task"}};
  const json below = task.value("below", json());
  if (!below.is_number_unsigned() || below > 100'000'000) return {{"error", "below which number?"}};
  return {{"result", primesBelow(below.get<std::size_t>())}};
}

int main() {
  Worker worker;
  worker.onWorkerStart = [] {
    const char* queue = std::getenv("QUEUE");
    auto connection = std::make_shared<AsyncTcpConnection>(queue ? queue : "text://127.0.0.1:12345");
    connection->onConnect = [](auto con) {
      std::cout << "ready\n";
      con->send(R"({"ready":true})");
    };
    connection->onMessage = [](auto con, auto line) {
      std::cout << "task " << line << "\n";
      con->send(perform(json::parse(line, nullptr, false)).dump());
    };
    connection->onError = [](auto con, int code, auto why) { std::cout << "error: " << why << "\n"; };
    connection->onClose = [](auto con) { con->reConnect(1); };
    connection->connect();
  };
  Worker::runAll();
}
