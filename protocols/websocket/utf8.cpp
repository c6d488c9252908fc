#include "utf8.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace Workerman::Protocols::detail {
namespace {

using Byte = unsigned char;

/// The first byte that is not ASCII, or `end`.
const Byte* skipAscii(const Byte* at, const Byte* end) noexcept {
#if defined(__SSE2__)
  for (; end - at >= 16; at += 16) {
    const int high = _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    if (high != 0) return at + std::countr_zero(static_cast<unsigned>(high));
  }
#endif
  for (; end - at >= 8; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    if ((word & 0x8080808080808080) != 0) break;
  }
  while (at < end && *at < 0x80) ++at;
  return at;
}

/// Whether `byte` is 10xxxxxx.
bool continues(Byte byte) noexcept {
  return (byte & 0xC0) == 0x80;
}

/// The size of the whole valid character of two to four bytes at `at`; 0 when it is wrong or cut off.
std::size_t characterSize(const Byte* at, const Byte* end) noexcept {
  const std::ptrdiff_t left = end - at;
  const Byte lead = at[0];
  if (lead < 0xE0) return lead >= 0xC2 && left >= 2 && continues(at[1]) ? 2 : 0;
  if (lead < 0xF0) {
    if (left < 3 || !continues(at[1]) || !continues(at[2])) return 0;
    const bool overlong = lead == 0xE0 && at[1] < 0xA0;
    const bool surrogate = lead == 0xED && at[1] > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead > 0xF4 || left < 4 || !continues(at[1]) || !continues(at[2]) || !continues(at[3])) return 0;
  const bool overlong = lead == 0xF0 && at[1] < 0x90;
  const bool beyond = lead == 0xF4 && at[1] > 0x8F;
  return overlong || beyond ? 0 : 4;
}

}  // namespace

bool Utf8State::feed(const char* data, std::size_t size) noexcept {
  if (missing_ == kFailed) return false;
  const Byte* at = reinterpret_cast<const Byte*>(data);
  const Byte* const end = at + size;
  while (missing_ != 0 && at < end) {
    if (!step(*at++)) return false;
  }
  while ((at = skipAscii(at, end)) < end) {
    std::size_t whole = 0;
    while (at < end && *at >= 0x80 && (whole = characterSize(at, end)) != 0) at += whole;
    if (at < end && *at >= 0x80) break;
  }
  // What is left is wrong, or the beginning of a character: byte by byte, to tell which.
  while (at < end) {
    if (!step(*at++)) return false;
  }
  return true;
}

bool Utf8State::step(std::uint8_t byte) noexcept {
  if (missing_ == 0) {
    if (byte < 0x80) return true;
    // The second byte's range is what rules out overlong forms, surrogates and what is above U+10FFFF.
    lowest_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    highest_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    if (byte < 0xC2 || byte > 0xF4) {
      missing_ = kFailed;
      return false;
    }
    missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    return true;
  }
  if (byte < lowest_ || byte > highest_) {
    missing_ = kFailed;
    return false;
  }
  --missing_;
  lowest_ = 0x80;
  highest_ = 0xBF;
  return true;
}

bool isValidUtf8(const char* data, std::size_t size) noexcept {
  Utf8State state;
  return state.feed(data, size) && state.complete();
}

std::size_t validUtf8Prefix(std::string_view text, std::size_t limit) noexcept {
  Utf8State state;
  std::size_t valid = 0;
  for (std::size_t i = 0; i < text.size() && i < limit; ++i) {
    if (!state.feed(text.data() + i, 1)) break;
    if (state.complete()) valid = i + 1;
  }
  return valid;
}

}  // namespace Workerman::Protocols::detail
