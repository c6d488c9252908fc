#include "text_column.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace Workerman::detail {
namespace {

struct Character {
  std::uint32_t codePoint;
  std::size_t bytes;
};

Character firstOf(std::string_view text) {
  const auto byteAt = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t lead = byteAt(0);
  const std::size_t bytes = lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (bytes == 1 || lead >= 0xF8 || bytes > text.size()) return {lead, 1};
  std::uint32_t codePoint = lead & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byteAt(i) & 0xC0) != 0x80) return {lead, 1};
    codePoint = codePoint << 6 | (byteAt(i) & 0x3Fu);
  }
  return {codePoint, bytes};
}

/// The blocks that UAX #11 has as wide, coarsely.
bool isWide(std::uint32_t c) {
  static constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 9> blocks{{{0x1100, 0x115F},
                                                                                  {0x2E80, 0x303E},
                                                                                  {0x3041, 0xA4CF},
                                                                                  {0xAC00, 0xD7A3},
                                                                                  {0xF900, 0xFAFF},
                                                                                  {0xFE30, 0xFE6F},
                                                                                  {0xFF01, 0xFF60},
                                                                                  {0x1F300, 0x1FAFF},
                                                                                  {0x20000, 0x3FFFD}}};
  return std::any_of(blocks.begin(), blocks.end(),
                     [c](const auto& block) { return c >= block.first && c <= block.second; });
}

std::size_t widthOf(const Character& character) {
  return isWide(character.codePoint) ? 2 : 1;
}

}  // namespace

std::size_t displayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = firstOf(text);
    width += widthOf(character);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string padded(std::string_view text, std::size_t width) {
  std::string cell(text);
  std::replace_if(
      cell.begin(), cell.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
      '?');
  cell.append(width - std::min(width, displayWidth(text)), ' ');
  return cell;
}

std::string shortened(std::string_view text, std::size_t width) {
  if (displayWidth(text) <= width) return std::string(text);
  std::size_t end = 0;
  for (std::size_t used = 2; end < text.size();) {
    const Character character = firstOf(text.substr(end));
    used += widthOf(character);
    if (used > width) break;
    end += character.bytes;
  }
  return std::string(text.substr(0, end)) + "..";
}

std::string rounded(double number, int decimals) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, number);
  std::string text = buffer.data();
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

}  // namespace Workerman::detail
