#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bound_callback.h"
#include "loop_timer.h"
#include "timer_heap.h"
#include "timer_ids.h"
#include "uv_handle.h"

namespace Workerman::detail {

/// The loop that this thread's Timer works on; close() of the loop clears it.
extern constinit thread_local EventLoop* timerLoop;

/// All timers of one loop behind a single uv_timer_t. Those of 0 seconds wait
/// apart and run once per iteration in tick(): in libuv 1.44 a timer started
/// again with 0 inside its callback would never let the loop go on. Internal.
class TimerQueue {
 public:
  explicit TimerQueue(EventLoop& loop);
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// A fresh id of this thread.
  static int nextId() noexcept;
  /// The interval in milliseconds, rounded up; what is infinite or too long for
  /// any clock never ends. @throws std::invalid_argument for NaN and below 0.
  static std::uint64_t milliseconds(double seconds);

  /// Adds an application's timer of that interval under `id`, which is not in use.
  void add(int id, std::uint64_t milliseconds, BoundCallback&& task, bool persistent);
  /// Adds one of the library's and returns its id.
  int add(double seconds, LoopTimer::State& timer, bool persistent);
  /// False if no application's timer has this id.
  bool remove(int id);
  void removeInternal(int id) noexcept;
  /// Removes the application's timers.
  void removeAll();
  /// How many the application has.
  std::size_t count() const noexcept { return applicationCount_; }

  /// Runs those of 0 seconds. Once per iteration.
  void tick() noexcept;
  bool wantsTick() const noexcept { return tickCount_ != 0; }

  void close() noexcept;

  /// How much is held for timers in use and for later ones. For tests.
  std::size_t slotCount() const noexcept { return slots_.size(); }

 private:
  struct Slot {
    BoundCallback task;
    LoopTimer::State* internal = nullptr;
    std::uint64_t interval = 0;
    std::uint32_t place = 0;  // in the heap, or in ticks_; the next free slot
    int id = 0;               // 0: free
    bool persistent = false;
  };
  /// Tells the heap's moves to the slots.
  struct Places {
    std::vector<Slot>& slots;
    void moved(std::uint32_t slot, std::size_t index) const noexcept {
      slots[slot].place = static_cast<std::uint32_t>(index);
    }
  };
  using Heap = TimerHeap<Places>;

  static void onTimer(uv_timer_t* timer) noexcept;
  std::uint32_t takeSlot(int id);
  void schedule(std::uint32_t slot, std::uint64_t interval, bool persistent);
  BoundCallback release(std::uint32_t slot) noexcept;
  void run(std::uint32_t slot, bool last) noexcept;
  void fire() noexcept;
  void arm() noexcept;
  void dropTick(std::uint32_t place) noexcept;
  void compactTicks() noexcept;
  void compactSlots() noexcept;

  EventLoop& loop_;
  UvHandle<uv_timer_t> timer_;
  std::vector<Slot> slots_;
  Places places_{slots_};
  Heap heap_{places_};
  TimerIds ids_;
  std::vector<std::uint32_t> ticks_;  // slots, TimerIds::none where one has gone
  std::uint64_t armedFor_ = UINT64_MAX;
  std::size_t used_ = 0;
  std::size_t applicationCount_ = 0;
  std::size_t tickCount_ = 0;
  std::uint32_t freeSlot_ = TimerIds::none;
  bool firing_ = false;
  bool ticking_ = false;
};

}  // namespace Workerman::detail
