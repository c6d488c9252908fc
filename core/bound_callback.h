#pragma once

/// How a callback given to a timer or to the loop becomes one stored shape:
/// `void(int)` whose argument (the timer's id, the descriptor, the signal) may
/// be left out, with the caller's own arguments bound where there are any.
/// Internal.

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "callback.h"

namespace Workerman::detail {

struct ThunkRules : SlotRules<NoHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable("this callback takes nothing"))) void operator=(const F&) {}
  };
};

/// What the loop stores for timers, descriptors and signals.
using BoundCallback = Callback<void(int), NumberRules>;
/// What the loop stores for its next iteration.
using Thunk = Callback<void(), ThunkRules>;
/// What takes an exception that a callback let go.
using ErrorHandler = Callback<void(const std::exception&), ExceptionRules>;

/// What a slot can be made of: one of its own kind, nothing, or what it accepts.
template <class F, class Slot>
concept TakenBy = std::is_same_v<std::remove_cvref_t<F>, Slot> ||
    std::is_null_pointer_v<std::remove_cvref_t<F>> || AcceptedBy<F, Slot>;

template <class T>
concept TupleLike = requires {
  std::tuple_size<std::remove_cvref_t<T>>::value;
};

template <class F, class Tuple, std::size_t... I>
consteval bool takesPrefix(std::index_sequence<I...>) {
  return std::is_invocable_v<F&, std::tuple_element_t<I, Tuple>&...>;
}

/// The most leading elements of `Tuple` that `F` can be called with, -1 if
/// not even none: a callback may leave out trailing parameters.
template <class F, class Tuple, std::size_t N = std::tuple_size_v<Tuple>>
consteval int longestPrefix() {
  if constexpr (takesPrefix<F, Tuple>(std::make_index_sequence<N>{})) {
    return static_cast<int>(N);
  } else if constexpr (N == 0) {
    return -1;
  } else {
    return longestPrefix<F, Tuple, N - 1>();
  }
}

template <class F, class Tuple, std::size_t... I>
void callPrefix(F& fn, Tuple& args, std::index_sequence<I...>) {
  static_cast<void>(std::invoke(fn, std::get<I>(args)...));
}

/// Whether a timer can be made of these: a callable, and for it a tuple, nothing or nullptr.
template <class F, class Args>
consteval bool bindable() {
  using Tuple = std::remove_cvref_t<Args>;
  if constexpr (std::is_null_pointer_v<Tuple>) {
    return TakenBy<F, BoundCallback>;
  } else if constexpr (!TupleLike<Tuple>) {
    return false;
  } else if constexpr (std::tuple_size_v<Tuple> == 0) {
    return TakenBy<F, BoundCallback>;
  } else {
    return longestPrefix<std::decay_t<F>, Tuple>() >= 0;
  }
}
template <class F, class Args>
concept Bindable = bindable<F, Args>();

/// A timer's callback with its arguments.
template <class F, class Args>
requires Bindable<F, Args> BoundCallback bindCallback(F&& fn, Args&& args) {
  using Fn = std::decay_t<F>;
  using Tuple = std::remove_cvref_t<Args>;
  if constexpr (std::is_null_pointer_v<Tuple>) {
    return BoundCallback(std::forward<F>(fn));
  } else if constexpr (std::tuple_size_v<Tuple> == 0) {
    return BoundCallback(std::forward<F>(fn));
  } else {
    constexpr auto taken = static_cast<std::size_t>(longestPrefix<Fn, Tuple>());
    return BoundCallback([fn = Fn(std::forward<F>(fn)), args = Tuple(std::forward<Args>(args))](int) mutable {
      callPrefix(fn, args, std::make_index_sequence<taken>{});
    });
  }
}

}  // namespace Workerman::detail
