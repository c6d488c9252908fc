// Gives task_queue.cpp five tasks at once, prints each result when it comes, ends.
//
//     [QUEUE=text://127.0.0.1:12345] ./task_client

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>

using nlohmann::json;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

int main() {
  Worker worker;
  worker.onWorkerStart = [] {
    const char* queue = std::getenv("QUEUE");
    auto connection = std::make_shared<AsyncTcpConnection>(queue ? queue : "text://127.0.0.1:12345");
    connection->onConnect = [](auto con) {
      for (int limit = 10; limit <= 100'000; limit *= 10) {
        con->send(json{{"id", limit}, {"task", "primes"}, {"below", limit}}.dump());
      }
    };
    connection->onMessage = [left = 5](auto con, auto line) mutable {
      json answer = json::parse(line);
      std::cout << "primes below " << answer["id"] << ": " << answer.value("result", answer) << "\n";
      if (--left == 0) con->close();
    };
    connection->onError = [](auto con, int code, auto why) { Worker::stopAll(1, why); };
    connection->onClose = [] { Worker::stopAll(); };
    connection->connect();
  };
  Worker::embed();
  return Worker::runLoop();
}
