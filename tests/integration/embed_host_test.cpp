// Workers inside a program that has a life of its own: a libuv loop with its own handles, signal handlers,
// threads.

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/host_loop.h"
#include "support/loop_fixture.h"
#include "support/temporary_folder.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::HostLoop;
namespace fs = std::filesystem;

namespace {

/// What belongs to the process, as text that a failed check can print.
struct ProcessState {
  std::string arguments, title, folder, files, actions, blocked;
  mode_t mask;
  std::size_t threads, descriptors;

  static ProcessState now() {
    ProcessState state;
    state.arguments = contents("/proc/self/cmdline");
    state.title = contents("/proc/self/comm");
    state.folder = fs::current_path();
    std::set<std::string> names;
    const fs::path program = fs::read_symlink("/proc/self/exe");
    for (const auto& folder : {fs::current_path(), program.parent_path()}) {
      for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename();
        if (name.starts_with("workerman.") || folder == fs::current_path()) names.insert(name);
      }
    }
    for (const auto& name : names) state.files += name + "\n";
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction action {};
      if (::sigaction(signal, nullptr, &action) != 0) continue;
      state.actions += std::to_string(reinterpret_cast<std::uintptr_t>(action.sa_handler)) + "/" +
                       std::to_string(action.sa_flags) + " ";
      if (sigismember(&blocked, signal) == 1) state.blocked += std::to_string(signal) + " ";
    }
    state.mask = ::umask(0);
    ::umask(state.mask);
    state.threads = entries("/proc/self/task");
    state.descriptors = entries("/proc/self/fd");
    return state;
  }
  void checkSame(const ProcessState& other) const {
    CHECK(arguments == other.arguments);
    CHECK(title == other.title);
    CHECK(folder == other.folder);
    CHECK(files == other.files);
    CHECK(actions == other.actions);
    CHECK(blocked == other.blocked);
    CHECK(mask == other.mask);
    CHECK(threads == other.threads);
    CHECK(descriptors == other.descriptors);
  }

 private:
  static std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::size_t entries(const std::string& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
};

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE, SIGCHLD};
std::array<std::atomic<int>, NSIG> caught{};

/// The host's handlers, while it lives.
class OwnHandlers {
 public:
  OwnHandlers() {
    struct sigaction mine {};
    mine.sa_handler = [](int signal) { ++caught[static_cast<std::size_t>(signal)]; };
    mine.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &mine, &before_[i]);
  }
  OwnHandlers(const OwnHandlers&) = delete;
  OwnHandlers& operator=(const OwnHandlers&) = delete;
  ~OwnHandlers() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }

 private:
  std::array<struct sigaction, kSignals.size()> before_{};
};

/// The host's own handles, and a thread that wakes one of them up.
class OwnHandles {
 public:
  explicit OwnHandles(uv_loop_t* loop) {
    uv_timer_init(loop, &timer_);
    uv_async_init(loop, &async_, [](uv_async_t* each) { ++static_cast<OwnHandles*>(each->data)->woken; });
    uv_signal_init(loop, &signal_);
    timer_.data = async_.data = signal_.data = this;
    uv_timer_start(
        &timer_, [](uv_timer_t* each) { ++static_cast<OwnHandles*>(each->data)->ticks; }, 0, 1);
    uv_signal_start(
        &signal_, [](uv_signal_t* each, int) { ++static_cast<OwnHandles*>(each->data)->signals; }, SIGUSR2);
    thread_ = std::thread([this] {
      while (!isOver_) {
        uv_async_send(&async_);
        std::this_thread::yield();
      }
    });
  }
  OwnHandles(const OwnHandles&) = delete;
  OwnHandles& operator=(const OwnHandles&) = delete;
  ~OwnHandles() {
    isOver_ = true;
    thread_.join();
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&async_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&signal_), nullptr);
    // Nothing else is left, so this returns by itself.
    CHECK(uv_run(timer_.loop, UV_RUN_DEFAULT) == 0);
  }

  int ticks = 0, woken = 0, signals = 0;

 private:
  uv_timer_t timer_{};
  uv_async_t async_{};
  uv_signal_t signal_{};
  std::atomic<bool> isOver_{false};
  std::thread thread_;
};

/// A worker that echoes and a client that has `wanted` messages echoed, one after the other.
class Exchange {
 public:
  explicit Exchange(int wanted, const std::string& scheme = "websocket")
      : worker(scheme + "://127.0.0.1:0"), scheme_(scheme), wanted_(wanted) {
    worker.onMessage = [](auto connection, auto data) { connection->send(data); };
  }
  /// After embed().
  void begin() {
    answers = 0;
    const std::string address = testing::addressOf(worker, scheme_ == "websocket" ? "ws" : scheme_);
    client_ = std::make_shared<AsyncTcpConnection>(address);
    client_->send("0");
    client_->onMessage = [this](auto connection, std::string data) {
      isRight = isRight && data == std::to_string(answers);
      if (++answers < wanted_) connection->send(std::to_string(answers));
    };
    client_->connect();
  }
  bool isDone() const { return answers >= wanted_; }

  Worker worker;
  int answers = 0;
  bool isRight = true;

 private:
  std::string scheme_;
  int wanted_;
  AsyncTcpConnectionPtr client_;
};

/// Lets several threads go on together.
class Barrier {
 public:
  explicit Barrier(int count) : left_(count) {}
  void wait() {
    std::unique_lock lock(mutex_);
    if (--left_ == 0) return changed_.notify_all();
    changed_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_;
};

}  // namespace

TEST_CASE(
    "embed: a host with handles, signal handlers and threads of its own keeps all of them, again and again") {
  const testing::TemporaryFolder folder;
  const fs::path home = fs::current_path();
  fs::current_path(folder.path);
  {
    const OwnHandlers handlers;
    HostLoop host;
    OwnHandles handles(host.get());
    Exchange exchange(100);
    const ProcessState before = ProcessState::now();
    for (int round = 0; round < 3; ++round) {
      CAPTURE(round);
      Worker::embed(host.get());
      exchange.begin();
      CHECK(host.runUntil([&] { return exchange.isDone(); }));
      CHECK(exchange.isRight);
      // Signals are the host's, and none of them is ours to stop with.
      for (const int signal : kSignals) {
        const int seen = caught[static_cast<std::size_t>(signal)];
        ::raise(signal);
        CHECK(host.runUntil([&] { return caught[static_cast<std::size_t>(signal)] == seen + 1; }));
      }
      const int signals = handles.signals, ticks = handles.ticks, woken = handles.woken;
      ::raise(SIGUSR2);
      CHECK(host.runUntil(
          [&] { return handles.signals > signals && handles.ticks > ticks && handles.woken > woken; }));
      CHECK(Worker::isRunning());
      CHECK(ProcessState::now().actions == before.actions);
      Worker::stopAll();
      CHECK(host.runUntil([] { return !Worker::isRunning(); }));
      const int later = handles.ticks;
      CHECK(host.runUntil([&] { return handles.ticks > later + 2; }));
      ProcessState::now().checkSame(before);
    }
  }
  fs::current_path(home);
}

TEST_CASE(
    "embed: in several threads at once, each is a world of its own; one that ends leaves the others alone") {
  constexpr int kThreads = 4;
  const ProcessState before = ProcessState::now();
  struct Outcome {
    int answers = 0, afterFirst = 0;
    std::size_t workers = 0, connections = 0;
    bool isClean = false, isRight = false;
  };
  std::array<Outcome, kThreads> outcomes;
  Barrier talked(kThreads), firstIsOver(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i, &outcome = outcomes[static_cast<std::size_t>(i)]] {
      HostLoop host;
      {
        Exchange exchange(50, i % 2 == 0 ? "websocket" : "text");
        Worker::embed(host.get());
        exchange.begin();
        host.runUntil([&] { return exchange.isDone(); });
        outcome.answers = exchange.answers;
        outcome.workers = Worker::getAllWorkers().size();
        outcome.connections = TcpConnection::connections.size();
        talked.wait();
        if (i == 0) {
          Worker::stopAll();
          host.runUntil([] { return !Worker::isRunning(); });
        }
        firstIsOver.wait();
        if (i != 0) {
          exchange.begin();
          host.runUntil([&] { return exchange.isDone(); });
          Worker::stopAll();
          host.runUntil([] { return !Worker::isRunning(); });
        }
        outcome.afterFirst = exchange.answers;
        outcome.isRight = exchange.isRight;
      }
      outcome.isClean = uv_run(host.get(), UV_RUN_NOWAIT) == 0 && Worker::getAllWorkers().empty();
    });
  }
  for (auto& thread : threads) thread.join();
  for (const Outcome& outcome : outcomes) {
    CHECK(outcome.answers == 50);
    CHECK(outcome.afterFirst == 50);
    CHECK(outcome.workers == 1);
    CHECK(outcome.connections == 2);
    CHECK(outcome.isRight);
    CHECK(outcome.isClean);
  }
  ProcessState::now().checkSame(before);
}

TEST_CASE(
    "runLoop and post: threads with loops of their own are told from outside, and leave nothing behind") {
  constexpr int kThreads = 3;
  const ProcessState before = ProcessState::now();
  std::array<std::atomic<uv_loop_t*>, kThreads> loops{};
  std::array<int, kThreads> status{}, posted{};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, at = static_cast<std::size_t>(i)] {
      Worker worker("text://127.0.0.1:0");
      worker.onWorkerStart = [&] { loops[at] = Worker::globalEvent->uvLoop(); };
      Worker::embed();
      status[at] = Worker::runLoop();
    });
  }
  for (auto& loop : loops) {
    while (loop.load() == nullptr) std::this_thread::yield();
  }
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < kThreads; ++i) Worker::post(loops[i].load(), [&posted, i] { ++posted[i]; });
  }
  for (std::size_t i = 0; i < kThreads; ++i) {
    CHECK(Worker::post(loops[i].load(), [i] { Worker::stopAll(static_cast<int>(i) + 1, "as asked"); }));
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < kThreads; ++i) {
    CHECK(status[i] == static_cast<int>(i) + 1);
    CHECK(posted[i] == 100);
    CHECK_FALSE(Worker::post(loops[i].load(), [] {}));
  }
  ProcessState::now().checkSame(before);
}
