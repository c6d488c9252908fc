#include "connection/stream/reconnect_delay.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

using Workerman::Connection::ReconnectDelay;
using Workerman::Connection::detail::secondsUntilRetry;

TEST_CASE("reconnect delay: grows by its factor up to its most") {
  const ReconnectDelay delay{.first = 1, .factor = 2, .max = 30, .jitter = 0};
  const double wanted[] = {1, 2, 4, 8, 16, 30, 30};
  for (unsigned tries = 0; tries < 7; ++tries) CHECK(secondsUntilRetry(delay, tries, 1) == wanted[tries]);
  CHECK(secondsUntilRetry(delay, std::numeric_limits<unsigned>::max(), 0.5) == 30);
  CHECK(secondsUntilRetry({.first = 0.5, .factor = 1, .max = 9, .jitter = 0}, 100, 0) == 0.5);
  CHECK(secondsUntilRetry({.first = 50, .factor = 3, .max = 30, .jitter = 0}, 0, 0) == 30);
  CHECK(secondsUntilRetry({.first = 0, .factor = 2, .max = 30, .jitter = 0}, 5000, 0) == 0);
}

TEST_CASE("reconnect delay: chance only shortens it, by at most the jitter") {
  const ReconnectDelay delay{.first = 10, .factor = 2, .max = 15, .jitter = 0.2};
  CHECK(secondsUntilRetry(delay, 0, 0) == 10);
  CHECK(secondsUntilRetry(delay, 0, 0.5) == doctest::Approx(9));
  CHECK(secondsUntilRetry(delay, 0, 1) == doctest::Approx(8));
  CHECK(secondsUntilRetry(delay, 3, 0) == 15);
  CHECK(secondsUntilRetry(delay, 3, 1) == doctest::Approx(12));
  CHECK(secondsUntilRetry({.first = 10, .factor = 2, .max = 15, .jitter = 1}, 3, 1) == 0);
  const ReconnectDelay usual;
  CHECK(secondsUntilRetry(usual, 0, 0) == 1);
  CHECK(secondsUntilRetry(usual, 9, 0) == 30);
}

TEST_CASE("reconnect delay: infinite members") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(secondsUntilRetry({.first = infinity}, 0, 1) <= 30);
  CHECK(secondsUntilRetry({.first = 1, .max = infinity, .jitter = 0}, 10, 0) == 1024);
  CHECK(secondsUntilRetry({.first = infinity, .max = infinity, .jitter = 1}, 0, 1) == infinity);
  CHECK(secondsUntilRetry({.first = 1, .factor = infinity, .max = infinity, .jitter = 1}, 1, 1) == infinity);
}

TEST_CASE("reconnect delay: members out of range are refused, times where they are set") {
  const double nan = std::nan("");
  for (const double bad : {-1.0, nan}) {
    CHECK_THROWS_AS(ReconnectDelay{.first = bad}, std::invalid_argument);
    CHECK_THROWS_AS(ReconnectDelay{.max = bad}, std::invalid_argument);
  }
  for (const ReconnectDelay& bad : {
           ReconnectDelay{.factor = 0.9},
           ReconnectDelay{.factor = nan},
           ReconnectDelay{.jitter = -0.1},
           ReconnectDelay{.jitter = 1.1},
           ReconnectDelay{.jitter = nan},
       }) {
    CHECK_THROWS_AS(secondsUntilRetry(bad, 0, 0), std::invalid_argument);
  }
}
