#pragma once

/// The members of a SocketContext's structs, which may stand in any order: `{{"local_cert", "…"}, …}`.
///
/// The structs are aggregates, so that the n-th pair of such a list initialises their n-th member, whatever
/// it names. A member keeps a pair that it is given, and the last member of the struct hands the pairs to the
/// members that they name.

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace Workerman {

using OptionNames = std::map<std::string, std::string>;

/// The value of a pair: text, a number, a bool, or pairs of texts.
class OptionValue {
 public:
  template <class T>
  requires std::convertible_to<const T&, std::string_view> OptionValue(const T& text)
      : value(std::in_place_type<std::string>, static_cast<std::string_view>(text)) {}
  template <std::integral T>
  OptionValue(T number) {
    if constexpr (std::same_as<T, bool>) {
      value = number;
    } else {
      value = static_cast<int>(number);
    }
  }
  OptionValue(OptionNames names) : value(std::move(names)) {}
  OptionValue(std::initializer_list<OptionNames::value_type> names) : value(OptionNames(names)) {}

  std::variant<std::string, int, bool, OptionNames> value;
};

namespace detail {

struct NamedOption {
  std::string name;
  OptionValue value;
};
/// A pair on its way to the member it names. A copy has none.
class PendingOption {
 public:
  PendingOption() noexcept = default;
  PendingOption(const char* name, OptionValue value)
      : pair_(std::make_unique<NamedOption>(NamedOption{name, std::move(value)})) {}
  PendingOption(const PendingOption&) noexcept {}
  PendingOption& operator=(const PendingOption&) noexcept { return *this; }
  std::unique_ptr<NamedOption> take() noexcept { return std::move(pair_); }

 private:
  std::unique_ptr<NamedOption> pair_;
};

/// Tells bool from what would become one.
template <class T, class U>
concept OptionOf = (std::same_as<T, bool>
                        ? std::same_as<U, bool>
                        : (std::integral<U> && !std::same_as<U, bool> && !std::same_as<U, char>));

}  // namespace detail

/// A text option: a std::string that is not made of two iterators.
class TextOption : public std::string {
 public:
  TextOption() = default;
  template <class T>
  requires(std::convertible_to<const T&, std::string_view> && !std::derived_from<T, TextOption>)
      TextOption(const T& text)
      : std::string(static_cast<std::string_view>(text)) {}
  TextOption(const char* name, OptionValue value) : pending(name, std::move(value)) {}

  detail::PendingOption pending;
};

/// An option that is on or off.
class FlagOption {
 public:
  FlagOption() = default;
  FlagOption(std::same_as<bool> auto on) noexcept : on_(on) {}
  FlagOption(const char* name, OptionValue value) : pending(name, std::move(value)) {}
  operator bool() const noexcept { return on_; }

  detail::PendingOption pending;

 private:
  bool on_ = false;
};

/// An option that may be left to the system or the library: a std::optional.
template <class T>
class MaybeOption : public std::optional<T> {
 public:
  MaybeOption() = default;
  MaybeOption(std::nullopt_t) noexcept {}
  MaybeOption(detail::OptionOf<T> auto value) noexcept : std::optional<T>(static_cast<T>(value)) {}
  MaybeOption(std::optional<T> value) noexcept : std::optional<T>(value) {}
  MaybeOption(const char* name, OptionValue value) : pending(name, std::move(value)) {}

  detail::PendingOption pending;
};

/// An option of pairs: a std::map.
class NamesOption : public OptionNames {
 public:
  NamesOption() = default;
  NamesOption(OptionNames names) : OptionNames(std::move(names)) {}
  NamesOption(std::initializer_list<value_type> names) : OptionNames(names) {}
  NamesOption(const char* name, OptionValue value) : pending(name, std::move(value)) {}

  detail::PendingOption pending;
};

}  // namespace Workerman
