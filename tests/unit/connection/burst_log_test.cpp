#include "connection/burst_log.h"

#include <doctest/doctest.h>

using Workerman::Connection::detail::BurstLog;

TEST_CASE("burst log: the first of a burst is a line, then one every ten seconds that counts the others") {
  BurstLog log;
  CHECK(log.told("bad", 1000) == "bad");
  CHECK(log.told("bad", 1000).empty());
  CHECK(log.told("worse", 1000 + BurstLog::kGapMilliseconds - 1).empty());
  CHECK(log.told("bad", 1000 + BurstLog::kGapMilliseconds) == "bad (and 2 more like it before)");
  CHECK(log.told("bad", 1001 + BurstLog::kGapMilliseconds).empty());
  CHECK(log.told("bad", 1001 + 2 * BurstLog::kGapMilliseconds) == "bad (and 1 more like it before)");
  CHECK(log.told("bad", 1001 + 3 * BurstLog::kGapMilliseconds) == "bad");
}

TEST_CASE("burst log: the first event counts at whatever time") {
  BurstLog log;
  CHECK(log.told("bad", 0) == "bad");
}
