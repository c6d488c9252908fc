#include "reconnect_delay.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace Workerman::Connection::detail {

namespace {

/// False for what is no number as well.
void require(bool condition, const char* rule) {
  if (!condition) throw std::invalid_argument("ReconnectDelay: " + std::string(rule));
}

}  // namespace

double secondsUntilRetry(const ReconnectDelay& delay, unsigned tries, double chance) {
  require(delay.factor >= 1, "factor is 1 or more");
  require(delay.jitter >= 0 && delay.jitter <= 1, "jitter is from 0 to 1");
  // After enough tries infinite, which `max` cuts; of 0 * infinity there is nothing to grow.
  const double grown = delay.first == 0 ? 0 : delay.first * std::pow(delay.factor, tries);
  const double wait = std::min<double>(grown, delay.max);
  // Never, less a part of it, is never.
  return std::isinf(wait) ? wait : wait * (1 - delay.jitter * chance);
}

}  // namespace Workerman::Connection::detail
