#include "runtime.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "exceptions.h"
#include "listener.h"
#include "log.h"
#include "post_queue.h"
#include "timer.h"
#include "worker.h"

namespace Workerman::detail {

Runtime& Runtime::ofThisThread() {
  // Kept at the thread's end while a Worker is left that will still ask for it.
  static constinit thread_local Runtime* runtime = nullptr;
  static thread_local struct Release {
    ~Release() {
      if (runtime != nullptr && runtime->phase_ == Phase::Idle && runtime->workers_.empty()) {
        delete std::exchange(runtime, nullptr);
      }
    }
  } release;
  if (runtime == nullptr) {
    static_cast<void>(&release);
    runtime = new Runtime;
  }
  return *runtime;
}

void Runtime::add(Worker& worker) {
  workers_.push_back(&worker);
  timersAllowedBeforeLoop = static_cast<int>(workers_.size());
}

void Runtime::remove(Worker& worker) noexcept {
  std::erase(workers_, &worker);
  timersAllowedBeforeLoop = static_cast<int>(workers_.size());
}

void Runtime::start(uv_loop_t* host) {
  if (phase_ != Phase::Idle) {
    throw std::logic_error("the workers of this thread run already; stopAll() ends them");
  }
  loop_ = host != nullptr ? std::make_unique<EventLoop>(host) : std::make_unique<EventLoop>();
  phase_ = Phase::Running;
  exitCode_ = 0;
  finishes_ = false;
  Worker::globalEvent = loop_.get();
  loop_->setErrorHandler([](const std::exception& e) { Worker::stopAll(250, describe(e)); });
  PostQueue::open(*loop_);
  attachConnections(*loop_);
  Timer::init(loop_.get());
  try {
    const DispatchScope scope(*loop_);
    // A copy: onWorkerStart may make more, which listen() starts.
    for (Worker* const worker : std::vector(workers_)) {
      if (phase_ == Phase::Running) worker->start();
    }
  } catch (...) {
    stop(0, {});
    closeConnections(nullptr, true);
    finish();
    throw;
  }
}

int Runtime::run() {
  if (!loop_ || !loop_->ownsLoop()) {
    throw std::logic_error(loop_ ? "runLoop(): the host runs its loop itself"
                                 : "runLoop(): call Worker::embed() first");
  }
  while (phase_ != Phase::Idle && !finishes_) loop_->run();
  finish();
  return exitCode_;
}

void Runtime::stop(int code, std::string_view log) {
  if (phase_ == Phase::Idle) {
    if (code != 0 && !log.empty()) detail::log(log);
    return;
  }
  if (phase_ == Phase::Stopping) {
    if (code != 0) {
      if (!log.empty()) detail::log(log);
      exitCode_ = code;
    } else {
      closeConnections(nullptr, true);
    }
    return;
  }
  phase_ = Phase::Stopping;
  exitCode_ = code;
  if (code != 0 && !log.empty()) detail::log(log);
  deadline_ = std::make_unique<LoopTimer>(*loop_);
  const auto onDeadline = [](void* self) noexcept {
    auto& runtime = *static_cast<Runtime*>(self);
    const DispatchScope scope(*runtime.loop_);
    closeConnections(nullptr, true);
    runtime.finishNow();
  };
  deadline_->start(Worker::stopTimeout, onDeadline, this);
  const std::vector<Worker*> all(workers_.rbegin(), workers_.rend());
  for (Worker* const worker : all) {
    if (std::find(workers_.begin(), workers_.end(), worker) != workers_.end()) worker->stop(false);
  }
  closeConnections(nullptr, false);
  finishIfDone();
}

void Runtime::connectionEnded() {
  if (phase_ == Phase::Stopping) finishIfDone();
}

void Runtime::finishIfDone() {
  if (heldConnections() == 0) finishNow();
}

void Runtime::finishNow() {
  if (finishes_) return;
  finishes_ = true;
  deadline_.reset();
  // In a moment, when no callback of ours is on the stack any more.
  if (loop_->ownsLoop()) {
    loop_->stop();
  } else {
    loop_->defer([this] { finish(); });
  }
}

void Runtime::finish() noexcept {
  if (phase_ == Phase::Idle) return;
  deadline_.reset();
  Timer::init(nullptr);
  PostQueue::close(*loop_);
  Worker::globalEvent = nullptr;
  phase_ = Phase::Idle;
  for (Worker* const worker : workers_) worker->stopping = false;
  EventLoop::dispose(std::move(loop_));
}

}  // namespace Workerman::detail
