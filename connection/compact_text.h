#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../core/text_view.h"

namespace Workerman::Connection {

namespace detail {

/// Stands in front of the characters, which end with a NUL that is not counted.
struct TextHeader {
  std::size_t size;
  bool isOwned;
};

/// A literal laid out as CompactText wants it, so that a default costs no allocation.
template <std::size_t Size>
struct StaticText {
  TextHeader header{Size - 1, false};
  char characters[Size]{};

  // Implicit, so that a literal can be a template argument.
  constexpr StaticText(const char (&literal)[Size]) {
    for (std::size_t i = 0; i < Size; ++i) {
      characters[i] = literal[i];
    }
  }
};

/// The one object behind every `CompactText::literal<"…">()` of the same text.
template <StaticText Text>
inline constexpr auto staticText = Text;

}  // namespace detail

/// A text property that costs one pointer while it is unset.
///
/// Reads like a `std::string` that may be null (PHP's `?string`): converts to
/// `std::string_view` and `std::string`, joins with `+`, compares with any text and with `nullptr`.
/// Unset reads as the empty text. May hold NUL bytes. Copies are deep.
class CompactText : public Workerman::detail::JoinsWithPlus {
 public:
  constexpr CompactText() noexcept = default;
  constexpr CompactText(std::nullptr_t) noexcept {}
  CompactText(const char* text) { *this = text; }
  CompactText(std::string_view text) { assign(text); }
  CompactText(const std::string& text) { assign(text); }
  CompactText(const CompactText& other) { *this = other; }
  CompactText(CompactText&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  ~CompactText() { release(); }

  /// A set text that lives in static storage: `CompactText::literal<"tcp">()`.
  template <detail::StaticText Text>
  static CompactText literal() noexcept {
    CompactText text;
    text.header_ = &detail::staticText<Text>.header;
    return text;
  }

  /// Takes what the constructors take. A null pointer unsets, as `nullptr` does. The text may be a
  /// part of this one. A template, so that `= {}` has one meaning.
  template <typename Text>
  requires(std::convertible_to<const Text&, std::string_view> &&
           !std::same_as<Text, CompactText>) CompactText&
  operator=(const Text& text) {
    if constexpr (std::same_as<Text, std::nullptr_t>) {
      unset();
    } else if constexpr (std::is_pointer_v<Text>) {
      text == nullptr ? unset() : assign(text);
    } else {
      assign(text);
    }
    return *this;
  }
  CompactText& operator=(const CompactText& other) {
    if (this == &other) {
      return *this;
    }
    if (other.header_ != nullptr && other.header_->isOwned) {
      assign(other.view());
    } else {
      release();
      header_ = other.header_;
    }
    return *this;
  }
  CompactText& operator=(CompactText&& other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }

  /// Whether it was assigned a text, be it an empty one.
  bool isSet() const noexcept { return header_ != nullptr; }
  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return header_ == nullptr ? 0 : header_->size; }
  /// Ends with a NUL; never null. Valid until this is assigned to or destroyed.
  const char* c_str() const noexcept {
    return header_ == nullptr ? "" : reinterpret_cast<const char*>(header_ + 1);
  }
  /// Valid until this is assigned to or destroyed.
  std::string_view view() const noexcept { return {c_str(), size()}; }

  operator std::string_view() const noexcept { return view(); }
  operator std::string() const { return std::string(view()); }
  /// True for a text that is not empty. Differs from Workerman: PHP takes "0" for false.
  explicit operator bool() const noexcept { return !empty(); }

  friend bool operator==(const CompactText& text, std::nullptr_t) noexcept { return !text.isSet(); }
  template <std::convertible_to<std::string_view> Text>
  requires(!std::same_as<Text, std::nullptr_t>) friend bool operator==(const CompactText& text,
                                                                       const Text& other) noexcept {
    return text.view() == std::string_view(other);
  }

  friend std::ostream& operator<<(std::ostream& out, const CompactText& text) { return out << text.view(); }

 private:
  void unset() noexcept {
    release();
    header_ = nullptr;
  }

  /// Copies first and frees afterwards: `text` may be a part of this one.
  void assign(std::string_view text) {
    void* memory = ::operator new(sizeof(detail::TextHeader) + text.size() + 1);
    auto* header = new (memory) detail::TextHeader{text.size(), true};
    char* characters = reinterpret_cast<char*>(header + 1);
    if (!text.empty()) {
      std::memcpy(characters, text.data(), text.size());
    }
    characters[text.size()] = '\0';
    release();
    header_ = header;
  }

  void release() noexcept {
    if (header_ != nullptr && header_->isOwned) {
      ::operator delete(const_cast<detail::TextHeader*>(header_));
    }
  }

  const detail::TextHeader* header_ = nullptr;
};

}  // namespace Workerman::Connection
