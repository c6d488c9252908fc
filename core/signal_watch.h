#pragma once

#include <memory>
#include <unordered_map>

#include "bound_callback.h"
#include "uv_handle.h"

namespace Workerman::detail {

/// The signals that the application watches. They do not keep the loop
/// running. Internal; EventLoop says what it does.
class SignalWatches {
 public:
  explicit SignalWatches(EventLoop& loop) : loop_(loop) {}

  void set(int signal, BoundCallback task);
  /// Leaves the signal ignored, unless somebody else handles it as well.
  bool drop(int signal);
  /// Ends all watches; the signals are at their default again.
  void clear() noexcept;

 private:
  struct Watch {
    SignalWatches* owner;
    UvHandle<uv_signal_t> handle;
    BoundCallback task;
  };

  static void onSignal(uv_signal_t* handle, int signal) noexcept;

  EventLoop& loop_;
  std::unordered_map<int, std::unique_ptr<Watch>> watches_;
};

}  // namespace Workerman::detail
