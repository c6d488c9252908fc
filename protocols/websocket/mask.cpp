#include "mask.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace Workerman::Protocols::detail {
namespace {

/// The key as it applies `offset` bytes further on.
MaskKey rotated(MaskKey key, std::size_t offset) noexcept {
  const int bits = static_cast<int>(offset % 4) * 8;
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

/// A plain integer used as a vector of bytes.
template <class Integer>
struct Word {
  using Type = Integer;
  static constexpr std::size_t kWidth = sizeof(Integer);
  static Type load(const char* from) noexcept {
    Type value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  static void store(char* to, Type value) noexcept { std::memcpy(to, &value, sizeof value); }
  static Type splat(MaskKey key) noexcept {
    return static_cast<Type>(key * std::uint64_t{0x0000000100000001});
  }
  static Type zero() noexcept { return 0; }
  static Type exclusiveOr(Type a, Type b) noexcept { return a ^ b; }
  static Type either(Type a, Type b) noexcept { return a | b; }
  static bool allAscii(Type value) noexcept {
    return (value & static_cast<Type>(std::uint64_t{0x8080808080808080})) == 0;
  }
};

#if defined(__SSE2__)
struct Sse {
  using Type = __m128i;
  static constexpr std::size_t kWidth = 16;
  static Type load(const char* from) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static void store(char* to, Type value) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
  }
  static Type splat(MaskKey key) noexcept { return _mm_set1_epi32(static_cast<int>(key)); }
  static Type zero() noexcept { return _mm_setzero_si128(); }
  static Type exclusiveOr(Type a, Type b) noexcept { return _mm_xor_si128(a, b); }
  static Type either(Type a, Type b) noexcept { return _mm_or_si128(a, b); }
  static bool allAscii(Type value) noexcept { return _mm_movemask_epi8(value) == 0; }
};
#endif

/// What one pass does. Without Mask nothing is written; without Check the answer is always true.
enum class Pass { Mask, MaskAndCheck, Check };

// Short payloads are the common ones: their few instructions belong into the caller at any optimisation
// level, and the loops, whose registers need a frame, outside of it.
#define WORKERMAN_SHORT [[gnu::always_inline]] inline
#define WORKERMAN_LONG [[gnu::noinline]]

/// A target for Pass::Check, which has none.
char* unwritten(const char* data) noexcept {
  return const_cast<char*>(data);
}

template <class V, Pass kPass>
WORKERMAN_SHORT void one(char* target, const char* source, typename V::Type keys,
                         typename V::Type& seen) noexcept {
  typename V::Type value = V::load(source);
  if constexpr (kPass != Pass::Check) {
    value = V::exclusiveOr(value, keys);
    V::store(target, value);
  }
  if constexpr (kPass != Pass::Mask) seen = V::either(seen, value);
}

/// From one to two vectors of bytes, as two that may overlap: both are loaded before either is stored.
template <class V, Pass kPass>
WORKERMAN_SHORT bool both(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  const std::size_t last = size - V::kWidth;
  typename V::Type first = V::load(source);
  typename V::Type second = V::load(source + last);
  if constexpr (kPass != Pass::Check) {
    first = V::exclusiveOr(first, V::splat(key));
    second = V::exclusiveOr(second, V::splat(rotated(key, last)));
    V::store(target, first);
    V::store(target + last, second);
  }
  return kPass == Pass::Mask || V::allAscii(V::either(first, second));
}

/// Fewer bytes than the narrowest vector.
template <Pass kPass>
WORKERMAN_SHORT bool bytewise(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  char keys[4];
  std::memcpy(keys, &key, 4);
  unsigned char seen = 0;
  for (std::size_t i = 0; i < size; ++i) {
    char value = source[i];
    if constexpr (kPass != Pass::Check) target[i] = value = static_cast<char>(value ^ keys[i % 4]);
    seen |= static_cast<unsigned char>(value);
  }
  return kPass == Pass::Mask || seen < 0x80;
}

/// Two vectors or more: whole ones, unrolled, then the last one, which may overlap its neighbour
/// and is therefore loaded before anything is stored.
template <class V, Pass kPass>
WORKERMAN_LONG bool many(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  constexpr std::size_t kUnrolled = 16;
  const std::size_t last = size - V::kWidth;
  const typename V::Type keys = V::splat(key);
  typename V::Type tail = V::load(source + last);
  typename V::Type seen = V::zero();
  std::size_t at = 0;
  for (; at + kUnrolled * V::kWidth <= size; at += kUnrolled * V::kWidth) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 16
#endif
    for (std::size_t i = 0; i < kUnrolled; ++i) {
      one<V, kPass>(target + at + i * V::kWidth, source + at + i * V::kWidth, keys, seen);
    }
  }
  for (; at < last; at += V::kWidth) one<V, kPass>(target + at, source + at, keys, seen);
  if (at < size) {
    if constexpr (kPass != Pass::Check) {
      tail = V::exclusiveOr(tail, V::splat(rotated(key, last)));
      V::store(target + last, tail);
    }
    if constexpr (kPass != Pass::Mask) seen = V::either(seen, tail);
  }
  return kPass == Pass::Mask || V::allAscii(seen);
}

template <Pass kPass>
WORKERMAN_SHORT bool runPortable(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  if (size > 16) return many<Word<std::uint64_t>, kPass>(target, source, size, key);
  if (size >= 8) return both<Word<std::uint64_t>, kPass>(target, source, size, key);
  if (size >= 4) return both<Word<std::uint32_t>, kPass>(target, source, size, key);
  return bytewise<kPass>(target, source, size, key);
}

#if defined(__SSE2__)
template <Pass kPass>
WORKERMAN_SHORT bool runSse2(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  if (size > 32) return many<Sse, kPass>(target, source, size, key);
  if (size >= 16) return both<Sse, kPass>(target, source, size, key);
  if (size >= 8) return both<Word<std::uint64_t>, kPass>(target, source, size, key);
  if (size >= 4) return both<Word<std::uint32_t>, kPass>(target, source, size, key);
  return bytewise<kPass>(target, source, size, key);
}

// From here on the wider vectors of AVX2 pay, where the processor has them.
constexpr std::size_t kWideEnough = 256;
constexpr std::size_t kWideBlock = 256;

/// Whole blocks of 256 bytes; `ascii` becomes false when one has another byte. Returns how many bytes it did.
template <Pass kPass>
[[gnu::target("avx2")]] std::size_t runAvx2(char* target, const char* source, std::size_t size, MaskKey key,
                                            bool& ascii) noexcept {
  const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
  __m256i seen = _mm256_setzero_si256();
  std::size_t at = 0;
  for (; at + kWideBlock <= size; at += kWideBlock) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 8
#endif
    for (std::size_t i = at; i < at + kWideBlock; i += 32) {
      __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + i));
      if constexpr (kPass != Pass::Check) {
        value = _mm256_xor_si256(value, keys);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), value);
      }
      if constexpr (kPass != Pass::Mask) seen = _mm256_or_si256(seen, value);
    }
  }
  if constexpr (kPass != Pass::Mask) ascii = _mm256_movemask_epi8(seen) == 0;
  return at;
}

template <Pass kPass>
WORKERMAN_SHORT bool run(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  if (size < kWideEnough || !__builtin_cpu_supports("avx2")) return runSse2<kPass>(target, source, size, key);
  bool ascii = true;
  const std::size_t done = runAvx2<kPass>(target, source, size, key, ascii);
  // Whole blocks leave the phase of the key as it was.
  return runSse2<kPass>(target + done, source + done, size - done, key) && ascii;
}
#else
template <Pass kPass>
WORKERMAN_SHORT bool run(char* target, const char* source, std::size_t size, MaskKey key) noexcept {
  return runPortable<kPass>(target, source, size, key);
}
#endif

}  // namespace

void maskInPlace(char* data, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  run<Pass::Mask>(data, data, size, rotated(key, offset));
}
void maskCopy(char* target, const char* source, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  run<Pass::Mask>(target, source, size, rotated(key, offset));
}
bool unmaskAndCheckAscii(char* data, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  return run<Pass::MaskAndCheck>(data, data, size, rotated(key, offset));
}
bool isAscii(const char* data, std::size_t size) noexcept {
  return run<Pass::Check>(unwritten(data), data, size, 0);
}

namespace portable {
void maskInPlace(char* data, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  runPortable<Pass::Mask>(data, data, size, rotated(key, offset));
}
void maskCopy(char* target, const char* source, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  runPortable<Pass::Mask>(target, source, size, rotated(key, offset));
}
bool unmaskAndCheckAscii(char* data, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  return runPortable<Pass::MaskAndCheck>(data, data, size, rotated(key, offset));
}
bool isAscii(const char* data, std::size_t size) noexcept {
  return runPortable<Pass::Check>(unwritten(data), data, size, 0);
}
}  // namespace portable

#if defined(__SSE2__)
namespace sse2 {
void maskInPlace(char* data, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  runSse2<Pass::Mask>(data, data, size, rotated(key, offset));
}
void maskCopy(char* target, const char* source, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  runSse2<Pass::Mask>(target, source, size, rotated(key, offset));
}
bool unmaskAndCheckAscii(char* data, std::size_t size, MaskKey key, std::size_t offset) noexcept {
  return runSse2<Pass::MaskAndCheck>(data, data, size, rotated(key, offset));
}
bool isAscii(const char* data, std::size_t size) noexcept {
  return runSse2<Pass::Check>(unwritten(data), data, size, 0);
}
}  // namespace sse2
#endif

}  // namespace Workerman::Protocols::detail
