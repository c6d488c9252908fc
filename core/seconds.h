#pragma once

/// A time as users set it.

#include <concepts>
#include <limits>
#include <stdexcept>

namespace Workerman {

/// What a number below 0 is in a BasicSeconds.
enum class BelowZero {
  Refused,
  /// It has a meaning of its own, which the property tells.
  Allowed,
};

/// A property that is a number of seconds: a number in every respect, as large
/// as one, which is checked whenever it is set. Infinite and huge ones mean
/// "never"; what is no number is refused, and so is what is below 0.
///
///     worker.idleTimeout = 60;
///     Worker::stopTimeout = INFINITY;
///     double twice = worker.idleTimeout * 2;
///
/// It converts from and to numbers, so that `urgent ? 0 : worker.idleTimeout`
/// is ambiguous and does not compile; a `double(…)` around it does.
template <std::floating_point Number, BelowZero below = BelowZero::Refused>
class BasicSeconds {
 public:
  constexpr BasicSeconds() noexcept = default;
  /// @throws std::invalid_argument for NaN, and for a number below 0 unless that is allowed.
  constexpr BasicSeconds(double seconds) : seconds_(checked(seconds)) {}
  constexpr BasicSeconds& operator=(double seconds) {
    seconds_ = checked(seconds);
    return *this;
  }
  constexpr operator Number() const noexcept { return seconds_; }

  /// @name As assignments of the result
  /// @{
  constexpr BasicSeconds& operator+=(double seconds) { return *this = seconds_ + seconds; }
  constexpr BasicSeconds& operator-=(double seconds) { return *this = seconds_ - seconds; }
  constexpr BasicSeconds& operator*=(double factor) { return *this = seconds_ * factor; }
  constexpr BasicSeconds& operator/=(double divisor) { return *this = seconds_ / divisor; }
  constexpr BasicSeconds& operator++() { return *this += 1; }
  constexpr BasicSeconds& operator--() { return *this -= 1; }
  constexpr Number operator++(int) {
    const Number before = seconds_;
    return ++*this, before;
  }
  constexpr Number operator--(int) {
    const Number before = seconds_;
    return --*this, before;
  }
  /// @}

 private:
  static constexpr Number checked(double seconds) {
    // A comparison with what is no number is false.
    if (seconds >= 0 || (below == BelowZero::Allowed && seconds < 0)) return narrowed(seconds);
    throw std::invalid_argument(below == BelowZero::Allowed
                                    ? "a time is a number of seconds: it must not be NaN"
                                    : "a time is a number of seconds, 0 or more (an infinite one means "
                                      "never): it must be neither NaN "
                                      "nor below 0");
  }
  /// What a float cannot hold is as good as infinite; the conversion alone would be undefined.
  static constexpr Number narrowed(double seconds) noexcept {
    constexpr double most = std::numeric_limits<Number>::max();
    if (seconds > most) return std::numeric_limits<Number>::infinity();
    return seconds < -most ? -std::numeric_limits<Number>::infinity() : static_cast<Number>(seconds);
  }

  Number seconds_ = 0;
};

using Seconds = BasicSeconds<double>;

}  // namespace Workerman
