#include "utf8.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
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

/// Where to look again when what lies before `at` was valid but may end inside a character: at its first
/// byte.
[[maybe_unused]] const Byte* characterStart(const Byte* begin, const Byte* at) noexcept {
  for (std::ptrdiff_t back = 1; back <= 3 && at - back >= begin; ++back) {
    const Byte byte = at[-back];
    if (continues(byte)) continue;
    const std::ptrdiff_t size = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return size > back ? at - back : at;
  }
  return at;
}

#if defined(__SSE2__)
// From here on the vectors of AVX2 pay, where the processor has them.
constexpr std::ptrdiff_t kWideEnough = 64;

/// The vectorised check of Keiser and Lemire ("Validating UTF-8 in less than one instruction per byte",
/// 2021): each pair of neighbours is looked up by three of its four halves, each look-up gives the errors
/// that the half allows, and an error that all three allow is one.
struct Pairs {
  // What can be wrong with a byte and the one after it.
  static constexpr char kTooShort = 1;        // 11______ 0_______, 11______ 11______
  static constexpr char kTooLong = 2;         // 0_______ 10______
  static constexpr char kOverlong3 = 4;       // 11100000 100_____
  static constexpr char kTooLarge = 8;        // 11110100 1001____ and what is above
  static constexpr char kSurrogate = 16;      // 11101101 101_____
  static constexpr char kOverlong2 = 32;      // 1100000_ 10______
  static constexpr char kTooLarge1000 = 64;   // 11110101 1000____ and what is above
  static constexpr char kOverlong4 = 64;      // 11110000 1000____
  static constexpr char kTwoContinue = -128;  // 10______ 10______: right if a longer character began before
  static constexpr char kAnyLow = kTooShort | kTooLong | kTwoContinue;

  alignas(16) static constexpr char kFirstHigh[16] = {kTooLong,
                                                      kTooLong,
                                                      kTooLong,
                                                      kTooLong,
                                                      kTooLong,
                                                      kTooLong,
                                                      kTooLong,
                                                      kTooLong,
                                                      kTwoContinue,
                                                      kTwoContinue,
                                                      kTwoContinue,
                                                      kTwoContinue,
                                                      kTooShort | kOverlong2,
                                                      kTooShort,
                                                      kTooShort | kOverlong3 | kSurrogate,
                                                      kTooShort | kTooLarge | kTooLarge1000 | kOverlong4};
  static constexpr char kLarge = kAnyLow | kTooLarge | kTooLarge1000;
  alignas(16) static constexpr char kFirstLow[16] = {kAnyLow | kOverlong3 | kOverlong2 | kOverlong4,
                                                     kAnyLow | kOverlong2,
                                                     kAnyLow,
                                                     kAnyLow,
                                                     kAnyLow | kTooLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge,
                                                     kLarge | kSurrogate,
                                                     kLarge,
                                                     kLarge};
  static constexpr char kContinued = kTooLong | kOverlong2 | kTwoContinue;
  alignas(16) static constexpr char kSecondHigh[16] = {kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kContinued | kOverlong3 | kTooLarge1000 | kOverlong4,
                                                       kContinued | kOverlong3 | kTooLarge,
                                                       kContinued | kSurrogate | kTooLarge,
                                                       kContinued | kSurrogate | kTooLarge,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort,
                                                       kTooShort};
};

[[gnu::target("avx2")]] inline __m256i table(const char* entries) noexcept {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(entries)));
}

/// Skips whole blocks of valid text that begins at a character; what is returned is at one again.
[[gnu::target("avx2")]] const Byte* skipValid(const Byte* begin, const Byte* end) noexcept {
  const __m256i firstHigh = table(Pairs::kFirstHigh);
  const __m256i firstLow = table(Pairs::kFirstLow);
  const __m256i secondHigh = table(Pairs::kSecondHigh);
  const __m256i low = _mm256_set1_epi8(0x0F);
  __m256i before = _mm256_setzero_si256();
  const Byte* at = begin;
  for (; end - at >= 32; at += 32) {
    const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i across = _mm256_permute2x128_si256(before, block, 0x21);
    const __m256i previous = _mm256_alignr_epi8(block, across, 15);
    const __m256i pairs = _mm256_and_si256(
        _mm256_and_si256(
            _mm256_shuffle_epi8(firstHigh, _mm256_and_si256(_mm256_srli_epi16(previous, 4), low)),
            _mm256_shuffle_epi8(firstLow, _mm256_and_si256(previous, low))),
        _mm256_shuffle_epi8(secondHigh, _mm256_and_si256(_mm256_srli_epi16(block, 4), low)));
    // The third byte of three and four, and the fourth of four, must be the second of two continuations; no
    // other may.
    const __m256i third =
        _mm256_subs_epu8(_mm256_alignr_epi8(block, across, 14), _mm256_set1_epi8(0xE0 - 0x80));
    const __m256i fourth =
        _mm256_subs_epu8(_mm256_alignr_epi8(block, across, 13), _mm256_set1_epi8(0xF0 - 0x80));
    const __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(-128));
    const __m256i wrong = _mm256_xor_si256(must, pairs);
    if (_mm256_testz_si256(wrong, wrong) == 0) break;
    before = block;
  }
  return characterStart(begin, at);
}
#endif

}  // namespace

bool Utf8State::feed(const char* data, std::size_t size) noexcept {
  if (missing_ == kFailed) return false;
  const Byte* at = reinterpret_cast<const Byte*>(data);
  const Byte* const end = at + size;
  while (missing_ != 0 && at < end) {
    if (!step(*at++)) return false;
  }
#if defined(__SSE2__)
  // What it leaves, a wrong block included, is looked at again below.
  if (end - at >= kWideEnough && __builtin_cpu_supports("avx2")) at = skipValid(at, end);
#endif
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
