#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace Workerman::Protocols::detail {

/// A UTF-8 validator that is fed text in pieces of any size.
///
/// Refuses what Unicode refuses: overlong forms, surrogates, code points above U+10FFFF, stray
/// continuation bytes. feed() fails at the first byte that no valid text could contain at that place,
/// however the text is cut. @see RFC 3629, RFC 6455 section 8.1
class Utf8State {
 public:
  /// Looks at the next piece. False once any byte so far was wrong; then false for ever, until reset().
  [[nodiscard]] bool feed(const char* data, std::size_t size) noexcept;

  /// True when the text so far is valid and does not end inside a character.
  [[nodiscard]] bool complete() const noexcept { return missing_ == 0; }

  void reset() noexcept { *this = Utf8State(); }

 private:
  static constexpr std::uint8_t kFailed = 0xFF;

  bool step(std::uint8_t byte) noexcept;

  std::uint8_t missing_ = 0;  // continuation bytes that the character still needs, or kFailed
  std::uint8_t lowest_ = 0;   // what the next of them may be
  std::uint8_t highest_ = 0;
};

/// Whether the whole text is valid UTF-8.
[[nodiscard]] bool isValidUtf8(const char* data, std::size_t size) noexcept;

/// The length of the longest prefix of at most `limit` bytes that is valid UTF-8 by itself.
[[nodiscard]] std::size_t validUtf8Prefix(std::string_view text, std::size_t limit) noexcept;

}  // namespace Workerman::Protocols::detail
