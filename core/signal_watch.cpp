#include "signal_watch.h"

#include <csignal>
#include <stdexcept>
#include <string>

namespace Workerman::detail {

namespace {

void ignoreIfDefault(int signal) noexcept {
  struct sigaction current {};
  if (sigaction(signal, nullptr, &current) == 0 && !(current.sa_flags & SA_SIGINFO) &&
      current.sa_handler == SIG_DFL) {
    std::signal(signal, SIG_IGN);
  }
}

}  // namespace

void SignalWatches::set(int signal, BoundCallback task) {
  if (auto found = watches_.find(signal); found != watches_.end()) {
    std::swap(found->second->task, task);
    return;
  }
  auto watch = std::make_unique<Watch>(Watch{this, {}, std::move(task)});
  int error =
      watch->handle.open(loop_, [&](uv_signal_t* handle) { return uv_signal_init(loop_.uvLoop(), handle); });
  if (error == 0) {
    watch->handle.get()->data = watch.get();
    error = uv_signal_start(watch->handle.get(), &SignalWatches::onSignal, signal);
  }
  if (error < 0) {
    throw std::runtime_error("cannot watch signal " + std::to_string(signal) + ": " + uv_strerror(error));
  }
  uv_unref(watch->handle.base());
  watches_.emplace(signal, std::move(watch));
}

bool SignalWatches::drop(int signal) {
  auto found = watches_.find(signal);
  if (found == watches_.end()) {
    ignoreIfDefault(signal);
    return false;
  }
  const std::unique_ptr<Watch> gone = std::move(found->second);
  watches_.erase(found);
  // libuv puts the default back, which for most signals ends the process: none
  // may arrive at this thread before it is ignored.
  sigset_t one, before;
  sigemptyset(&one);
  sigaddset(&one, signal);
  pthread_sigmask(SIG_BLOCK, &one, &before);
  gone->handle.close();
  ignoreIfDefault(signal);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return true;
}

void SignalWatches::clear() noexcept {
  // Emptied first: destructors of captures may come back here.
  std::unordered_map<int, std::unique_ptr<Watch>> gone;
  gone.swap(watches_);
}

void SignalWatches::onSignal(uv_signal_t* handle, int signal) noexcept {
  const auto& watch = *static_cast<Watch*>(handle->data);
  SignalWatches& self = *watch.owner;
  DispatchScope scope(self.loop_);
  BoundCallback task = watch.task;
  self.loop_.guarded([&] { task(signal); });
}

}  // namespace Workerman::detail
