#pragma once

/// One name of a Context, with what PHP's samples do with a dynamic property.

#include <compare>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "context.h"
#include "context_number.h"

namespace Workerman::Connection {

namespace detail {

std::partial_ordering compareScalars(const ContextScalar& a, const ContextScalar& b) noexcept;

template <typename T>
inline constexpr bool isInitializerList = false;
template <typename T>
inline constexpr bool isInitializerList<std::initializer_list<T>> = true;

/// What `T x = context["key"]` may convert to. Types that would make a std::string's, a smart pointer's or an
/// optional's own constructors ambiguous stay out, and so do iterators, which `map.erase()` takes too.
template <typename T>
concept ContextReadable =
    !std::derived_from<T, ContextOperand> && !std::same_as<T, Context> && !std::same_as<T, std::nullptr_t> &&
    !std::same_as<T, std::nullopt_t> && !isInitializerList<T> && !std::same_as<T, char*> &&
    !std::same_as<T, const char*> &&
    !(std::is_class_v<T> && std::input_or_output_iterator<T>)&&std::copy_constructible<T>;

template <typename T>
concept ContextView = storesView<std::decay_t<T>>();
template <typename T>
concept ContextCopyable = std::copy_constructible<std::decay_t<T>>;

/// What a ContextValue compares with and adds to as PHP does.
template <typename T>
concept ContextPlain = std::is_arithmetic_v<T> || ContextText<std::decay_t<T>>;
template <typename T>
concept ContextNumeric = ContextArithmetic<T> || std::derived_from<T, ContextOperand>;
template <typename T>
concept ContextJoined = std::same_as<T, char> || ContextText<std::decay_t<T>>;

ContextScalar scalarOf(const ContextValue& value);
inline ContextScalar scalarOf(const ContextNumber& number) {
  return {ContextScalar::Kind::Number, number};
}
template <ContextPlain T>
ContextScalar scalarOf(const T& value) {
  using Kind = ContextScalar::Kind;
  if constexpr (std::same_as<T, bool>) {
    return {Kind::Bool, static_cast<int>(value)};
  } else if constexpr (std::same_as<T, char>) {
    return {Kind::Text, 0, {&value, 1}};
  } else if constexpr (std::is_arithmetic_v<T>) {
    return {Kind::Number, value};
  } else {
    return {Kind::Text, 0, static_cast<std::string_view>(value)};
  }
}

ContextNumber numberOf(const ContextValue& value);
inline const ContextNumber& numberOf(const ContextNumber& number) {
  return number;
}
template <ContextArithmetic T>
ContextNumber numberOf(T value) {
  return value;
}

/// A floating operand makes the result a double, else it is known when it is there.
template <char operation, typename A, typename B>
auto calculate(const A& a, const B& b) {
  const ContextNumber result = ContextNumber::calculate(numberOf(a), operation, numberOf(b));
  if constexpr (std::floating_point<A> || std::floating_point<B>) {
    return result.toDouble();
  } else {
    return result;
  }
}

std::string joinContext(std::string_view a, std::string_view b);
std::string textOf(const ContextValue& value);
inline std::string textOf(const ContextNumber& number) {
  return number.text();
}
template <ContextJoined T>
std::string_view textOf(const T& text) {
  return scalarOf(text).text;
}

template <typename A, typename B>
concept ContextCalculation = (std::derived_from<A, ContextOperand> ||
                              std::derived_from<B, ContextOperand>)&&ContextNumeric<A>&& ContextNumeric<B>;
template <typename A, typename B>
concept ContextJoin = (std::derived_from<A, ContextOperand> && ContextJoined<B>) ||
                      (ContextJoined<A> && std::derived_from<B, ContextOperand>);

template <typename A, typename B>
requires ContextCalculation<A, B>
auto operator+(const A& a, const B& b) {
  return calculate<'+'>(a, b);
}
template <typename A, typename B>
requires ContextCalculation<A, B>
auto operator-(const A& a, const B& b) {
  return calculate<'-'>(a, b);
}
template <typename A, typename B>
requires ContextCalculation<A, B>
auto operator*(const A& a, const B& b) {
  return calculate<'*'>(a, b);
}
template <typename A, typename B>
requires ContextCalculation<A, B>
auto operator/(const A& a, const B& b) {
  return calculate<'/'>(a, b);
}
template <typename A, typename B>
requires ContextCalculation<A, B>
auto operator%(const A& a, const B& b) {
  return calculate<'%'>(a, b);
}
template <typename A, typename B>
requires ContextJoin<A, B> std::string operator+(const A& a, const B& b) {
  return joinContext(textOf(a), textOf(b));
}

template <std::derived_from<ContextOperand> A, typename B>
requires(ContextPlain<B> || std::derived_from<B, ContextOperand>) bool operator==(const A& a, const B& b) {
  return compareScalars(scalarOf(a), scalarOf(b)) == 0;
}
template <std::derived_from<ContextOperand> A, typename B>
requires(ContextPlain<B> || std::derived_from<B, ContextOperand>) std::partial_ordering operator<=>(
    const A& a, const B& b) {
  return compareScalars(scalarOf(a), scalarOf(b));
}

}  // namespace detail

/// `context["uid"]`: assign to it, or let it convert to the stored type.
///
/// In a condition it has PHP's truth: false when it is missing, false, 0, an empty text, "0" or empty.
/// Numbers convert, compare and add as in PHP, whatever their C++ types; `++`, `+=`, `+` and `-` take a
/// missing one as 0 or "". Text joins with `+`. Values of different kinds are not equal, and none is the
/// smaller one.
class ContextValue : public detail::ContextOperand {
 public:
  ContextValue(const ContextValue&) = default;

  /// Stores a copy of the value under this name; `nullptr` and an empty optional erase it.
  template <typename T>
  requires(!std::same_as<std::decay_t<T>, ContextValue> && detail::ContextCopyable<T> &&
           !detail::ContextView<T>) ContextValue&
  operator=(T&& value) {
    if constexpr (std::same_as<std::decay_t<T>, ContextNumber>) {
      put(value);
    } else {
      context_->set(key_, std::forward<T>(value));
    }
    return *this;
  }
  template <typename T>
  requires(detail::ContextView<T>)
      __attribute__((unavailable("context[...] = value: a view would outlive what it views: store a copy, "
                                 "a std::string or a std::vector"))) ContextValue&
      operator=(T&& value);
  template <typename T>
  requires(!detail::ContextCopyable<T> && !detail::ContextView<T>)
      __attribute__((unavailable("context[...] = value: the value must be copyable: wrap it in a "
                                 "std::shared_ptr, or keep it in userData<T>()"))) ContextValue&
      operator=(T&& value);
  /// Stores a copy of what the other name holds; erases this one when that is missing.
  ContextValue& operator=(const ContextValue& other);

  /// The stored value, where the type follows from the place: `int uid = context["uid"];`, a number in any
  /// type that has room for it, and a bool as in a condition.
  /// @throws std::runtime_error when it is missing or of another type.
  template <detail::ContextReadable T>
  operator T() const {
    if constexpr (std::same_as<T, bool>) {
      return isTrue();
    } else {
      return std::as_const(*context_).template get<T>(key_);
    }
  }
  /// PHP's truth.
  explicit operator bool() const { return isTrue(); }
  /// As `Context::get`, for a handle that was kept.
  template <typename T>
  decltype(auto) get() const {
    return std::as_const(*context_).template get<T>(key_);
  }

  /// Whether a value of any type is stored under this name.
  bool has() const noexcept { return context_->has(key_); }
  /// As PHP prints it: nothing when it is missing.
  std::string text() const;
  /// As PHP calculates with it: 0 when it is missing. @throws std::runtime_error for what is no number.
  ContextNumber number() const;
  /// (internal)
  detail::ContextScalar scalar() const;

  ContextValue& operator++() { return add({detail::ContextScalar::Kind::Number, 1}); }
  ContextValue& operator--() { return add({detail::ContextScalar::Kind::Number, -1}); }
  ContextNumber operator++(int) {
    const ContextNumber before = number();
    ++*this;
    return before;
  }
  ContextNumber operator--(int) {
    const ContextNumber before = number();
    --*this;
    return before;
  }

  /// Adds a number, joins a text.
  template <typename T>
  requires(detail::ContextPlain<T> || std::derived_from<T, detail::ContextOperand>) ContextValue& operator+=(
      const T& other) {
    return add(detail::scalarOf(other));
  }
  template <detail::ContextNumeric T>
  ContextValue& operator-=(const T& other) {
    put(ContextNumber::calculate(number(), '-', detail::numberOf(other)));
    return *this;
  }
  template <detail::ContextNumeric T>
  ContextValue& operator*=(const T& other) {
    put(ContextNumber::calculate(number(), '*', detail::numberOf(other)));
    return *this;
  }
  template <detail::ContextNumeric T>
  ContextValue& operator/=(const T& other) {
    put(ContextNumber::calculate(number(), '/', detail::numberOf(other)));
    return *this;
  }

  /// Whether a T is stored that equals `other`. Not constrained to types that compare: the question would
  /// come back here for a type that is made of this one.
  template <typename T>
  requires(!detail::ContextPlain<T> && !std::derived_from<T, detail::ContextOperand> &&
           !std::same_as<T, std::nullptr_t>) friend bool
  operator==(const ContextValue& value, const T& other) {
    return value.holds(other);
  }
  friend bool operator==(const ContextValue& value, std::nullptr_t) noexcept { return !value.has(); }
  friend std::ostream& operator<<(std::ostream& out, const ContextValue& value) {
    return out << value.text();
  }

 private:
  friend class Context;
  ContextValue(Context& context, std::string_view key) : context_(&context), key_(key) {}
  bool isTrue() const;
  template <typename T>
  bool holds(const T& other) const {
    const T* stored = context_->template find<T>(key_);
    return stored != nullptr && *stored == other;
  }
  void put(const ContextNumber& number);
  ContextValue& add(const detail::ContextScalar& other);

  Context* context_;
  // A copy, so that a handle kept in an `auto` does not hang on a temporary name.
  std::string key_;
};

namespace detail {

inline ContextScalar scalarOf(const ContextValue& value) {
  return value.scalar();
}
inline ContextNumber numberOf(const ContextValue& value) {
  return value.number();
}
inline std::string textOf(const ContextValue& value) {
  return value.text();
}

/// Nothing of the kind: one sentence instead of all operators that there are.
template <typename A, typename B>
concept ContextNonsense = (std::derived_from<A, ContextOperand> || std::derived_from<B, ContextOperand>)&&!(
    ContextCalculation<A, B> || ContextJoin<A, B>)&&!std::derived_from<A, std::ios_base>;
template <typename A, typename B>
requires ContextNonsense<A, B>
__attribute__((
    unavailable("context[...] adds numbers and joins text only: take the value out first, as in "
                "`Session session = connection->context[\"session\"];`"))) std::string
operator+(const A&, const B&);
template <typename A, typename B>
requires ContextNonsense<A, B>
__attribute__((
    unavailable("context[...] calculates with numbers only: take the value out first, as in "
                "`Session session = connection->context[\"session\"];`"))) ContextNumber
operator-(const A&, const B&);
template <std::derived_from<ContextOperand> A, typename B>
requires(!ContextPlain<B> && !std::derived_from<B, ContextOperand>) __attribute__((
    unavailable("context[...] is less or more than numbers and text only: take the value out "
                "first, as in `Session session = connection->context[\"session\"];`"))) std::partial_ordering
operator<=>(const A&, const B&);

}  // namespace detail

inline ContextValue Context::operator[](std::string_view key) {
  return ContextValue(*this, key);
}
// A const handle has no assignment, so casting const away here changes nothing.
inline const ContextValue Context::operator[](std::string_view key) const {
  return ContextValue(const_cast<Context&>(*this), key);
}

}  // namespace Workerman::Connection
