#include "event_loop.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "exceptions.h"
#include "fd_watch.h"
#include "poller.h"
#include "post_queue.h"
#include "signal_watch.h"
#include "timer_queue.h"
#include "uv_handle.h"

namespace Workerman {

struct EventLoop::Impl {
  explicit Impl(EventLoop& owner) : loop(owner), timers(owner), fds(owner), signals(owner) {
    static_cast<void>(idle.open(owner, [&](uv_idle_t* handle) { return uv_idle_init(owner.loop_, handle); }));
    idle.get()->data = this;
  }

  static void onIdle(uv_idle_t* handle) noexcept {
    auto& self = *static_cast<Impl*>(handle->data);
    detail::DispatchScope scope(self.loop);
    self.runDeferred();
    self.timers.tick();
    if (self.idle && self.deferred.empty() && !self.timers.wantsTick()) {
      uv_idle_stop(self.idle.get());
    }
  }

  /// Those deferred meanwhile wait for the next iteration.
  void runDeferred() noexcept {
    std::vector<detail::Thunk> batch = std::move(deferred);
    deferred.clear();
    for (std::size_t i = 0; i < batch.size() && !loop.closed_; ++i) {
      const detail::Thunk thunk = std::move(batch[i]);
      loop.guarded([&] { thunk(); });
    }
    batch.clear();
    if (deferred.empty()) {
      deferred.swap(batch);  // Keeps the room.
    }
  }

  EventLoop& loop;
  detail::UvHandle<uv_idle_t> idle;
  detail::TimerQueue timers;
  detail::FdWatches fds;
  detail::SignalWatches signals;
  detail::Poller* poller = nullptr;
  std::vector<detail::Thunk> deferred;
  detail::ErrorHandler errorHandler;
};

namespace {

uv_loop_t* makeLoop() {
  auto loop = std::make_unique<uv_loop_t>();
  if (const int error = uv_loop_init(loop.get()); error < 0) {
    throw std::runtime_error(std::string("cannot make an event loop: ") + uv_strerror(error));
  }
  return loop.release();
}

/// Closes what the application made on our loop through uvLoop() and left.
void closeStrayHandle(uv_handle_t* handle, void*) {
  if (!uv_is_closing(handle)) {
    uv_close(handle, nullptr);
  }
}

void destroyLoop(uv_loop_t* loop, const detail::LoopLife& life) {
  while (life.open != 0) {
    uv_run(loop, UV_RUN_ONCE);
  }
  if (uv_loop_close(loop) == UV_EBUSY) {
    uv_walk(loop, closeStrayHandle, nullptr);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
  }
  delete loop;
}

}  // namespace

EventLoop::EventLoop()
    : owned_(true),
      loop_(makeLoop()),
      life_(new detail::LoopLife{this}),
      impl_(std::make_unique<Impl>(*this)) {}

EventLoop::EventLoop(uv_loop_t* host)
    : owned_(false), loop_(host), life_(new detail::LoopLife{this}), impl_(std::make_unique<Impl>(*this)) {}

EventLoop::~EventLoop() {
  close();
  life_->release();
}

bool EventLoop::offDelay(int timerId) {
  return impl_->timers.remove(timerId);
}

bool EventLoop::offRepeat(int timerId) {
  return impl_->timers.remove(timerId);
}

bool EventLoop::offReadable(int fd) {
  return impl_->fds.dropReadable(fd);
}

bool EventLoop::offWritable(int fd) {
  return impl_->fds.dropWritable(fd);
}

bool EventLoop::offSignal(int signal) {
  return impl_->signals.drop(signal);
}

void EventLoop::deleteAllTimer() {
  impl_->timers.removeAll();
}

int EventLoop::getTimerCount() const {
  return static_cast<int>(impl_->timers.count());
}

void EventLoop::run() {
  if (!owned_) {
    throw std::logic_error("this event loop lives on a host's uv_loop_t, which only the host runs");
  }
  if (!closed_) {
    uv_run(loop_, UV_RUN_DEFAULT);
  }
}

void EventLoop::stop() {
  if (closed_) {
    return;
  }
  if (owned_) {
    uv_stop(loop_);
    return;
  }
  impl_->timers.removeAll();
  impl_->fds.clear();
  impl_->signals.clear();
}

void EventLoop::close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  if (detail::timerLoop == this) {
    detail::timerLoop = nullptr;
  }
  detail::PostQueue::close(*this);
  life_->loop = nullptr;
  // Taken out first: destructors of captures may come back here.
  const std::vector<detail::Thunk> deferred = std::move(impl_->deferred);
  impl_->deferred.clear();
  impl_->idle.close();
  impl_->timers.close();
  impl_->fds.clear();
  impl_->signals.clear();
  if (impl_->poller != nullptr) std::exchange(impl_->poller, nullptr)->detach();
  if (owned_) {
    destroyLoop(std::exchange(loop_, nullptr), *life_);
  }
}

void EventLoop::dispose(std::unique_ptr<EventLoop> loop) {
  if (!loop || loop->dispatch_.depth == 0) {
    return;
  }
  EventLoop* const busy = loop.release();
  if (busy->owned_) {
    throw std::logic_error("a loop of our own is destroyed after run() has returned");
  }
  busy->close();
  busy->dispatch_.disposePending = true;
}

void EventLoop::leaveOutermost() noexcept {
  // The hook runs while we still count as dispatching: what it calls back may
  // ask for a flush once more.
  while (std::exchange(dispatch_.flushPending, false)) {
    if (flush_) {
      flush_(flushContext_);
    }
  }
  --dispatch_.depth;
  if (dispatch_.disposePending) {
    delete this;
  }
}

void EventLoop::handleCurrentException() noexcept {
  try {
    detail::withCurrentException([this](const std::exception& exception) {
      if (const detail::ErrorHandler handler = impl_->errorHandler) {
        handler(exception);
      } else {
        std::fprintf(stderr, "Uncaught %s\n", detail::describe(exception).c_str());
      }
    });
  } catch (...) {
    detail::withCurrentException([](const std::exception& exception) {
      std::fprintf(stderr, "Uncaught in an error handler: %s\n", exception.what());
    });
  }
}

int EventLoop::addTimer(double seconds, detail::BoundCallback&& task, bool persistent) {
  requireOpen();
  const std::uint64_t interval = detail::TimerQueue::milliseconds(seconds);
  const int id = detail::TimerQueue::nextId();
  impl_->timers.add(id, interval, std::move(task), persistent);
  return id;
}

void EventLoop::watchReadable(int fd, detail::BoundCallback task) {
  requireOpen();
  impl_->fds.setReadable(fd, std::move(task));
}

void EventLoop::watchWritable(int fd, detail::BoundCallback task) {
  requireOpen();
  impl_->fds.setWritable(fd, std::move(task));
}

void EventLoop::watchSignal(int signal, detail::BoundCallback task) {
  requireOpen();
  impl_->signals.set(signal, std::move(task));
}

void EventLoop::assignErrorHandler(detail::ErrorHandler handler) {
  impl_->errorHandler.swap(handler);
}

void EventLoop::addDeferred(detail::Thunk thunk) {
  requireOpen();
  impl_->deferred.push_back(std::move(thunk));
  wantTick();
}

void EventLoop::wantTick() noexcept {
  uv_idle_start(impl_->idle.get(), &Impl::onIdle);
}

detail::Poller& EventLoop::poller() {
  requireOpen();
  if (impl_->poller == nullptr) impl_->poller = detail::Poller::make(*this);
  return *impl_->poller;
}

detail::TimerQueue& EventLoop::timers() noexcept {
  return impl_->timers;
}

void EventLoop::requireOpen() const {
  if (closed_) {
    throw std::logic_error("this event loop is closed");
  }
}

}  // namespace Workerman
