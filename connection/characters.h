#pragma once

/// The classes of characters that HTTP and URIs tell apart, by table (internal).

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace Workerman::Connection::detail {

/// Bits, so that one look answers for any union of them.
enum CharacterClass : std::uint8_t {
  kTokenCharacter = 1,    ///< of a token, RFC 9110 section 5.6.2
  kHostCharacter = 2,     ///< of a registered name or IPv4 address, RFC 3986 section 3.2.2
  kTargetCharacter = 4,   ///< of a path or query, RFC 3986 sections 3.3 and 3.4; `%` as well
  kControlCharacter = 8,  ///< the tab is one
  kDigit = 16,
  kHexDigit = 32,
};

constexpr std::array<std::uint8_t, 256> makeCharacterTable() {
  std::array<std::uint8_t, 256> table{};
  const auto add = [&table](std::string_view characters, unsigned classes) {
    for (const char c : characters) {
      auto& entry = table[static_cast<unsigned char>(c)];
      entry = static_cast<std::uint8_t>(entry | classes);
    }
  };
  add("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~",
      kTokenCharacter | kHostCharacter | kTargetCharacter);
  add("!#$%&'*+^`|", kTokenCharacter);
  add("%!$&'()*+,;=", kHostCharacter | kTargetCharacter);
  add("/?:@", kTargetCharacter);
  add("0123456789", kDigit);
  add("0123456789abcdefABCDEF", kHexDigit);
  for (std::size_t c = 0; c < 0x20; ++c) table[c] = kControlCharacter;
  table[0x7F] = kControlCharacter;
  return table;
}

inline constexpr std::array<std::uint8_t, 256> kCharacterTable = makeCharacterTable();

constexpr bool isOf(char c, unsigned classes) noexcept {
  return (kCharacterTable[static_cast<unsigned char>(c)] & classes) != 0;
}

constexpr bool allOf(std::string_view text, unsigned classes) noexcept {
  for (const char c : text) {
    if (!isOf(c, classes)) return false;
  }
  return true;
}

/// A control character that no header value may hold: any but the tab (RFC 9110 section 5.5).
constexpr bool isForbiddenInValue(char c) noexcept {
  return c != '\t' && isOf(c, kControlCharacter);
}

}  // namespace Workerman::Connection::detail
