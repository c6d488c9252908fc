#include "timer_queue.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <stdexcept>

namespace Workerman::detail {

constinit thread_local EventLoop* timerLoop = nullptr;

namespace {

constexpr std::uint64_t never = UINT64_MAX;
constexpr double longest = 9.0e15;  // ms: 285,000 years, and exact in a double
constexpr std::size_t keepSlots = 1024;

constinit thread_local int lastId = 0;

/// The clock's next whole millisecond: libuv cuts fractions off, and a timer
/// must not come early. Not the loop's cached time, which long work makes old.
std::uint64_t nowRoundedUp() noexcept {
  return (uv_hrtime() + 999'999) / 1'000'000;
}

}  // namespace

/// What a LoopTimer points to. `id` is 0 while it does not wait.
struct LoopTimer::State {
  LoopLife* life;
  Callback fn = nullptr;
  void* context = nullptr;
  int id = 0;
};

TimerQueue::TimerQueue(EventLoop& loop) : loop_(loop) {
  static_cast<void>(
      timer_.open(loop, [&](uv_timer_t* timer) { return uv_timer_init(loop.uvLoop(), timer); }));
  timer_.get()->data = this;
}

int TimerQueue::nextId() noexcept {
  lastId = lastId == INT_MAX ? 1 : lastId + 1;
  return lastId;
}

std::uint64_t TimerQueue::milliseconds(double seconds) {
  if (!(seconds >= 0)) throw std::invalid_argument("a timer's seconds must be a number that is not below 0");
  if (seconds == 0) {
    return 0;
  }
  // The small difference keeps 1.1 s, which is a little more in binary, at 1100.
  const double exact = std::min(seconds * 1000, longest) - 1e-6;
  const auto whole = exact > 0 ? static_cast<std::uint64_t>(exact) : 0;
  return whole + (static_cast<double>(whole) < exact || whole == 0 ? 1 : 0);
}

void TimerQueue::add(int id, std::uint64_t interval, BoundCallback&& task, bool persistent) {
  const std::uint32_t slot = takeSlot(id);
  slots_[slot].task = std::move(task);
  ++applicationCount_;
  schedule(slot, interval, persistent);
}

int TimerQueue::add(double seconds, LoopTimer::State& timer, bool persistent) {
  const std::uint64_t interval = milliseconds(seconds);
  const int id = nextId();
  const std::uint32_t slot = takeSlot(id);
  slots_[slot].internal = &timer;
  schedule(slot, interval, persistent);
  return id;
}

bool TimerQueue::remove(int id) {
  const std::uint32_t slot = ids_.find(id);
  if (slot == TimerIds::none || slots_[slot].internal) {
    return false;
  }
  // The callback's captures go last: their destructors may come back here.
  const BoundCallback task = release(slot);
  return true;
}

void TimerQueue::removeInternal(int id) noexcept {
  if (const std::uint32_t slot = ids_.find(id); slot != TimerIds::none) {
    release(slot);
  }
}

void TimerQueue::removeAll() {
  std::vector<int> ids;
  ids.reserve(applicationCount_);
  for (const Slot& slot : slots_) {
    if (slot.id != 0 && !slot.internal) {
      ids.push_back(slot.id);
    }
  }
  for (int id : ids) {
    remove(id);
  }
}

void TimerQueue::close() noexcept {
  timer_.close();
  std::vector<Slot> slots;
  slots.swap(slots_);
  heap_.nodes().clear();
  ticks_.clear();
  ids_.reset(0);
  used_ = applicationCount_ = tickCount_ = 0;
  freeSlot_ = TimerIds::none;
  for (Slot& slot : slots) {
    if (slot.id != 0 && slot.internal) {
      slot.internal->id = 0;
    }
  }
}

std::uint32_t TimerQueue::takeSlot(int id) {
  std::uint32_t slot = freeSlot_;
  if (slot == TimerIds::none) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    freeSlot_ = slots_[slot].place;
  }
  slots_[slot].id = id;
  ids_.insert(id, slot);
  if (++used_ == 1) {
    uv_ref(timer_.base());
  }
  return slot;
}

void TimerQueue::schedule(std::uint32_t slot, std::uint64_t interval, bool persistent) {
  Slot& timer = slots_[slot];
  timer.interval = interval;
  timer.persistent = persistent;
  if (interval == 0) {
    timer.place = static_cast<std::uint32_t>(ticks_.size());
    ticks_.push_back(slot);
    ++tickCount_;
    loop_.wantTick();
    return;
  }
  heap_.push(nowRoundedUp() + interval, slot);
  arm();
}

/// Makes the slot free and hands out its callback.
BoundCallback TimerQueue::release(std::uint32_t slot) noexcept {
  Slot& timer = slots_[slot];
  if (timer.interval == 0) {
    dropTick(timer.place);
  } else {
    heap_.remove(timer.place);
  }
  ids_.erase(timer.id);
  if (!timer.internal) {
    --applicationCount_;
  }
  BoundCallback task = std::move(timer.task);
  timer = Slot{};
  timer.place = freeSlot_;
  freeSlot_ = slot;
  if (--used_ == 0) {
    // Left armed: stopping and starting it costs more than one idle wake-up.
    uv_unref(timer_.base());
  }
  if (slots_.size() > keepSlots && used_ * 8 < slots_.size()) {
    compactSlots();
  }
  return task;
}

/// Runs a timer that is due; `last` if it will not come again. Its slot, and
/// this queue's vectors, may be others when the callback returns.
void TimerQueue::run(std::uint32_t slot, bool last) noexcept {
  const Slot& timer = slots_[slot];
  const int id = timer.id;
  if (LoopTimer::State* internal = timer.internal) {
    if (last) {
      internal->id = 0;
      release(slot);
    }
    internal->fn(internal->context);
    return;
  }
  BoundCallback task = last ? release(slot) : timer.task;
  loop_.guarded([&] { task(id); });
}

void TimerQueue::fire() noexcept {
  armedFor_ = never;
  firing_ = true;
  const std::uint64_t now = uv_now(loop_.uvLoop());
  // Ends: what is added or runs again is due after `now`.
  while (!heap_.empty() && heap_.top().due <= now) {
    const std::uint32_t slot = heap_.top().slot;
    if (!slots_[slot].persistent) {
      run(slot, true);
      continue;
    }
    const std::uint64_t interval = slots_[slot].interval;
    const std::uint64_t late = now - heap_.top().due;
    heap_.postponeTop(now - late % interval + interval);
    run(slot, false);
  }
  firing_ = false;
  arm();
}

/// Has the uv timer wake us for the first that is due.
void TimerQueue::arm() noexcept {
  if (firing_ || heap_.empty() || heap_.top().due >= armedFor_) {
    return;
  }
  armedFor_ = heap_.top().due;
  const std::uint64_t now = uv_now(loop_.uvLoop());
  uv_timer_start(timer_.get(), &TimerQueue::onTimer, armedFor_ > now ? armedFor_ - now : 0, 0);
}

void TimerQueue::onTimer(uv_timer_t* timer) noexcept {
  auto& self = *static_cast<TimerQueue*>(timer->data);
  DispatchScope scope(self.loop_);
  self.fire();
}

void TimerQueue::tick() noexcept {
  ticking_ = true;
  // Those added meanwhile run in the next iteration; close() empties the list.
  const std::size_t end = ticks_.size();
  for (std::size_t i = 0; i < end && i < ticks_.size(); ++i) {
    if (const std::uint32_t slot = ticks_[i]; slot != TimerIds::none) {
      run(slot, !slots_[slot].persistent);
    }
  }
  ticking_ = false;
  compactTicks();
}

void TimerQueue::dropTick(std::uint32_t place) noexcept {
  ticks_[place] = TimerIds::none;
  --tickCount_;
  if (!ticking_ && ticks_.size() > 16 && tickCount_ * 2 < ticks_.size()) {
    compactTicks();
  }
}

void TimerQueue::compactTicks() noexcept {
  std::erase(ticks_, TimerIds::none);
  for (std::size_t i = 0; i < ticks_.size(); ++i) {
    slots_[ticks_[i]].place = static_cast<std::uint32_t>(i);
  }
}

/// Gives memory back after most timers have gone.
void TimerQueue::compactSlots() noexcept {
  std::vector<Slot> slots;
  slots.reserve(used_);
  ids_.reset(used_);
  const auto move = [&](std::uint32_t& from) {
    const auto to = static_cast<std::uint32_t>(slots.size());
    slots.push_back(std::move(slots_[from]));
    ids_.insert(slots.back().id, to);
    from = to;
  };
  for (auto& node : heap_.nodes()) {
    move(node.slot);
  }
  for (std::uint32_t& slot : ticks_) {
    if (slot != TimerIds::none) {
      move(slot);
    }
  }
  slots_.swap(slots);
  heap_.nodes().shrink_to_fit();
  freeSlot_ = TimerIds::none;
}

LoopTimer::LoopTimer(EventLoop& loop) : state_(new State{&loop.life()}) {
  state_->life->retain();
}

LoopTimer::~LoopTimer() {
  stop();
  state_->life->release();
  delete state_;
}

void LoopTimer::start(double seconds, Callback fn, void* context, bool repeat) {
  stop();
  if (EventLoop* loop = state_->life->loop) {
    state_->fn = fn;
    state_->context = context;
    state_->id = loop->timers().add(seconds > 0 ? seconds : 0, *state_, repeat);
  }
}

void LoopTimer::stop() noexcept {
  if (state_->id != 0) {
    state_->life->loop->timers().removeInternal(std::exchange(state_->id, 0));
  }
}

bool LoopTimer::active() const noexcept {
  return state_->id != 0;
}

}  // namespace Workerman::detail
