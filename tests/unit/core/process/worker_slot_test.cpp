#include "core/process/worker_slot.h"

#include <doctest/doctest.h>

using namespace Workerman::detail;
using std::chrono::milliseconds;

TEST_CASE("back-off: the first early end is free, then the wait doubles up to its limit") {
  BackOff backOff;
  const milliseconds waits[] = {milliseconds(0),    milliseconds(250),  milliseconds(500),
                                milliseconds(1000), milliseconds(2000), milliseconds(4000),
                                milliseconds(8000), milliseconds(16000)};
  unsigned ends = 0;
  for (const milliseconds wait : waits) {
    CHECK(backOff.afterEnd(milliseconds(1999)) == wait);
    CHECK(backOff.inARow() == ++ends);
  }
  for (int more = 0; more < 100; ++more) CHECK(backOff.afterEnd(milliseconds(0)) == milliseconds(16000));
}

TEST_CASE("back-off: a process that lived long enough makes it begin anew") {
  BackOff backOff;
  for (int i = 0; i < 5; ++i) backOff.afterEnd(milliseconds(1));
  CHECK(backOff.afterEnd(BackOff::kShortLife) == Clock::duration::zero());
  CHECK(backOff.inARow() == 0);
  CHECK(backOff.afterEnd(milliseconds(1)) == Clock::duration::zero());
  CHECK(backOff.afterEnd(milliseconds(1)) == milliseconds(250));
}

TEST_CASE("seconds: what no clock can hold is bounded") {
  CHECK(seconds(1.5) == milliseconds(1500));
  CHECK(seconds(0) == Clock::duration::zero());
  CHECK(seconds(-3) == Clock::duration::zero());
  for (const double huge : {1e300, 1e18}) {
    CHECK(seconds(huge) > std::chrono::hours(24 * 364));
    CHECK(Clock::now() + seconds(huge) > Clock::now());
  }
}
