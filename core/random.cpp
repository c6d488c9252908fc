#include "random.h"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace Workerman::detail {
namespace {

constexpr std::size_t kBufferSize = 4096;
// Larger requests go to the kernel directly: they gain nothing from the buffer and would empty it.
constexpr std::size_t kLargestBuffered = 256;

struct RandomBuffer {
  std::size_t used = kBufferSize;
  unsigned char bytes[kBufferSize] = {};
};

constinit thread_local RandomBuffer buffer;

void fillFromKernel(unsigned char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(bytes, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
}

void refill() {
  // fork() copies the calling thread alone, and its child handler runs on that thread:
  // so dropping "this thread's buffer" there covers all that the child has inherited.
  static const int registered = pthread_atfork(nullptr, nullptr, [] { dropRandomBuffer(); });
  if (registered != 0) throw std::system_error(registered, std::generic_category(), "pthread_atfork");
  fillFromKernel(buffer.bytes, kBufferSize);
  buffer.used = 0;
}

/// The next `size` unused bytes of the buffer; at most kLargestBuffered.
unsigned char* take(std::size_t size) {
  if (kBufferSize - buffer.used < size) refill();
  unsigned char* bytes = buffer.bytes + buffer.used;
  buffer.used += size;
  return bytes;
}

}  // namespace

void fillRandom(void* bytes, std::size_t size) {
  if (size > kLargestBuffered) return fillFromKernel(static_cast<unsigned char*>(bytes), size);
  if (size == 0) return;
  unsigned char* source = take(size);
  std::memcpy(bytes, source, size);
  explicit_bzero(source, size);
}

std::uint32_t randomMask() {
  // Not wiped: a mask is sent in clear beside what it masks.
  std::uint32_t mask = 0;
  std::memcpy(&mask, take(sizeof mask), sizeof mask);
  return mask;
}

void dropRandomBuffer() noexcept {
  explicit_bzero(buffer.bytes, kBufferSize);
  buffer.used = kBufferSize;
}

}  // namespace Workerman::detail
