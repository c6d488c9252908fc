#include "timer.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <stdexcept>
#include <vector>

#include "timer_queue.h"

namespace Workerman {

namespace detail {

constinit thread_local int timersAllowedBeforeLoop = 0;

}  // namespace detail

namespace {

/// A timer that was added before its thread had a loop.
struct Pending {
  int id;
  std::uint64_t interval;
  detail::BoundCallback task;
  bool persistent;
};

thread_local std::vector<Pending> pending;

}  // namespace

int Timer::addTask(double seconds, detail::BoundCallback&& task, bool persistent) {
  if (detail::timerLoop) {
    return detail::timerLoop->addTimer(seconds, std::move(task), persistent);
  }
  const std::uint64_t interval = detail::TimerQueue::milliseconds(seconds);
  if (detail::timersAllowedBeforeLoop <= 0) {
    throw std::runtime_error("Timer can only be used in workerman running environment");
  }
  const int id = detail::TimerQueue::nextId();
  pending.push_back({id, interval, std::move(task), persistent});
  return id;
}

bool Timer::del(int timerId) {
  if (detail::timerLoop && detail::timerLoop->offDelay(timerId)) {
    return true;
  }
  auto found =
      std::find_if(pending.begin(), pending.end(), [&](const Pending& p) { return p.id == timerId; });
  if (found == pending.end()) {
    return false;
  }
  // The callback's captures go last: their destructors may come back here.
  const Pending gone = std::move(*found);
  pending.erase(found);
  return true;
}

void Timer::delAll() {
  std::vector<Pending> gone;
  gone.swap(pending);
  if (detail::timerLoop) {
    detail::timerLoop->deleteAllTimer();
  }
}

void Timer::sleep(double seconds) {
  detail::TimerQueue::milliseconds(seconds);
  constexpr double longest = 1.0e9;
  const double whole = std::floor(std::min(seconds, longest));
  timespec left{};
  left.tv_sec = static_cast<time_t>(whole);
  left.tv_nsec = static_cast<long>((std::min(seconds, longest) - whole) * 1e9);
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

void Timer::init(EventLoop* loop) {
  detail::timerLoop = loop;
  if (!loop) {
    return;
  }
  std::vector<Pending> starting;
  starting.swap(pending);
  for (Pending& timer : starting) {
    loop->timers().add(timer.id, timer.interval, std::move(timer.task), timer.persistent);
  }
}

}  // namespace Workerman
