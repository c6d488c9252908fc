#pragma once

/// Numbers as PHP has them, for the named values of a Context.

#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "../core/text_view.h"

namespace Workerman::Connection {

class ContextNumber;

namespace detail {

/// Base of what takes part in a context's arithmetic and comparisons.
struct ContextOperand : Workerman::detail::HasOwnPlus {};

template <typename T>
concept ContextArithmetic = std::is_arithmetic_v<T> && !std::same_as<T, char>;

/// @throws std::runtime_error naming the number and the type that has no room for it.
[[noreturn]] void throwUnfit(const ContextNumber& number, const std::type_info& type);

}  // namespace detail

/// A number that is an integer or floating, as in PHP: what `now - context["t"]` gives. Converts to any
/// arithmetic type that has room for it, compares, adds and prints.
class ContextNumber : public detail::ContextOperand {
 public:
  template <detail::ContextArithmetic T>
  constexpr ContextNumber(T value) noexcept {
    if constexpr (std::floating_point<T>) {
      kind_ = Kind::Floating;
      floating_ = static_cast<double>(value);
    } else if constexpr (std::unsigned_integral<T> && sizeof(T) >= sizeof(std::int64_t)) {
      kind_ = value <= static_cast<T>(INT64_MAX) ? Kind::Signed : Kind::Unsigned;
      integer_ = static_cast<std::int64_t>(value);
    } else {
      integer_ = static_cast<std::int64_t>(value);
    }
  }

  bool isFloating() const noexcept { return kind_ == Kind::Floating; }
  double toDouble() const noexcept {
    return isFloating()              ? floating_
           : kind_ == Kind::Unsigned ? static_cast<double>(static_cast<std::uint64_t>(integer_))
                                     : static_cast<double>(integer_);
  }

  /// Whether T has room for it; a floating type always has, an integral one for whole numbers only.
  template <detail::ContextArithmetic T>
  bool fits() const noexcept {
    if constexpr (std::same_as<T, float>) {
      return !isFloating() || !std::isfinite(floating_) ||
             std::abs(floating_) <= static_cast<double>(std::numeric_limits<float>::max());
    } else if constexpr (std::floating_point<T>) {
      return true;
    } else {
      const auto low = static_cast<double>(std::numeric_limits<T>::min());
      // One more than the most, which a double may not be able to say.
      const double end = 2 * static_cast<double>(std::numeric_limits<T>::max() / 2 + 1);
      if (kind_ == Kind::Floating)
        return floating_ >= low && floating_ < end && std::trunc(floating_) == floating_;
      if (kind_ == Kind::Unsigned) return std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::uint64_t);
      if constexpr (std::is_unsigned_v<T>) {
        return integer_ >= 0 && static_cast<std::uint64_t>(integer_) <= std::numeric_limits<T>::max();
      } else {
        return integer_ >= std::numeric_limits<T>::min() && integer_ <= std::numeric_limits<T>::max();
      }
    }
  }
  /// It as T. @pre fits<T>()
  template <detail::ContextArithmetic T>
  T as() const noexcept {
    if (kind_ == Kind::Floating) return static_cast<T>(floating_);
    if (kind_ == Kind::Unsigned) return static_cast<T>(static_cast<std::uint64_t>(integer_));
    return static_cast<T>(integer_);
  }
  /// @throws std::runtime_error when T has no room for it; bool takes PHP's truth.
  template <detail::ContextArithmetic T>
  operator T() const {
    if constexpr (std::same_as<T, bool>) {
      return isTrue();
    } else {
      if (!fits<T>()) detail::throwUnfit(*this, typeid(T));
      return as<T>();
    }
  }

  bool isTrue() const noexcept { return kind_ == Kind::Floating ? floating_ != 0 : integer_ != 0; }
  /// As PHP prints it: 14 digits of a floating one.
  std::string text() const;
  friend std::ostream& operator<<(std::ostream& out, const ContextNumber& number) {
    return out << number.text();
  }

  /// The number in a text that holds nothing else but space; false: it does not.
  static bool parse(std::string_view text, ContextNumber& number) noexcept;
  static std::partial_ordering compare(const ContextNumber& a, const ContextNumber& b) noexcept;
  /// `operation` is one of + - * / %. Integers give an integer where it has room.
  /// @throws std::runtime_error for a division by zero.
  static ContextNumber calculate(const ContextNumber& a, char operation, const ContextNumber& b);

 private:
  /// Unsigned: above INT64_MAX, the bits in integer_.
  enum class Kind : std::uint8_t { Signed, Unsigned, Floating };

  union {
    std::int64_t integer_;
    double floating_;
  };
  Kind kind_ = Kind::Signed;
};

}  // namespace Workerman::Connection
