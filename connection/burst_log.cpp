#include "burst_log.h"

#include <chrono>
#include <new>

#include "../core/log.h"

namespace Workerman::Connection::detail {

std::string BurstLog::told(std::string line, std::uint64_t now) {
  if (isAny_ && now - last_ < kGapMilliseconds) {
    ++untold_;
    return {};
  }
  if (untold_ != 0) line += " (and " + std::to_string(untold_) + " more like it before)";
  isAny_ = true;
  last_ = now;
  untold_ = 0;
  return line;
}

void BurstLog::tell(std::string line) noexcept {
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
  try {
    const std::string told = this->told(std::move(line), static_cast<std::uint64_t>(now));
    if (!told.empty()) Workerman::detail::log(told);
  } catch (const std::bad_alloc&) {
    ++untold_;
  }
}

}  // namespace Workerman::Connection::detail
