// A queue between those who have work to give and those who do it. Lines of JSON:
//
//     client   {"id": 7, "task": "primes", "below": 100}     any id, and what is to be done
//     worker   {"ready": true}                               once, then it is given tasks
//              {"result": ...} or {"error": "..."}           its task is done, or cannot be
//     queue    {"id": 7, "result": ...} or {"id": 7, "error": "..."}
//
// A task whose worker is lost goes to the next one. task_worker.cpp and task_client.cpp are
// the other two programs; start as many of either as you like, wherever you like.
//
//     [LISTEN=text://0.0.0.0:12345] ./task_queue start

#include <workerman/workerman.h>
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>

using nlohmann::json;
using Workerman::Worker;
using Workerman::Connection::TcpConnectionPtr;

class TaskQueue {
 public:
  void onMessage(const TcpConnectionPtr& connection, std::string_view line) {
    // Writing JSON takes stack for each level of it, so that there is a limit to the levels.
    const auto isFlat = [](int depth, auto&&...) { return depth < 64; };
    json message = json::parse(line, isFlat, false);
    if (!message.is_object()) message = json::object();
    if (message.contains("task")) {
      add({connection, std::move(message)});
    } else if (message.contains("ready")) {
      if (!isWorker(connection)) idle_.push_back(connection);
    } else if (running_.contains(connection->id)) {
      finish(connection, std::move(message));
    } else {
      connection->send(R"({"error":"neither a task nor the result of one"})");
    }
    handOut();
  }

  void onClose(const TcpConnectionPtr& connection) {
    std::erase(idle_, connection);
    std::erase_if(waiting_, [&](const Task& task) { return task.client == connection; });
    if (auto unfinished = running_.extract(connection->id)) {
      Task task = std::move(unfinished.mapped());
      // What has ended several workers may well be what ends them.
      if (++task.losses < kMostLosses) {
        waiting_.push_front(std::move(task));
      } else {
        answer(task, {{"error", "its workers were lost"}});
      }
    }
    handOut();
  }

 private:
  struct Task {
    TcpConnectionPtr client;
    json message;
    int losses = 0;
  };
  static constexpr std::size_t kMostWaiting = 10000;
  static constexpr int kMostLosses = 3;

  bool isWorker(const TcpConnectionPtr& connection) const {
    return running_.contains(connection->id) ||
           std::find(idle_.begin(), idle_.end(), connection) != idle_.end();
  }

  void add(Task task) {
    if (waiting_.size() >= kMostWaiting) return answer(task, {{"error", "the queue is full"}});
    waiting_.push_back(std::move(task));
  }

  // Gives each worker that has nothing to do the task that has waited longest.
  void handOut() {
    while (!waiting_.empty() && !idle_.empty()) {
      const TcpConnectionPtr worker = idle_.front();
      idle_.pop_front();
      const std::string task = waiting_.front().message.dump();
      running_[worker->id] = std::move(waiting_.front());
      waiting_.pop_front();
      worker->send(task);
    }
  }

  void finish(const TcpConnectionPtr& worker, json result) {
    const auto done = running_.extract(worker->id);
    idle_.push_back(worker);
    answer(done.mapped(), std::move(result));
  }

  static void answer(const Task& task, json message) {
    if (task.message.contains("id")) message["id"] = task.message["id"];
    task.client->send(message.dump());
  }

  std::deque<Task> waiting_;
  std::deque<TcpConnectionPtr> idle_;
  std::map<std::int64_t, Task> running_;  // by the id of the worker's connection
};

int main() {
  const char* listen = std::getenv("LISTEN");
  Worker worker(listen ? listen : "text://0.0.0.0:12345");
  TaskQueue queue;
  worker.onWorkerStart = [](Worker* self) { std::cout << "queue on port " << self->getListenPort() << "\n"; };
  worker.onMessage = [&queue](auto connection, auto line) { queue.onMessage(connection, line); };
  worker.onClose = [&queue](auto connection) { queue.onClose(connection); };
  Worker::runAll();
}
