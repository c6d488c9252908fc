#include "worker_slot.h"

#include <algorithm>

namespace Workerman::detail {

Clock::duration seconds(double value) noexcept {
  constexpr double year = 365.0 * 86400;
  const double bounded = value > 0 ? std::min(value, year) : 0;
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(bounded));
}

Clock::duration BackOff::afterEnd(Clock::duration lived) noexcept {
  if (lived >= kShortLife) {
    inARow_ = 0;
    return {};
  }
  ++inARow_;
  if (inARow_ == 1) return {};
  Clock::duration wait = kFirst;
  for (unsigned doubled = 2; doubled < inARow_ && wait < kLongest; ++doubled) wait *= 2;
  return std::min<Clock::duration>(wait, kLongest);
}

}  // namespace Workerman::detail
