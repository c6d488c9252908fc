#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "bound_callback.h"
#include "uv_handle.h"

namespace Workerman::detail {

/// The descriptors that the application watches, one uv_poll_t for both
/// directions of each. Internal; EventLoop says what it does.
class FdWatches {
 public:
  explicit FdWatches(EventLoop& loop) : loop_(loop) {}

  void setReadable(int fd, BoundCallback task) { set(fd, &Watch::readable, std::move(task)); }
  void setWritable(int fd, BoundCallback task) { set(fd, &Watch::writable, std::move(task)); }
  bool dropReadable(int fd) { return drop(fd, &Watch::readable); }
  bool dropWritable(int fd) { return drop(fd, &Watch::writable); }
  /// Drops all of them.
  void clear() noexcept;

 private:
  struct Watch {
    FdWatches* owner;
    int fd;
    std::uint64_t serial;
    UvHandle<uv_poll_t> poll;
    BoundCallback readable;
    BoundCallback writable;
  };

  static void onPoll(uv_poll_t* poll, int status, int events) noexcept;
  void set(int fd, BoundCallback Watch::*direction, BoundCallback task);
  bool drop(int fd, BoundCallback Watch::*direction);
  Watch& findOrOpen(int fd);
  Watch* find(int fd, std::uint64_t serial) noexcept;
  int restart(Watch& watch) noexcept;
  void dispatch(int fd, std::uint64_t serial, int events) noexcept;
  void afterError(int fd, std::uint64_t serial, int unreadBefore) noexcept;

  EventLoop& loop_;
  std::unordered_map<int, std::unique_ptr<Watch>> watches_;
  std::uint64_t lastSerial_ = 0;
};

}  // namespace Workerman::detail
