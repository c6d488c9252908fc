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

/// A timer's callback with its arguments: a tuple, nothing, or nullptr.
template <class F, class Args>
BoundCallback bindCallback(F&& fn, Args&& args) {
  using Fn = std::decay_t<F>;
  using Tuple = std::remove_cvref_t<Args>;
  static_assert(
      !std::is_same_v<Tuple, bool>,
      "the third argument is the callback's arguments, the fourth says whether the timer is persistent: "
      "add(seconds, callback, {}, false)");
  if constexpr (std::is_same_v<Tuple, bool>) {
    return {};  // The sentence above is enough.
  } else if constexpr (std::is_null_pointer_v<Tuple>) {
    return BoundCallback(std::forward<F>(fn));
  } else {
    static_assert(TupleLike<Tuple>, "a timer's arguments are a std::tuple, {} or nullptr");
    if constexpr (TupleLike<Tuple>) {
      if constexpr (std::tuple_size_v<Tuple> == 0) {
        return BoundCallback(std::forward<F>(fn));
      } else {
        constexpr int taken = longestPrefix<Fn, Tuple>();
        static_assert(taken >= 0,
                      "a timer's callback takes the arguments given with it, or the first of them");
        if constexpr (taken >= 0) {
          return BoundCallback(
              [fn = Fn(std::forward<F>(fn)), args = Tuple(std::forward<Args>(args))](int) mutable {
                callPrefix(fn, args, std::make_index_sequence<static_cast<std::size_t>(taken)>{});
              });
        } else {
          return {};
        }
      }
    } else {
      return {};
    }
  }
}

}  // namespace Workerman::detail
