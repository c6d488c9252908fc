#pragma once

/// Memory that a burst of connections has left behind (internal).

#include <cstddef>

#include "fwd.h"
#include "uv_handle.h"

namespace Workerman::detail {

/// Gives free memory back to the system after most connections of a thread have
/// gone: the allocator keeps it otherwise, for ever where something small lies
/// behind it. That takes milliseconds, so it is done once for a burst, a second
/// after its end has begun, and never while connections come and go at the same
/// pace. Without the C library's help it does nothing.
class MemoryReturn {
 public:
  /// A connection has ended and `left` are open. Cheap: this is called for each.
  void connectionEnded(EventLoop& loop, std::size_t left) {
    left_ = left;
    if (left >= most_) most_ = left + 1;
    if (isLargeDrop() && !isWaiting_) waitAMoment(loop);
  }
  /// The loop is about to be closed.
  void close() noexcept;

 private:
  /// Fewer are not worth it: some 10 MiB of half-open TLS.
  static constexpr std::size_t kMany = 500;

  bool isLargeDrop() const noexcept { return most_ - left_ >= kMany && left_ <= most_ / 2; }
  void waitAMoment(EventLoop& loop);
  void onTime() noexcept;

  std::size_t left_ = 0;
  /// The most that were open since memory was given back.
  std::size_t most_ = 0;
  bool isWaiting_ = false;
  /// Does not keep the loop running.
  UvHandle<uv_timer_t> timer_;
};

}  // namespace Workerman::detail
