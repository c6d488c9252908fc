#include "memory_return.h"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace Workerman::detail {
namespace {

constexpr std::uint64_t kMomentMilliseconds = 1000;

void giveBack() noexcept {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace

void MemoryReturn::waitAMoment(EventLoop& loop) {
  if (!timer_) {
    static_cast<void>(
        timer_.open(loop, [&](uv_timer_t* timer) { return uv_timer_init(loop.uvLoop(), timer); }));
    timer_.get()->data = this;
    uv_unref(timer_.base());
  }
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<MemoryReturn*>(timer->data)->onTime(); },
      kMomentMilliseconds, 0);
  isWaiting_ = true;
}

void MemoryReturn::onTime() noexcept {
  isWaiting_ = false;
  if (!isLargeDrop()) return;  // others have come meanwhile
  most_ = left_;
  giveBack();
}

void MemoryReturn::close() noexcept {
  timer_.close();
  isWaiting_ = false;
  left_ = most_ = 0;
}

}  // namespace Workerman::detail
