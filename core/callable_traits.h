#pragma once

/// What can be learnt about a callable before calling it (internal).

#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace Workerman::detail {

template <class... Ts>
struct TypeList {};

/// The answer when a callable has no single parameter list: generic or overloaded.
struct Unreadable {};

// ---- The declared parameters --------------------------------------------------------------------

template <class Function>
struct FunctionParameters {
  using Type = Unreadable;
};
template <class R, class... A>
struct FunctionParameters<R (*)(A...)> {
  using Type = TypeList<A...>;
};
template <class R, class... A>
struct FunctionParameters<R (*)(A...) noexcept> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...)> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...) const> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...)&> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...) const&> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...) noexcept> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...) const noexcept> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...)& noexcept> {
  using Type = TypeList<A...>;
};
template <class R, class C, class... A>
struct FunctionParameters<R (C::*)(A...) const& noexcept> {
  using Type = TypeList<A...>;
};

/// Whether F is an instance of a class template, as what std::bind returns is. Lambdas never are.
template <class F>
struct TemplateOf {
  using Type = void;
};
template <template <class...> class W>
struct TemplateName {};
template <template <class...> class W, class... A>
struct TemplateOf<W<A...>> {
  using Type = TemplateName<W>;
};
template <class F>
inline constexpr bool isTemplateInstance = !std::is_void_v<typename TemplateOf<F>::Type>;

using BindFront = typename TemplateOf<decltype(std::bind_front(std::declval<void (*)()>()))>::Type;
template <class F>
inline constexpr bool isBindFront =
    isTemplateInstance<F>&& std::is_same_v<typename TemplateOf<F>::Type, BindFront>;

template <class F>
struct Parameters;

template <std::size_t N, class List>
struct DropFirst {
  using Type = Unreadable;
};
template <class... A>
struct DropFirst<0, TypeList<A...>> {
  using Type = TypeList<A...>;
};
template <std::size_t N, class First, class... A>
requires(N > 0) struct DropFirst<N, TypeList<First, A...>> : DropFirst<N - 1, TypeList<A...>> {
};

/// The parameters that std::bind_front has left open.
template <class W>
struct BoundParameters;
template <template <class...> class W, class F, class... Bound>
struct BoundParameters<W<F, Bound...>> : DropFirst<sizeof...(Bound), typename Parameters<F>::Type> {};

/// The declared parameters of F as a TypeList, or Unreadable. A member function's first one is its object.
template <class F>
struct Parameters : FunctionParameters<F> {};
template <class R, class C>
requires std::is_function_v<R>
struct Parameters<R C::*> {
  template <class... A>
  static TypeList<C*, A...> withObject(TypeList<A...>);
  static Unreadable withObject(Unreadable);
  using Type = decltype(withObject(typename FunctionParameters<R C::*>::Type{}));
};
template <class F>
requires isBindFront<F>
struct Parameters<F> : BoundParameters<F> {
};
template <class F>
requires(std::is_class_v<F> && !isBindFront<F> && requires { &F::operator(); }) struct Parameters<F>
    : FunctionParameters<decltype(&F::operator())> {
};

/// The parameters of a generic callable of which only the first is `auto`, which becomes First.
/// Instantiates the body with it, so ask once, and only after the first one is known to be `auto`.
template <class F, class First>
auto parametersWithFirst(int) -> typename FunctionParameters<decltype(&F::template operator()<First>)>::Type;
template <class F, class First>
Unreadable parametersWithFirst(...);

// ---- Questions to a generic callable that instantiate no body ------------------------------------

/// Converts to nothing, so that only an unconstrained `auto` takes it; not copied, so that std::any does not
/// either.
struct Nothing {
  Nothing(Nothing&&) = default;
  Nothing(const Nothing&) = delete;
};

/// Converts to everything.
struct Anything {
  template <class T>
  operator T&() const;
};

/// F next to an overload that is better only for its object, which is not const. If F's own const operator()
/// fits the arguments as well, the call is ambiguous: known before a body is looked at, which matters
/// because a generic lambda's body with wrong types is a hard error, not a "no".
template <class F>
struct Probe : F {
  using F::operator();
  void operator()(...);
};

/// Whether F, whose operator() must be const, takes arguments of these types.
template <class F, class... A>
concept Takes = !requires(Probe<F> & probe, A... arguments) {
  probe(static_cast<A&&>(arguments)...);
};

/// Probing std::bind and its like would reach the body behind them, and `final` cannot be derived from.
template <class F>
inline constexpr bool canProbe = std::is_class_v<F> && !std::is_final_v<F> && !isTemplateInstance<F>;

}  // namespace Workerman::detail
