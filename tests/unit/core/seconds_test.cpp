#include "core/seconds.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "connection/stream/async_tcp_connection.h"
#include "core/worker.h"

using Workerman::BasicSeconds;
using Workerman::BelowZero;
using Workerman::Seconds;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::TcpConnection;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Tries a property with what is allowed and what is not; its value is as before in the end.
template <class Property>
void tryOut(const char* name, Property& property, bool allowsNegative = false) {
  CAPTURE(name);
  const Property before = property;
  property = kInfinity;
  CHECK(property == kInfinity);
  property = 1e300;
  CHECK(property >= 1e30);
  property = 0;
  CHECK(property == 0);
  property = 7;
  CHECK_THROWS_WITH_AS(property = kNaN, doctest::Contains("a time is a number of seconds"),
                       std::invalid_argument);
  if (allowsNegative) {
    property = -5;
    CHECK(property == -5);
  } else {
    CHECK_THROWS_WITH_AS(property = -5, doctest::Contains("0 or more"), std::invalid_argument);
    CHECK_THROWS_AS(property = -kInfinity, std::invalid_argument);
    CHECK(property == 7);  // as before
  }
  property = before;
}

}  // namespace

TEST_CASE(
    "seconds: every property that is a time refuses NaN and below 0, and takes infinite ones as never") {
  Worker worker;
  tryOut("idleTimeout", worker.idleTimeout);
  tryOut("handshakeTimeout", worker.handshakeTimeout);
  tryOut("stopTimeout", Worker::stopTimeout);
  tryOut("gracefulStopTimeout", Worker::gracefulStopTimeout);
  tryOut("upgradeTimeout", Worker::upgradeTimeout);
  const auto connection = std::make_shared<AsyncTcpConnection>("ws://127.0.0.1:1");
  tryOut("connectTimeout", connection->connectTimeout);
  tryOut("lingerTimeout", connection->lingerTimeout);
  tryOut("defaultLingerTimeout", TcpConnection::defaultLingerTimeout);
  tryOut("websocketPingInterval", connection->websocketPingInterval);
  tryOut("websocketCloseTimeout", connection->websocketCloseTimeout);
  tryOut("websocketPongTimeout", connection->websocketPongTimeout, true);
  CHECK(connection->websocketPongTimeout == -1);
  CHECK(connection->websocketPingInterval == 0);
  CHECK(connection->websocketCloseTimeout == 2);
  CHECK(connection->connectTimeout == 30);
  CHECK(Worker::stopTimeout == 2);
}

TEST_CASE("seconds: a number in every respect") {
  static_assert(sizeof(Seconds) == sizeof(double) && sizeof(BasicSeconds<float>) == sizeof(float));
  static_assert(std::is_trivially_copyable_v<Seconds>);
  Seconds seconds{2.5};
  const auto copy = seconds;
  const double number = seconds;
  const int whole = static_cast<int>(seconds);
  CHECK(copy == seconds);
  CHECK(number == 2.5);
  CHECK(whole == 2);
  CHECK(seconds * 2 == 5);
  CHECK(1 - seconds == -1.5);
  CHECK(-seconds == -2.5);
  CHECK(seconds < 3);
  CHECK(2 < seconds);
  CHECK(seconds != 2);
  CHECK((seconds > 0 ? double(seconds) : 0) == 2.5);
  CHECK((seconds > 0 ? seconds : BasicSeconds<float>{1}) == 2.5);
  CHECK(std::isfinite(seconds));
  CHECK(std::to_string(seconds).substr(0, 3) == "2.5");
  seconds += 0.5;
  seconds *= 2;
  seconds -= 1;
  seconds /= 2;
  CHECK(seconds == 2.5);
  CHECK(seconds++ == 2.5);
  CHECK(--seconds == 2.5);
  CHECK_THROWS_AS(seconds -= 3, std::invalid_argument);
  CHECK_THROWS_AS(seconds /= 0 * kNaN, std::invalid_argument);
  CHECK(seconds == 2.5);
  std::ostringstream out;
  BasicSeconds<float> small{0.25};
  out << seconds << " " << small;
  CHECK(out.str() == "2.5 0.25");
  small = seconds;
  CHECK(small == 2.5F);
  small = 5;
  CHECK(small + 1 == 6);
  seconds = {};
  CHECK(!seconds);
  CHECK_THROWS_AS(Seconds{-1}, std::invalid_argument);
}

TEST_CASE("seconds: what a float cannot hold is infinite") {
  BasicSeconds<float, BelowZero::Allowed> seconds;
  seconds = 1e300;
  CHECK(seconds == std::numeric_limits<float>::infinity());
  seconds = -1e300;
  CHECK(seconds == -std::numeric_limits<float>::infinity());
  CHECK_THROWS_AS(seconds = kNaN, std::invalid_argument);
}
