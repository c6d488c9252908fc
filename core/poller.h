#pragma once

/// All sockets of one loop behind one libuv handle (internal).

#include <sys/epoll.h>

#include <array>
#include <cstdint>

#include "poll_handle.h"
#include "uv_handle.h"

namespace Workerman::detail {

/// An epoll set inside the loop: libuv waits for the set, and whatever is ready
/// in it is served in one go. Against a uv_poll_t for each socket that saves
/// some 200 bytes per connection and libuv's bookkeeping per event; and since
/// one callback of the loop serves many connections, what they publish to each
/// other can leave together.
///
/// Keeps the loop running while any socket is watched. Lives until the loop
/// and the last handle are done with it.
class Poller {
 public:
  /// @throws std::system_error
  static Poller* make(EventLoop& loop);
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// The loop is closed: nothing is watched from now on.
  void detach() noexcept;

 private:
  friend class PollHandle;
  static constexpr int kBatch = 512;

  explicit Poller(EventLoop& loop) : loop_(&loop) {}
  ~Poller() = default;
  static void onReady(uv_poll_t* poll, int status, int events) noexcept;
  void serve() noexcept;
  int control(int operation, PollHandle& handle, int events) noexcept;
  void countWatched(int change) noexcept;
  void forget(const PollHandle& handle) noexcept;
  void release() noexcept;

  EventLoop* loop_;
  UvHandle<uv_poll_t> poll_;
  int epoll_ = -1;
  std::uint32_t references_ = 1;
  int watched_ = 0;
  /// The batch being served: a handle that closes is taken out of it.
  int next_ = 0;
  int ready_ = 0;
  std::array<epoll_event, kBatch> events_;
};

}  // namespace Workerman::detail
