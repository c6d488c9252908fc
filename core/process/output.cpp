#include "output.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "../event_loop.h"

namespace Workerman::detail {
namespace {

/// Longer lines take more than one write.
constexpr std::size_t kLongestLine = 64 * 1024;

/// std::cout keeps nothing to itself, unless the program has asked for that.
bool isInStep() noexcept {
  return std::ios_base::sync_with_stdio(true);
}

}  // namespace

void secureStandardStreams() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest that is free is this one. Without /dev it is one that nothing can be done with.
    if (::open("/dev/null", O_RDWR | O_NOCTTY) < 0) static_cast<void>(::open("/", O_PATH | O_DIRECTORY));
  }
}

void printInLines() noexcept {
  static char buffer[kLongestLine];
  std::cout.flush();
  std::setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
}

void flushOutput() noexcept {
  try {
    if (!isInStep()) std::cout.flush();
  } catch (...) {
    // A program may have asked for exceptions; nobody is there to take this one.
  }
  if (::__fpending(stdout) != 0) std::fflush(stdout);
}

void flushOutputWith(EventLoop& loop) noexcept {
  // Closed as what the loop finds on itself in the end.
  static uv_prepare_t prepare;
  uv_prepare_init(loop.uvLoop(), &prepare);
  uv_prepare_start(&prepare, [](uv_prepare_t*) { flushOutput(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&prepare));
}

}  // namespace Workerman::detail
