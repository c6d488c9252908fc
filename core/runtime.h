#pragma once

/// One thread's world: its loop, its workers and where in life they are
/// (internal). A process that runs workers, an embedding host and, later, each
/// forked worker use the same steps.

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "event_loop.h"
#include "fwd.h"
#include "listener.h"
#include "loop_timer.h"
#include "memory_return.h"

namespace Workerman::detail {

class Runtime {
 public:
  enum class Phase { Idle, Running, Stopping };
  enum class Manner {
    Ordinary,
    Finishing,  ///< what is accepted may finish by itself, within stopTimeout
    Graceful,   ///< the same within gracefulStopTimeout
  };

  static Runtime& ofThisThread();

  /// runAll() has been called: workers end with the process, in whichever it is.
  static inline bool runsProgram = false;

  const std::vector<Worker*>& workers() const noexcept { return workers_; }
  void add(Worker& worker);
  void remove(Worker& worker) noexcept;
  /// Forgets all others: they belong to other processes.
  void keepOnly(Worker& worker);

  Phase phase() const noexcept { return phase_; }
  bool isStopping() const noexcept { return phase_ == Phase::Stopping; }
  bool isStoppingGracefully() const noexcept { return isStopping() && manner_ == Manner::Graceful; }
  int exitCode() const noexcept { return exitCode_; }
  EventLoop* loop() const noexcept { return loop_.get(); }

  /// Makes the loop (on `host` unless null), lets `prepare` have it, and starts
  /// every worker: all sockets first, then the callbacks.
  /// @throws std::logic_error when this thread's workers run already; what a
  /// worker's listening threw, after everything is stopped again.
  void start(uv_loop_t* host, const std::function<void(EventLoop&)>& prepare = nullptr);

  /// Runs a loop of our own until all is stopped; gives the status.
  /// @throws std::logic_error for a host's loop, without one, and inside a callback.
  int run();

  /// Stops everything of this thread: workers, then connections, within
  /// Worker::stopTimeout. Called again, it closes at once what is left. One that
  /// lets connections finish first becomes an ordinary stop when it is called
  /// again, when its time is over, or when all that was accepted is gone: what
  /// the workers have opened themselves is needed until then.
  void stop(int code, std::string_view log, Manner manner = Manner::Ordinary);

  /// How the stop under way ends connections.
  Closing howToClose() const noexcept;
  /// How long they may take to finish, in seconds.
  double timeToFinish() const noexcept;

  /// A connection is gone for good.
  void connectionEnded();

  /// Called before a loop closes, with which its signals lose their handlers.
  void beforeClosing(void (*hook)() noexcept) noexcept { beforeClosing_ = hook; }

 private:
  Runtime() = default;
  void openLoop(uv_loop_t* host);
  void startWorkers();
  template <class Fn>
  void forEachWorker(const std::vector<Worker*>& workers, Fn&& fn);
  void stopAgain(int code, Manner manner);
  void startDeadline();
  void onDeadline();
  void closeUnfinished();
  std::size_t accepted() const noexcept;
  void finishIfDone();
  void finishNow();
  void finish() noexcept;

  std::vector<Worker*> workers_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LoopTimer> deadline_;
  MemoryReturn memory_;
  Phase phase_ = Phase::Idle;
  Manner manner_ = Manner::Ordinary;
  int exitCode_ = 0;
  bool finishes_ = false;
  void (*beforeClosing_)() noexcept = nullptr;
  bool isStoppingWorkers_ = false;
};

}  // namespace Workerman::detail
