#pragma once

/// Internal: ownership of libuv handles. Not for public headers.

#include <uv.h>

#include <cstdint>
#include <utility>

#include "event_loop.h"

namespace Workerman::detail {

/// Shared by a loop and every handle or request on it, so that the loop knows
/// when all of its own are gone, and a late close callback still has something
/// to count down. One thread only.
struct LoopLife {
  EventLoop* loop;               ///< nullptr once the loop is closed
  std::uint32_t references = 1;  ///< the EventLoop, LoopTimers
  std::uint32_t open = 0;        ///< handles not yet closed, requests in flight

  void opened() noexcept { ++open; }
  void closed() noexcept {
    --open;
    freeIfUnused();
  }
  void retain() noexcept { ++references; }
  void release() noexcept {
    --references;
    freeIfUnused();
  }

 private:
  void freeIfUnused() noexcept {
    if (references == 0 && open == 0) {
      delete this;
    }
  }
};

/// Owns one libuv handle. Its memory lives until the close callback, which
/// may come after this object, and after the EventLoop, are gone.
///
///     UvHandle<uv_timer_t> timer;
///     int error = timer.open(loop, [&](uv_timer_t* t) { return uv_timer_init(loop.uvLoop(), t); });
template <class Handle>
class UvHandle {
 public:
  UvHandle() = default;
  UvHandle(UvHandle&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  UvHandle& operator=(UvHandle&& other) noexcept {
    if (this != &other) {
      close();
      box_ = std::exchange(other.box_, nullptr);
    }
    return *this;
  }
  ~UvHandle() { close(); }

  /// Makes the handle with `init(Handle*)`, which returns libuv's error code;
  /// on an error there is no handle.
  template <class Init>
  [[nodiscard]] int open(EventLoop& loop, Init&& init) {
    close();
    auto* box = new Box{};
    if (int error = std::forward<Init>(init)(&box->handle); error < 0) {
      delete box;
      return error;
    }
    box->life = &loop.life();
    box->life->opened();
    box_ = box;
    return 0;
  }

  /// Starts closing; no callback of the handle comes any more.
  void close() noexcept {
    if (Box* box = std::exchange(box_, nullptr)) {
      uv_close(reinterpret_cast<uv_handle_t*>(&box->handle), [](uv_handle_t* handle) {
        auto* closing = reinterpret_cast<Box*>(handle);
        LoopLife* life = closing->life;
        delete closing;
        life->closed();
      });
    }
  }

  Handle* get() const noexcept { return box_ ? &box_->handle : nullptr; }
  uv_handle_t* base() const noexcept { return reinterpret_cast<uv_handle_t*>(get()); }
  explicit operator bool() const noexcept { return box_ != nullptr; }

 private:
  struct Box {
    Handle handle;  // First: the close callback gets its address.
    LoopLife* life;
  };
  Box* box_ = nullptr;
};

}  // namespace Workerman::detail
