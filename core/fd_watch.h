#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "bound_callback.h"
#include "loop_timer.h"
#include "uv_handle.h"

namespace Workerman::detail {

/// The descriptors that the application watches, all of a loop in an epoll set
/// of their own behind one libuv handle. Internal; EventLoop says what it does.
///
/// They belong to the application, which may close one that is watched; libuv
/// would end the process over it. Before its callback runs, and now and then
/// besides, a descriptor is looked at: one that is closed, or whose number
/// stands for another file by now, loses its watch with a line in the log.
class FdWatches {
 public:
  explicit FdWatches(EventLoop& loop) : loop_(loop), check_(loop) {}
  FdWatches(const FdWatches&) = delete;
  FdWatches& operator=(const FdWatches&) = delete;
  ~FdWatches() { clear(); }

  void setReadable(int fd, BoundCallback task) { set(fd, &Watch::readable, std::move(task)); }
  void setWritable(int fd, BoundCallback task) { set(fd, &Watch::writable, std::move(task)); }
  bool dropReadable(int fd) { return drop(fd, &Watch::readable); }
  bool dropWritable(int fd) { return drop(fd, &Watch::writable); }
  /// Drops all of them.
  void clear() noexcept;

 private:
  struct Watch {
    /// In what epoll reports: a file that lives on under another number reports under the old one.
    std::uint32_t serial = 0;
    /// Not after an error that nothing has cleared.
    bool isArmed = false;
    BoundCallback readable{};
    BoundCallback writable{};
  };
  using Watches = std::unordered_map<int, Watch>;

  static void onReady(uv_poll_t* poll, int status, int events) noexcept;
  void serve() noexcept;
  void set(int fd, BoundCallback Watch::*direction, BoundCallback task);
  bool drop(int fd, BoundCallback Watch::*direction);
  void requireSet();
  void add(int fd, BoundCallback Watch::*direction, BoundCallback task);
  Watch* find(int fd, std::uint32_t serial) noexcept;
  int arm(int operation, int fd, Watch& watch) noexcept;
  void disarm(Watch& watch) noexcept;
  Watches::node_type take(Watches::iterator found) noexcept;
  void lose(int fd, int error) noexcept;
  bool isGone(int fd) noexcept;
  void startCheck(double seconds);
  void check() noexcept;
  void tell(int fd, std::uint32_t serial, std::uint32_t events) noexcept;
  void tellError(int fd, std::uint32_t serial) noexcept;
  void dispatch(int fd, std::uint32_t serial, BoundCallback Watch::*direction) noexcept;

  EventLoop& loop_;
  int epoll_ = -1;
  UvHandle<uv_poll_t> poll_;
  Watches watches_;
  std::uint32_t lastSerial_ = 0;
  std::size_t armed_ = 0;
  /// Looks for descriptors that are closed by now.
  LoopTimer check_;
  std::vector<int> new_;
  std::size_t nextBucket_ = 0;
};

}  // namespace Workerman::detail
