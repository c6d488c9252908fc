#pragma once

#include <cstddef>
#include <cstdint>

namespace Workerman::detail {

/// Fills `size` bytes with unpredictable bytes of the kernel's generator (getrandom).
///
/// Small requests are served from a buffer of the calling thread, so that one system call
/// feeds a thousand of them; bytes handed out are wiped from it. A forked child never hands
/// out the bytes of its parent: the buffer is thrown away in the child by itself.
/// @throws std::system_error when the kernel has no generator to offer.
void fillRandom(void* bytes, std::size_t size);

/// Four fresh unpredictable bytes: the masking key of one frame.
/// @see RFC 6455 section 5.3
std::uint32_t randomMask();

/// Forgets the calling thread's unused bytes. fork() does this in the child without help;
/// needed only after a raw clone() that bypasses the C library.
void dropRandomBuffer() noexcept;

}  // namespace Workerman::detail
