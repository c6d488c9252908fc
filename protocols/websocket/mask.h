#pragma once

#include <cstddef>
#include <cstdint>

/// Masking and the ASCII test, many bytes at a time. All functions accept any length and any
/// alignment. A key is kept as it lies in memory: its first byte is the first on the wire.
/// @see RFC 6455 section 5.3

namespace Workerman::Protocols::detail {

using MaskKey = std::uint32_t;

/// XORs `size` bytes in place. `offset` is how far into the payload `data` begins.
void maskInPlace(char* data, std::size_t size, MaskKey key, std::size_t offset = 0) noexcept;

/// Writes the masked `source` to `target`; the two must not overlap unless they are equal.
void maskCopy(char* target, const char* source, std::size_t size, MaskKey key,
              std::size_t offset = 0) noexcept;

/// XORs in place and, in the same pass, tells whether every resulting byte is ASCII.
[[nodiscard]] bool unmaskAndCheckAscii(char* data, std::size_t size, MaskKey key,
                                       std::size_t offset = 0) noexcept;

/// Whether all bytes are ASCII.
[[nodiscard]] bool isAscii(const char* data, std::size_t size) noexcept;

/// The same four with words of eight bytes and no instruction set beyond C++: what runs where
/// there is no SSE2. Always compiled, and tested against the wide ones.
namespace portable {
void maskInPlace(char* data, std::size_t size, MaskKey key, std::size_t offset = 0) noexcept;
void maskCopy(char* target, const char* source, std::size_t size, MaskKey key,
              std::size_t offset = 0) noexcept;
[[nodiscard]] bool unmaskAndCheckAscii(char* data, std::size_t size, MaskKey key,
                                       std::size_t offset = 0) noexcept;
[[nodiscard]] bool isAscii(const char* data, std::size_t size) noexcept;
}  // namespace portable

#if defined(__SSE2__)
/// Sixteen bytes at a time, which every x86-64 can do.
namespace sse2 {
void maskInPlace(char* data, std::size_t size, MaskKey key, std::size_t offset = 0) noexcept;
void maskCopy(char* target, const char* source, std::size_t size, MaskKey key,
              std::size_t offset = 0) noexcept;
[[nodiscard]] bool unmaskAndCheckAscii(char* data, std::size_t size, MaskKey key,
                                       std::size_t offset = 0) noexcept;
[[nodiscard]] bool isAscii(const char* data, std::size_t size) noexcept;
}  // namespace sse2
#endif

}  // namespace Workerman::Protocols::detail
