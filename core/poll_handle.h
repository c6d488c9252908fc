#pragma once

/// Waiting for one socket to become readable or writable (internal).

#include "fwd.h"

namespace Workerman::detail {

class Poller;

/// What a connection, listener or attempt to connect waits with: no libuv
/// handle and no memory of its own, see Poller.
class PollHandle {
 public:
  enum Events : int {
    None = 0,
    Readable = 1,
    Writable = 2,
    PeerEnd = 4,  ///< the peer has ended its stream, whatever of it is still unread
  };
  /// `events`: those of the watched ones that came. An error of the socket
  /// counts as all of them: reading or writing tells which.
  using Handler = void (*)(void* owner, int events) noexcept;

  PollHandle() noexcept = default;
  PollHandle(const PollHandle&) = delete;
  PollHandle& operator=(const PollHandle&) = delete;
  ~PollHandle() { close(); }

  /// Starts watching nothing. The descriptor stays the caller's and must
  /// outlive the next close(). @throws std::system_error
  void open(EventLoop& loop, int fd, Handler handler, void* owner);

  /// Changes what is waited for: a union of Events. 0, or the system's error
  /// number when it refuses (ENOSPC, ENOMEM): then what was waited for before
  /// still is, and it is the owner who has to tell, to try again, or to end.
  [[nodiscard]] int watch(int events) noexcept {
    return poller_ != nullptr && events != watched_ ? change(events) : 0;
  }
  /// Waits for nothing, which never fails.
  void unwatch() noexcept { static_cast<void>(watch(None)); }

  /// No further call of the handler. Harmless when closed.
  void close() noexcept;

 private:
  friend class Poller;
  int change(int events) noexcept;

  Poller* poller_ = nullptr;
  Handler handler_ = nullptr;
  void* owner_ = nullptr;
  int fd_ = -1;
  int watched_ = None;
};

}  // namespace Workerman::detail
