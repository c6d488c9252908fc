#pragma once

/// How a callable's parameters are filled from what a callback is given (internal).
/// A plan is a list of adaptors, one for each parameter that the callable takes.

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "callable_traits.h"
#include "message.h"
#include "text_view.h"

namespace Workerman::detail {

/// The handles of a kind of slot: what `auto` means, what else may be declared.
template <class A, class... Others>
struct Handles {
  using Auto = A;
  template <class T>
  static constexpr bool accepts = (std::is_same_v<T, A> || ... || std::is_same_v<T, Others>);
};

/// The slot's callbacks are not given a connection.
struct NoHandles {
  using Auto = void;
};

// ---- Adaptors: from what the slot is called with to what the callable is given -------------------

/// As it is.
template <class P>
struct PassAsIs {
  using Passed = const P&;
  static Passed pass(const P& value) { return value; }
};

struct PassString {
  using Passed = std::string;
  static Passed pass(std::string_view text) { return std::string(text); }
};

/// Const, so that an `auto&` takes it too.
struct PassText {
  using Passed = const TextView;
  static Passed pass(std::string_view text) { return text; }
};

/// A handle of a base or derived class of the stored one; the cast needs both classes complete.
template <class T>
struct PassHandle {
  using Passed = T;
  template <class Stored>
  static Passed pass(const Stored& handle) {
    return std::static_pointer_cast<typename std::remove_const_t<T>::element_type>(handle);
  }
};

template <class T>
struct PassMessage {
  using Passed = T&;
  static Passed pass(const Message& message) { return message.as<T>(); }
  static constexpr const TypeTag* wants() { return typeTag<T>(); }
};

struct PassMessageText {
  using Passed = const TextView;
  static Passed pass(const Message& message) { return message.as<const std::string_view>(); }
  static constexpr const TypeTag* wants() { return textTag(); }
};

struct PassMessageString {
  using Passed = std::string;
  static Passed pass(const Message& message) { return std::string(message.as<const std::string_view>()); }
  static constexpr const TypeTag* wants() { return textTag(); }
};

template <class... Adaptors>
struct Plan {
  static constexpr bool ok = true;
  using Indices = std::index_sequence_for<Adaptors...>;
  static constexpr const TypeTag* wants() {
    const TypeTag* tag = nullptr;
    (take<Adaptors>(tag), ...);
    return tag;
  }

 private:
  template <class Adaptor>
  static constexpr void take(const TypeTag*& tag) {
    if constexpr (requires { Adaptor::wants(); }) tag = Adaptor::wants();
  }
};

/// The callable fits no allowed signature.
struct Refused {
  static constexpr bool ok = false;
};

template <class... Adaptors>
constexpr auto planOf(Adaptors...) {
  if constexpr ((std::is_same_v<Adaptors, Refused> || ...)) {
    return Refused{};
  } else {
    return Plan<Adaptors...>{};
  }
}

/// Whether F takes arguments of these types. Without a look at its body where that can be: in one that is
/// wrong, compilers tell of the error at each question.
template <class F, class... A>
constexpr bool takes() {
  if constexpr (!canProbe<F>) {
    return std::is_invocable_v<F&, A...>;
  } else if constexpr (Takes<F, A...>) {
    return true;
  } else {
    return std::is_invocable_v<F&, A...>;
  }
}

template <class F, class P>
inline constexpr bool fits = false;
template <class F, class... Adaptors>
inline constexpr bool fits<F, Plan<Adaptors...>> = takes<F, typename Adaptors::Passed...>();

/// Calls f with as many of the arguments as the plan has adaptors. Not by std::invoke where it need not be:
/// that asks about the call several times before it makes it.
template <class F, class... Adaptors, std::size_t... I, class... Args>
void runPlan(F& f, Plan<Adaptors...>, std::index_sequence<I...>, Args&... args) {
  [[maybe_unused]] std::tuple<Args&...> all(args...);
  if constexpr (std::is_member_pointer_v<F>) {
    static_cast<void>(std::invoke(f, Adaptors::pass(std::get<I>(all))...));
  } else {
    static_cast<void>(f(Adaptors::pass(std::get<I>(all))...));
  }
}

// ---- Declared parameters ------------------------------------------------------------------------

template <class Rules, class D>
constexpr auto adaptMessage() {
  using T = std::remove_cvref_t<D>;
  constexpr bool text =
      std::is_same_v<T, std::string_view> || std::is_same_v<T, TextView> || std::is_same_v<T, std::string>;
  constexpr bool writes = std::is_lvalue_reference_v<D> && !std::is_const_v<std::remove_reference_t<D>>;
  if constexpr (std::is_same_v<T, Message>) {
    return PassAsIs<Message>{};
  } else if constexpr (!Rules::template message<T> || std::is_pointer_v<T> || (text && writes)) {
    return Refused{};
  } else if constexpr (std::is_same_v<T, std::string>) {
    return PassMessageString{};
  } else if constexpr (std::is_same_v<T, TextView>) {
    return PassMessageText{};
  } else {
    return PassMessage<std::conditional_t<writes, T, const T>>{};
  }
}

/// A declared int may be wider, a pointer may be one to const; nothing is narrowed or converted.
template <class P, class D>
constexpr auto adaptPlain() {
  using T = std::remove_cvref_t<D>;
  if constexpr (std::is_same_v<P, std::string_view> && std::is_same_v<T, std::string>) {
    return PassString{};
  } else if constexpr (std::is_same_v<P, std::string_view> && std::is_same_v<T, TextView>) {
    return PassText{};
  } else if constexpr (std::is_same_v<T, P>) {
    // A class (an exception) is not copied: that could slice it.
    constexpr bool copies =
        std::is_class_v<P> && !std::is_same_v<P, std::string_view> && !std::is_reference_v<D>;
    return std::conditional_t<copies, Refused, PassAsIs<P>>{};
  } else if constexpr (std::is_same_v<P, int> && (std::is_same_v<T, long> || std::is_same_v<T, long long>)) {
    return PassAsIs<P>{};
  } else if constexpr (std::is_pointer_v<P> &&
                       std::is_same_v<T, std::add_const_t<std::remove_pointer_t<P>>*>) {
    return PassAsIs<P>{};
  } else {
    return Refused{};
  }
}

/// The adaptor for a parameter declared as D where the slot's is P, or Refused.
template <class Rules, class H, bool first, class P, class D>
constexpr auto adaptDeclared() {
  using T = std::remove_cvref_t<D>;
  constexpr bool writes = std::is_lvalue_reference_v<D> && !std::is_const_v<std::remove_reference_t<D>>;
  if constexpr (std::is_rvalue_reference_v<D>) {
    return Refused{};
  } else if constexpr (std::is_same_v<P, Message>) {
    return adaptMessage<Rules, D>();
  } else if constexpr (writes) {
    return Refused{};
  } else if constexpr (first && !std::is_void_v<typename H::Auto>) {
    if constexpr (!H::template accepts<T>) {
      return Refused{};
    } else {
      return std::conditional_t<std::is_same_v<T, P>, PassAsIs<P>,
                                PassHandle<std::conditional_t<std::is_reference_v<D>, const T, T>>>{};
    }
  } else {
    return adaptPlain<P, D>();
  }
}

template <class Rules, class H, class... P, class... D>
constexpr auto planDeclared(TypeList<P...>, TypeList<D...>) {
  if constexpr (sizeof...(D) > sizeof...(P)) {
    return Refused{};
  } else {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return planOf(adaptDeclared<Rules, H, I == 0, std::tuple_element_t<I, std::tuple<P...>>, D>()...);
    }
    (std::index_sequence_for<D...>{});
  }
}

// ---- Generic callables ---------------------------------------------------------------------------

/// The adaptor that an `auto` gets; the callable decides whether the handle is const (for `auto&`).
template <class Rules, class H, bool first, class P, bool constHandle>
constexpr auto adaptAuto() {
  if constexpr (first && !std::is_void_v<typename H::Auto>) {
    using A = typename H::Auto;
    if constexpr (std::is_same_v<A, P>) {
      return PassAsIs<P>{};
    } else {
      return PassHandle<std::conditional_t<constHandle, const A, A>>{};
    }
  } else if constexpr (std::is_same_v<P, Message>) {
    constexpr bool text = std::is_same_v<typename Rules::AutoMessage, const TextView>;
    return std::conditional_t<text, PassMessageText, PassMessage<typename Rules::AutoMessage>>{};
  } else if constexpr (std::is_same_v<P, std::string_view>) {
    return PassText{};
  } else {
    return PassAsIs<P>{};
  }
}

template <class Rules, class H, std::size_t arity, bool constHandle, class... P>
constexpr auto planAuto(TypeList<P...>) {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return planOf(adaptAuto<Rules, H, I == 0, std::tuple_element_t<I, std::tuple<P...>>, constHandle>()...);
  }
  (std::make_index_sequence<arity>{});
}

/// Tries the callable with `arity` parameters, then with fewer.
template <class F, class Rules, class H, std::size_t arity, class List>
constexpr auto tryAuto() {
  using Mutable = decltype(planAuto<Rules, H, arity, false>(List{}));
  using Const = decltype(planAuto<Rules, H, arity, true>(List{}));
  if constexpr (fits<F, Mutable>) {
    return Mutable{};
  } else if constexpr (fits<F, Const>) {
    return Const{};
  } else if constexpr (arity > 0) {
    return tryAuto<F, Rules, H, arity - 1, List>();
  } else {
    return Refused{};
  }
}

/// What `auto` becomes for a handle followed by Data: a type, or for `auto&` one that is const, as the
/// handle.
template <class F, class Handle, class Data>
using AutoHandle = std::conditional_t<Takes<F, Handle, Data>, Handle, const Handle>;

/// The parameters of a generic callable `(auto connection, T data)`, or Unreadable for every other shape.
/// T decides what a connection's data must be, not what T could be converted from.
template <class F, class Rules, class H>
constexpr auto readSecond() {
  using Handle = typename H::Auto;
  using Data = typename Rules::AutoMessage&;
  if constexpr (!canProbe<F>) {
    return Unreadable{};
  } else if constexpr (Takes<F, const Handle&, Data>) {
    if constexpr (!Takes<F, const Handle&, Nothing> && Takes<F, const Nothing&, Data>) {
      return decltype(parametersWithFirst<F, AutoHandle<F, Handle, Data>>(0)){};
    } else {
      return Unreadable{};
    }
  } else if constexpr (std::is_invocable_v<F&, const Handle&, Data>) {
    return Unreadable{};  // a mutable lambda: the probe works on const ones only, so it gets text
  } else if constexpr (Takes<F, const Handle&, Anything>) {
    if constexpr (Takes<F, const Nothing&, Anything>) {
      return decltype(parametersWithFirst<F, AutoHandle<F, Handle, Anything>>(0)){};
    } else {
      return Unreadable{};
    }
  } else if constexpr (std::is_invocable_v<F&, const Handle&, Anything>) {
    constexpr bool rvalue = std::is_invocable_v<F&, Handle, Anything>;
    return decltype(parametersWithFirst<F, std::conditional_t<rvalue, Handle, const Handle>>(0)){};
  } else {
    return Unreadable{};
  }
}

template <class F, class Rules, class H, class... P>
constexpr auto planGeneric(TypeList<P...> list) {
  if constexpr (sizeof...(P) == 2 && (std::is_same_v<P, Message> || ...)) {
    using Read = decltype(readSecond<F, Rules, H>());
    if constexpr (!std::is_same_v<Read, Unreadable>) {
      return planDeclared<Rules, H>(list, Read{});
    } else {
      return tryAuto<F, Rules, H, sizeof...(P), TypeList<P...>>();
    }
  } else {
    return tryAuto<F, Rules, H, sizeof...(P), TypeList<P...>>();
  }
}

/// The plan for F in a slot that is called with P..., or Refused.
template <class F, class Rules, class H, class... P>
constexpr auto makePlan(TypeList<P...> list) {
  using Declared = typename Parameters<F>::Type;
  if constexpr (!std::is_same_v<Declared, Unreadable>) {
    return planDeclared<Rules, H>(list, Declared{});
  } else {
    return planGeneric<F, Rules, H>(list);
  }
}

/// Whether F, generic and served by the plan, names a base of the handle rather than `auto`.
template <class F, class First, class... Rest>
constexpr bool namesItsHandle(Plan<First, Rest...>) {
  if constexpr (!canProbe<F>) {
    return false;
  } else if constexpr (!Takes<F, typename First::Passed, typename Rest::Passed...>) {
    return false;
  } else {
    // Const lvalues, as the handle is: an `auto&` takes these too.
    return !Takes<F, const Nothing&, typename Rest::Passed...> &&
           !Takes<F, const std::shared_ptr<Nothing>&, typename Rest::Passed...>;
  }
}
template <class F>
constexpr bool namesItsHandle(Plan<>) {
  return false;
}

/// The plan for calling F with the slot's datagram handle, or Refused; `auto` means the ordinary handle.
template <class F, class Rules, class Main, class P, class... Rest>
constexpr auto makeDatagramPlan(TypeList<P, Rest...>) {
  using H = typename Rules::Datagrams;
  if constexpr (std::is_void_v<typename H::Auto>) {
    return Refused{};
  } else if constexpr (std::is_same_v<Main, Plan<>>) {
    return Main{};
  } else {
    using List = TypeList<typename H::Auto, Rest...>;
    constexpr bool readable = !std::is_same_v<typename Parameters<F>::Type, Unreadable>;
    if constexpr (readable || !Main::ok) {
      return makePlan<F, Rules, H>(List{});
    } else if constexpr (namesItsHandle<F>(Main{})) {
      return makePlan<F, Rules, H>(List{});
    } else {
      return Refused{};
    }
  }
}
template <class F, class Rules, class Main>
constexpr Refused makeDatagramPlan(TypeList<>) {
  return {};
}

}  // namespace Workerman::detail
