#pragma once

/// Text that a callback is given, with what PHP's strings do.

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace Workerman {

namespace detail {

/// Base of the library's own texts: they join with `+` to a std::string, as PHP's do with `.`
struct JoinsWithPlus {};
/// Base of those that have a `+` of their own for that.
struct HasOwnPlus {};

template <class T>
concept OwnText = std::derived_from<T, JoinsWithPlus>;

/// What may stand on the other side of the `+`.
template <class T>
concept JoinableText = std::same_as<T, char> || OwnText<T> ||
    (std::convertible_to<const T&, std::string_view> && !std::same_as<T, std::nullptr_t> &&
     !std::derived_from<T, HasOwnPlus>);

template <class A, class B>
concept Joins = (OwnText<A> || OwnText<B>)&&JoinableText<A>&& JoinableText<B>;

constexpr std::string_view joined(const char& letter) noexcept {
  return {&letter, 1};
}
template <class T>
constexpr std::string_view joined(const T& text) noexcept(
    noexcept(static_cast<std::string_view>(text))) requires(!std::same_as<T, char>) {
  return static_cast<std::string_view>(text);
}

/// `"hello " + data`, `data + "\n"`, …
template <class A, class B>
requires Joins<std::remove_cvref_t<A>, std::remove_cvref_t<B>> std::string operator+(A&& a, B&& b) {
  const std::string_view tail = joined(b);
  if constexpr (std::same_as<A, std::string>) {
    a.append(tail);
    return std::move(a);
  } else {
    const std::string_view head = joined(a);
    std::string all;
    all.reserve(head.size() + tail.size());
    all.append(head).append(tail);
    return all;
  }
}

template <class T>
concept NumberBesideText =
    std::is_arithmetic_v<std::remove_cvref_t<T>> && !std::same_as<std::remove_cvref_t<T>, char>;

// PHP has two operators here, `.` and `+`; nobody can tell which was meant.
template <class A, class B>
requires((OwnText<std::remove_cvref_t<A>> && NumberBesideText<B>) ||
         (NumberBesideText<A> && OwnText<std::remove_cvref_t<B>>))
    __attribute__((unavailable("text and a number: std::to_string(number) makes a text of the number, "
                               "std::stoi(text) a number of the text"))) std::string
    operator+(A&&, B&&);

/// std::filesystem::path, without its header.
template <class T>
concept PathLike = requires {
  T::preferred_separator;
  typename T::string_type;
};

}  // namespace detail

/// What `auto` means for the text that a callback is given: a std::string_view that joins with `+`, and
/// becomes a std::string where one is wanted.
///
/// A view: valid only while the callback runs, unless it was made of something that lives longer.
class TextView : public std::string_view, public detail::JoinsWithPlus {
 public:
  constexpr TextView() noexcept = default;
  constexpr TextView(std::string_view text) noexcept : std::string_view(text) {}
  constexpr TextView(const char* text) : std::string_view(text) {}

  operator std::string() const { return std::string(data(), size()); }
  /// A std::filesystem::path, which takes a std::string_view itself only.
  template <detail::PathLike Path>
  operator Path() const {
    return Path(static_cast<const std::string_view&>(*this));
  }

  /// A part of it, from `start` on; empty where it has nothing, as PHP's substr(), so that what a peer sends
  /// cannot throw in a callback.
  constexpr TextView substr(size_type start = 0, size_type length = npos) const noexcept {
    return start < size() ? TextView(std::string_view::substr(start, length)) : TextView("", Empty{});
  }

 private:
  struct Empty {};
  constexpr TextView(const char* text, Empty) noexcept : std::string_view(text, 0) {}
};

}  // namespace Workerman

template <>
struct std::hash<Workerman::TextView> : std::hash<std::string_view> {};
template <>
inline constexpr bool std::ranges::enable_borrowed_range<Workerman::TextView> = true;
template <>
inline constexpr bool std::ranges::enable_view<Workerman::TextView> = true;

#ifdef __cpp_lib_format
#include <format>
template <class Char>
struct std::formatter<Workerman::TextView, Char> : std::formatter<std::basic_string_view<Char>, Char> {};
#endif
