// Counts what other programs report, for as long as anybody wants to know. Lines of text; the
// counters are for programs, and as many processes as you like share that work:
//
//     hits 3          adds 3 to "hits": "ok", or "error" and why
//
// The keeper is for people, one process that has the sums, and saves them:
//
//     get hits        its sum
//     list            all of them, "hits=3 errors=1"
//
//     [LISTEN=text://0.0.0.0:5680] [KEEPER=text://127.0.0.1:5681] [PROCESSES=2] [FILE=counters.txt]
//     [RUN_AS=user] ./counters start | start -d | status | connections | reload [-g] | stop
//     echo 'hits 3' | nc -q 1 127.0.0.1 5680; echo list | nc -q 1 127.0.0.1 5681
//
// A reload loses nothing: each counter passes on what it has before it goes, and the keeper
// stays. A stop of everything may lose the last second. counters.service is for systemd.

#include <workerman/workerman.h>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

using Workerman::Timer;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;

std::string setting(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

using Sums = std::map<std::string, std::int64_t, std::less<>>;

// Adds what "NAME NUMBER" says.
bool add(Sums& sums, std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos) return false;
  std::int64_t number = 0;
  const char* const end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, number);
  if (error != std::errc() || stop != end) return false;
  sums[std::string(line.substr(0, space))] += number;
  return true;
}

// In each of the processes that count.
class Counter {
 public:
  void start(const std::string& keeper) {
    keeper_ = std::make_shared<AsyncTcpConnection>(keeper);
    keeper_->onClose = [](auto connection) { connection->reConnect(1); };
    keeper_->connect();
    Timer::add(1, [this] { report(); });
  }
  std::string count(std::string_view line) {
    return add(sums_, line) ? "ok" : "error: a line is a name and a number, as in \"hits 3\"";
  }
  // What the keeper cannot be told now waits for the next time.
  void report() {
    std::erase_if(sums_, [this](const auto& sum) {
      return keeper_->send("add " + sum.first + " " + std::to_string(sum.second)) != false;
    });
  }

 private:
  Sums sums_;
  AsyncTcpConnectionPtr keeper_;
};

// In the process that has the sums.
class Keeper {
 public:
  explicit Keeper(std::string file) : file_(std::move(file)) {}
  void load() {
    std::ifstream file(file_);
    for (std::string line; std::getline(file, line);) add(sums_, line);
  }
  void save() const {
    std::ofstream file(file_ + ".new");
    for (const auto& [name, sum] : sums_) file << name << " " << sum << "\n";
    file.close();
    if (!file || std::rename((file_ + ".new").c_str(), file_.c_str()) != 0) {
      Worker::log("counters: cannot write " + file_);
    }
  }
  std::string answer(std::string_view line) {
    if (line.starts_with("add ")) return add(sums_, line.substr(4)) ? "ok" : "error";
    if (line.starts_with("get ")) {
      const auto found = sums_.find(line.substr(4));
      return found != sums_.end() ? std::to_string(found->second) : "0";
    }
    if (line != "list") return "error: say \"get NAME\" or \"list\"";
    std::string all;
    for (const auto& [name, sum] : sums_) {
      all += (all.empty() ? "" : " ") + name + "=" + std::to_string(sum);
    }
    return all;
  }

 private:
  std::string file_;
  Sums sums_;
};

// The master's files go where systemd says, else beside the program.
void placeFiles() {
  if (const char* run = std::getenv("RUNTIME_DIRECTORY")) {
    Worker::pidFile = std::string(run) + "/counters.pid";
    Worker::statusFile = std::string(run) + "/counters.status";
  }
  if (const char* logs = std::getenv("LOGS_DIRECTORY")) {
    Worker::logFile = std::string(logs) + "/counters.log";
    Worker::stdoutFile = std::string(logs) + "/counters.out";
  }
}

int main() {
  placeFiles();
  const std::string keeperAddress = setting("KEEPER", "text://127.0.0.1:5681");

  // First, so that it listens when the counters connect.
  Keeper keeper(setting("FILE", setting("STATE_DIRECTORY", ".") + "/counters.txt"));
  Worker keeping(keeperAddress);
  keeping.name = "keeper";
  keeping.user = setting("RUN_AS", "");
  keeping.reloadable = false;
  keeping.onWorkerStart = [&keeper](Worker* self) {
    keeper.load();
    Timer::add(10, [&keeper] { keeper.save(); });
    std::cout << "keeper on port " << self->getListenPort() << "\n";
  };
  keeping.onWorkerReload = [&keeper] { keeper.save(); };
  keeping.onWorkerStop = [&keeper] { keeper.save(); };
  keeping.onMessage = [&keeper](auto connection, auto line) { connection->send(keeper.answer(line)); };

  Counter counter;
  Worker counting(setting("LISTEN", "text://0.0.0.0:5680"));
  counting.name = "counters";
  counting.user = setting("RUN_AS", "");
  counting.count = std::atoi(setting("PROCESSES", "2").c_str());
  counting.onWorkerStart = [&](Worker* self) {
    counter.start(keeperAddress);
    std::cout << "counters on port " << self->getListenPort() << "\n";
  };
  counting.onWorkerStop = [&counter] { counter.report(); };
  counting.onMessage = [&](auto connection, auto line) {
    connection->send(counter.count(line));
    // No timer is sure to come any more.
    if (counting.stopping) counter.report();
  };

  Worker::onMasterReload = [] { Worker::log("counters: the keeper stays, the others are replaced"); };
  Worker::onWorkerExit = [](Worker* worker, int status, int pid) {
    if (status == 0) return;
    Worker::log("counters: process " + std::to_string(pid) + " of " + worker->name +
                " has failed: what it had not passed on is lost");
  };
  Worker::runAll();
}
