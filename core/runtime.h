#pragma once

/// One thread's world: its loop, its workers and where in life they are
/// (internal). A process that runs workers, an embedding host and, later, each
/// forked worker use the same steps.

#include <memory>
#include <string_view>
#include <vector>

#include "event_loop.h"
#include "fwd.h"
#include "loop_timer.h"

namespace Workerman::detail {

class Runtime {
 public:
  enum class Phase { Idle, Running, Stopping };

  static Runtime& ofThisThread();

  const std::vector<Worker*>& workers() const noexcept { return workers_; }
  void add(Worker& worker);
  void remove(Worker& worker) noexcept;

  Phase phase() const noexcept { return phase_; }
  bool isStopping() const noexcept { return phase_ == Phase::Stopping; }
  int exitCode() const noexcept { return exitCode_; }
  EventLoop* loop() const noexcept { return loop_.get(); }

  /// Makes the loop (on `host` unless null) and starts every worker.
  /// @throws std::logic_error when this thread's workers run already; what a
  /// worker's listening threw, after everything is stopped again.
  void start(uv_loop_t* host);

  /// Runs a loop of our own until all is stopped; gives the status.
  int run();

  /// Stops everything of this thread: workers, then connections, within
  /// Worker::stopTimeout. Called again, it closes at once what is left.
  void stop(int code, std::string_view log);

  /// A connection is gone for good.
  void connectionEnded();

 private:
  Runtime() = default;
  void finishIfDone();
  void finishNow();
  void finish() noexcept;

  std::vector<Worker*> workers_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LoopTimer> deadline_;
  Phase phase_ = Phase::Idle;
  int exitCode_ = 0;
  bool finishes_ = false;
};

}  // namespace Workerman::detail
