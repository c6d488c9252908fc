#pragma once

/// Waiting for one socket to become readable or writable (internal).

#include <utility>

namespace Workerman {
class EventLoop;
}

namespace Workerman::Connection::detail {

/// One pointer around a uv_poll_t, whose memory dies in libuv's close callback.
class PollHandle {
 public:
  enum Events : int { None = 0, Readable = 1, Writable = 2 };
  /// `status` is 0 or a libuv error: then look at the socket to learn which.
  using Handler = void (*)(void* owner, int status, int events) noexcept;

  PollHandle() noexcept = default;
  PollHandle(const PollHandle&) = delete;
  PollHandle& operator=(const PollHandle&) = delete;
  ~PollHandle() { close(); }

  /// Starts watching nothing. The descriptor stays the caller's and must
  /// outlive the next close(). @throws std::system_error
  void open(EventLoop& loop, int fd, Handler handler, void* owner);

  /// Changes what is waited for: a union of Events.
  void watch(int events) noexcept;

  /// No further call of the handler. Harmless when closed.
  void close() noexcept;

 private:
  struct Block;
  Block* block_ = nullptr;
};

}  // namespace Workerman::Connection::detail
