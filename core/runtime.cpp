#include "runtime.h"

#include <unistd.h>

#include <algorithm>
#include <sstream>
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

void Runtime::keepOnly(Worker& worker) {
  workers_ = {&worker};
  timersAllowedBeforeLoop = 1;
}

void Runtime::start(uv_loop_t* host, const std::function<void(EventLoop&)>& prepare) {
  // Stopped, with nothing left to wait for: only the last step is missing.
  if (phase_ == Phase::Stopping && finishes_ && !loop_->isDispatching()) finish();
  if (phase_ != Phase::Idle) {
    throw std::logic_error(
        phase_ == Phase::Running
            ? "the workers of this thread run already; stopAll() ends them"
            : "the workers of this thread are still stopping: run the loop until they have");
  }
  openLoop(host);
  try {
    if (prepare) prepare(*loop_);
    startWorkers();
  } catch (...) {
    stop(0, {});
    closeConnections(nullptr, Closing::AtOnce);
    finish();
    throw;
  }
}

void Runtime::openLoop(uv_loop_t* host) {
  auto loop = host != nullptr ? std::make_unique<EventLoop>(host) : std::make_unique<EventLoop>();
  PostQueue::open(*loop);
  loop_ = std::move(loop);
  phase_ = Phase::Running;
  manner_ = Manner::Ordinary;
  exitCode_ = 0;
  finishes_ = isStoppingWorkers_ = false;
  Worker::globalEvent = loop_.get();
  loop_->setErrorHandler([](const std::exception& e) { Worker::stopAll(250, describe(e)); });
  attachConnections(*loop_);
  Timer::init(loop_.get());
}

/// For each of `workers`, which is a copy, that no callback has destroyed meanwhile.
template <class Fn>
void Runtime::forEachWorker(const std::vector<Worker*>& workers, Fn&& fn) {
  for (Worker* const worker : workers) {
    if (std::find(workers_.begin(), workers_.end(), worker) != workers_.end()) fn(*worker);
  }
}

void Runtime::startWorkers() {
  const DispatchScope scope(*loop_);
  // Those that onWorkerStart makes are started by their listen().
  const std::vector<Worker*> all = workers_;
  for (Worker* const worker : all) worker->openSocket();
  forEachWorker(all, [this](Worker& worker) {
    if (phase_ == Phase::Running) worker.start();
  });
}

int Runtime::run() {
  if (!loop_ || !loop_->ownsLoop()) {
    throw std::logic_error(loop_ ? "runLoop(): the host runs its loop itself"
                                 : "runLoop(): call Worker::embed() first");
  }
  if (loop_->isDispatching()) throw std::logic_error("runLoop(): the loop is running already");
  while (phase_ != Phase::Idle && !finishes_) loop_->run();
  finish();
  return exitCode_;
}

void Runtime::stop(int code, std::string_view log, Manner manner) {
  if (code != 0 && !log.empty()) detail::log(log);
  if (phase_ == Phase::Idle) return;
  if (phase_ == Phase::Stopping) return stopAgain(code, manner);
  const DispatchScope dispatching(*loop_);
  phase_ = Phase::Stopping;
  manner_ = manner;
  exitCode_ = code;
  startDeadline();
  isStoppingWorkers_ = true;
  forEachWorker({workers_.rbegin(), workers_.rend()}, [](Worker& worker) { worker.stop(false); });
  isStoppingWorkers_ = false;
  if (manner_ == Manner::Ordinary) closeConnections(nullptr, Closing::AfterSending);
  finishIfDone();
}

void Runtime::stopAgain(int code, Manner manner) {
  if (code != 0) exitCode_ = code;
  const DispatchScope dispatching(*loop_);
  if (manner != Manner::Ordinary) {
    // Only for longer than now.
    if (manner != Manner::Graceful || manner_ != Manner::Finishing) return;
    manner_ = manner;
    startDeadline();
  } else if (std::exchange(manner_, Manner::Ordinary) != Manner::Ordinary) {
    startDeadline();
    closeConnections(nullptr, Closing::AfterSending);
  } else if (code == 0) {
    closeConnections(nullptr, Closing::AtOnce);
  }
}

Closing Runtime::howToClose() const noexcept {
  return isStopping() && manner_ != Manner::Ordinary ? Closing::WhenFinished : Closing::AfterSending;
}

double Runtime::timeToFinish() const noexcept {
  return manner_ == Manner::Graceful ? Worker::gracefulStopTimeout : Worker::stopTimeout;
}

void Runtime::startDeadline() {
  if (!deadline_) deadline_ = std::make_unique<LoopTimer>(*loop_);
  deadline_->start(
      timeToFinish(), [](void* self) noexcept { static_cast<Runtime*>(self)->onDeadline(); }, this);
}

void Runtime::onDeadline() {
  if (manner_ != Manner::Ordinary) return closeUnfinished();
  closeConnections(nullptr, Closing::AtOnce);
  finishNow();
}

/// What has had its time is stopped in the ordinary way.
void Runtime::closeUnfinished() {
  std::ostringstream why;
  why << " within " << timeToFinish() << " seconds ("
      << (manner_ == Manner::Graceful ? "gracefulStopTimeout" : "stopTimeout") << ")";
  std::ostringstream who;
  if (!workers_.empty()) who << "worker[" << workers_.front()->name << ":" << ::getpid() << "]";
  manner_ = Manner::Ordinary;
  startDeadline();
  const std::size_t cut = closeConnections(nullptr, Closing::AfterSending);
  if (cut == 0) return;
  log(who.str() + " closes " + std::to_string(cut) +
      (cut == 1 ? " connection that has" : " connections that have") + " not finished" + why.str());
}

std::size_t Runtime::accepted() const noexcept {
  std::size_t all = 0;
  for (const Worker* const worker : workers_) all += worker->connectionCount();
  return all;
}

void Runtime::connectionEnded() {
  if (phase_ == Phase::Running) memory_.connectionEnded(*loop_, heldConnections());
  if (phase_ == Phase::Stopping) finishIfDone();
}

void Runtime::finishIfDone() {
  if (isStoppingWorkers_) return;
  if (manner_ != Manner::Ordinary && accepted() == 0) stopAgain(0, Manner::Ordinary);
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
  memory_.close();
  Timer::init(nullptr);
  PostQueue::close(*loop_);
  Worker::globalEvent = nullptr;
  phase_ = Phase::Idle;
  for (Worker* const worker : workers_) worker->stopping = false;
  if (beforeClosing_ != nullptr) beforeClosing_();
  EventLoop::dispose(std::move(loop_));
}

}  // namespace Workerman::detail
