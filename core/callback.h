#pragma once

/// The assignable callbacks of workers, connections, timers and the event loop.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

#include "callback_plan.h"
#include "callback_rules.h"
#include "fwd.h"
#include "message.h"

namespace Workerman {

/// Which connections a callback can be called with.
enum class HandleKind : std::uint8_t {
  any,  ///< it names none, or their common base
  tcp,
  udp,
};

namespace detail {

template <class... Args>
struct CallbackBlock;

/// The second way into a callback: with a datagram connection in place of the first argument.
template <class... Args>
struct DatagramEntry {
  using Type = void (*)();
};
template <class First, class... Rest>
requires(!std::is_void_v<typename DatagramOf<std::remove_cvref_t<First>>::Type>) struct DatagramEntry<
    First, Rest...> {
  using Handle = typename DatagramOf<std::remove_cvref_t<First>>::Type;
  using Type = void (*)(CallbackBlock<First, Rest...>&, const Handle&, Rest...);
};

/// What is the same for all callbacks made from one callable's type.
template <class... Args>
struct CallbackTraits {
  void (*destroy)(CallbackBlock<Args...>*);
  typename DatagramEntry<Args...>::Type invokeDatagram;
  const TypeTag* wants;
  HandleKind kind;
};

/// Head of the shared block that holds a callable. The count is not atomic: callbacks stay in their thread.
template <class... Args>
struct CallbackBlock {
  using Invoke = void (*)(CallbackBlock&, Args...);
  Invoke invoke;
  const CallbackTraits<Args...>* traits;
  std::size_t references = 1;

  void release() {
    if (--references == 0) traits->destroy(this);
  }
};

/// Keeps a block while its callable runs, which may clear or replace the slot it was called from.
template <class... Args>
class CallbackPin {
 public:
  explicit CallbackPin(CallbackBlock<Args...>* block) : block_(block) { ++block_->references; }
  ~CallbackPin() { block_->release(); }
  CallbackPin(const CallbackPin&) = delete;
  CallbackPin& operator=(const CallbackPin&) = delete;

 private:
  CallbackBlock<Args...>* block_;
};

[[noreturn, gnu::cold, gnu::noinline]] inline void throwWrongHandle(HandleKind kind) {
  throw std::runtime_error(kind == HandleKind::udp ? "the callback names UdpConnectionPtr, but it is called "
                                                     "for a TCP connection: declare TcpConnectionPtr"
                                                   : "the callback takes a TCP connection, but it is called "
                                                     "for a UDP one: declare UdpConnectionPtr or "
                                                     "ConnectionPtr (auto means TcpConnectionPtr)");
}

/// A block with its callable. PlanT and DatagramPlan say how to call it; at most one of them is Refused.
template <class F, class PlanT, class DatagramPlan, class... Args>
struct CallableBlock : CallbackBlock<Args...> {
  using Base = CallbackBlock<Args...>;
  F callable;

  static void run(Base& base, Args... args) {
    if constexpr (PlanT::ok) {
      runPlan(static_cast<CallableBlock&>(base).callable, PlanT{}, typename PlanT::Indices{}, args...);
    } else {
      throwWrongHandle(HandleKind::udp);
    }
  }

  template <class Handle, class First, class... Rest>
  static void runDatagram(CallbackBlock<First, Rest...>& base, const Handle& handle, Rest... rest) {
    runPlan(static_cast<CallableBlock&>(base).callable, DatagramPlan{}, typename DatagramPlan::Indices{},
            handle, rest...);
  }

  static constexpr typename DatagramEntry<Args...>::Type datagramEntry() {
    if constexpr (DatagramPlan::ok) {
      return &runDatagram<typename DatagramEntry<Args...>::Handle>;
    } else {
      return nullptr;
    }
  }

  static constexpr const TypeTag* wants() {
    if constexpr (PlanT::ok) {
      return PlanT::wants();
    } else {
      return DatagramPlan::wants();
    }
  }

  static void destroy(Base* base) { delete static_cast<CallableBlock*>(base); }

  static constexpr HandleKind kind =
      DatagramPlan::ok ? (PlanT::ok ? HandleKind::any : HandleKind::udp) : HandleKind::tcp;
  static constexpr CallbackTraits<Args...> traits{&destroy, datagramEntry(), wants(), kind};
};

/// A function pointer, std::function or the like that holds nothing.
template <class F>
bool isEmptyCallable(const F& f) {
  if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F> ||
                (std::is_class_v<F> && std::is_constructible_v<bool, const F&> &&
                 std::is_assignable_v<F&, std::nullptr_t>)) {
    return !static_cast<bool>(f);
  } else {
    return false;
  }
}

}  // namespace detail

template <class Signature, class Rules>
class Callback;

template <class Slot, class Rules>
class CallbackRef;

namespace detail {

/// A callable is wrapped in a block of its own.
template <class F, class Rules, class... Args>
struct Storing<F, Callback<void(Args...), Rules>> {
  using List = TypeList<std::remove_cvref_t<Args>...>;
  using PlanT = decltype(makePlan<F, Rules, typename Rules::Connections>(List{}));
  using DatagramPlan = decltype(makeDatagramPlan<F, Rules, PlanT>(List{}));
  using Block = CallableBlock<F, PlanT, DatagramPlan, Args...>;
  static constexpr bool ok = PlanT::ok || DatagramPlan::ok;
};
/// Callbacks with the same arguments share blocks whatever their rules, so that a connection takes its
/// worker's.
template <class R, class Rules, class... Args>
struct Storing<Callback<void(Args...), R>, Callback<void(Args...), Rules>> {
  static constexpr bool ok = true;
};
/// A CallbackRef stands for its slot, on both sides.
template <class S, class R, class Rules, class... Args>
struct Storing<CallbackRef<S, R>, Callback<void(Args...), Rules>>
    : Storing<S, Callback<void(Args...), Rules>> {};
template <class F, class R, class Rules, class... Args>
struct Storing<F, CallbackRef<Callback<void(Args...), R>, Rules>>
    : Storing<F, Callback<void(Args...), Rules>> {};

}  // namespace detail

/// A property that holds a callable, one pointer in size. Copies share the callable, and with it what its
/// captures hold. Not thread-safe: a callback and its copies belong to one thread.
///
/// Takes functions, lambdas (mutable and move-only ones too), functors, std::function, std::bind_front and
/// other callbacks, with the slot's parameters or fewer; what they return is ignored. A wrong signature is
/// refused with the sentence of its rules. Assigning nullptr, an empty std::function or a null function
/// pointer empties it.
///
/// @tparam Rules the declared types that are allowed, see callback_rules.h
template <class... Args, class Rules>
class Callback<void(Args...), Rules> : public Rules::template Refusal<Callback<void(Args...), Rules>> {
  using Refusal = typename Rules::template Refusal<Callback>;

 public:
  using Refusal::operator=;

  constexpr Callback() noexcept = default;
  constexpr Callback(std::nullptr_t) noexcept {}
  Callback(const Callback& other) noexcept : Refusal(), block_(share(other.block_)) {}
  Callback(Callback&& other) noexcept : Refusal(), block_(std::exchange(other.block_, nullptr)) {}

  /// From any callable that fits, or a callback of another kind with the same arguments, which is shared.
  template <detail::AcceptedBy<Callback> F>
  Callback(F&& callable) : block_(make<Rules>(std::forward<F>(callable))) {}
  template <detail::RefusedBy<Callback> F>
  __attribute__((
      unavailable("wrong parameters for a callback of this kind: assigned to the property that it "
                  "is for, it says which ones that takes"))) Callback(F&&) {}

  ~Callback() {
    if (block_ != nullptr) block_->release();
  }

  /// The former callable is released after the new one is in place, or when it returns if it is running.
  Callback& operator=(const Callback& other) noexcept {
    Callback(other).swap(*this);
    return *this;
  }
  Callback& operator=(Callback&& other) noexcept {
    Callback(std::move(other)).swap(*this);
    return *this;
  }
  Callback& operator=(std::nullptr_t) noexcept {
    Callback().swap(*this);
    return *this;
  }
  template <detail::AcceptedBy<Callback> F>
  Callback& operator=(F&& callable) {
    Callback(make<Rules>(std::forward<F>(callable)), Adopt{}).swap(*this);
    return *this;
  }

  void swap(Callback& other) noexcept { std::swap(block_, other.block_); }
  friend void swap(Callback& a, Callback& b) noexcept { a.swap(b); }

  explicit operator bool() const noexcept { return block_ != nullptr; }
  friend bool operator==(const Callback& callback, std::nullptr_t) noexcept {
    return callback.block_ == nullptr;
  }

  /// Calls it; without one, does nothing. What it throws comes out. The callable outlives the call even if
  /// the callback is emptied, replaced or destroyed meanwhile. Throws std::runtime_error if a message is not
  /// of the type that it declares, or if it names a UdpConnectionPtr.
  void operator()(Args... args) const {
    auto* block = block_;
    if (block == nullptr) return;
    detail::CallbackPin<Args...> pin(block);
    block->invoke(*block, static_cast<Args>(args)...);
  }

  /// As operator(), for the datagram connection of a udp:// worker: the handle, then the other arguments.
  /// Throws std::runtime_error if the callable takes TCP connections only.
  template <class Handle, class... Rest>
  void callDatagram(const Handle& handle, const Rest&... rest) const {
    auto* block = block_;
    if (block == nullptr) return;
    auto entry = block->traits->invokeDatagram;
    if (entry == nullptr) detail::throwWrongHandle(HandleKind::tcp);
    detail::CallbackPin<Args...> pin(block);
    entry(*block, handle, rest...);
  }

  /// The type of message that the callable declares; nullptr if it takes none, or if there is no callable.
  const TypeTag* wants() const noexcept { return block_ == nullptr ? nullptr : block_->traits->wants; }

  /// Which connections it can be called with; any if there is no callable.
  HandleKind handleKind() const noexcept {
    return block_ == nullptr ? HandleKind::any : block_->traits->kind;
  }

 private:
  template <class, class>
  friend class Callback;
  template <class, class>
  friend class CallbackRef;
  struct Adopt {};
  using Block = detail::CallbackBlock<Args...>;

  Callback(Block* block, Adopt) noexcept : block_(block) {}

  static Block* share(Block* block) noexcept {
    if (block != nullptr) ++block->references;
    return block;
  }

  template <class R, class OtherRules>
  static Block* make(const Callback<void(Args...), OtherRules>& other) noexcept {
    return share(other.block_);
  }
  template <class R, class Slot, class SlotRules>
  static Block* make(const CallbackRef<Slot, SlotRules>& other) {
    return make<R>(other.slot());
  }
  template <class R, class F,
            class Own = typename detail::Storing<std::decay_t<F>, Callback<void(Args...), R>>::Block>
  static Block* make(F&& callable) {
    if (detail::isEmptyCallable(callable)) return nullptr;
    return new Own{{&Own::run, &Own::traits}, std::forward<F>(callable)};
  }

  Block* block_ = nullptr;
};

/// The same property seen from a derived class, whose handle `auto` then means: AsyncTcpConnection's
/// onMessage is the one of its TcpConnection base. Holds a reference to that slot, so it lives and moves with
/// its owner only.
template <class Slot, class Rules>
class CallbackRef : public Rules::template Refusal<CallbackRef<Slot, Rules>> {
  using Refusal = typename Rules::template Refusal<CallbackRef>;

 public:
  using Refusal::operator=;

  explicit CallbackRef(Slot& slot) noexcept : slot_(slot) {}
  CallbackRef(const CallbackRef&) = delete;

  /// Shares the other's callable; does not bind to its slot.
  CallbackRef& operator=(const CallbackRef& other) noexcept {
    slot_ = other.slot_;
    return *this;
  }
  CallbackRef& operator=(std::nullptr_t) noexcept {
    slot_ = nullptr;
    return *this;
  }
  /// As Callback's, by this class' rules.
  template <detail::AcceptedBy<CallbackRef> F>
  CallbackRef& operator=(F&& callable) {
    Slot(Slot::template make<Rules>(std::forward<F>(callable)), typename Slot::Adopt{}).swap(slot_);
    return *this;
  }

  explicit operator bool() const noexcept { return static_cast<bool>(slot_); }
  friend bool operator==(const CallbackRef& callback, std::nullptr_t) noexcept {
    return callback.slot_ == nullptr;
  }

  template <class... A>
  void operator()(A&&... args) const {
    slot_(std::forward<A>(args)...);
  }

  const TypeTag* wants() const noexcept { return slot_.wants(); }
  const Slot& slot() const noexcept { return slot_; }

 private:
  Slot& slot_;
};

// ---- The slots of a TcpConnection ------------------------------------------------------------------------

namespace detail {

using Tcp = const Connection::TcpConnectionPtr&;
using AsyncUdp = const Connection::AsyncUdpConnectionPtr&;

}  // namespace detail

/// onConnect, onClose, onBufferFull, onBufferDrain
using ConnectionCallback = Callback<void(detail::Tcp), detail::ConnectionRules<detail::TcpHandles>>;
/// onMessage
using MessageCallback = Callback<void(detail::Tcp, const Message&), detail::MessageRules<detail::TcpHandles>>;
/// onError, onWebSocketClose
using ErrorCallback =
    Callback<void(detail::Tcp, int, std::string_view), detail::ErrorRules<detail::TcpHandles>>;
/// onWebSocketConnect, onWebSocketConnected: `auto` means Http::Request
using HandshakeCallback =
    Callback<void(detail::Tcp, const Message&), detail::HandshakeRules<detail::TcpHandles>>;
/// onWebSocketPing, onWebSocketPong
using PayloadCallback =
    Callback<void(detail::Tcp, std::string_view), detail::PayloadRules<detail::TcpHandles>>;
/// errorHandler
using ExceptionCallback = Callback<void(const std::exception&), detail::ExceptionRules>;

// ---- The same slots seen from an AsyncTcpConnection, constructed from its base's

using AsyncTcpConnectionCallback =
    CallbackRef<ConnectionCallback, detail::ConnectionRules<detail::AsyncTcpHandles>>;
using AsyncTcpMessageCallback = CallbackRef<MessageCallback, detail::MessageRules<detail::AsyncTcpHandles>>;
using AsyncTcpErrorCallback = CallbackRef<ErrorCallback, detail::ErrorRules<detail::AsyncTcpHandles>>;
/// onWebSocketConnect: `auto` means const Http::Response
using AsyncTcpHandshakeCallback =
    CallbackRef<HandshakeCallback, detail::ClientHandshakeRules<detail::AsyncTcpHandles>>;
using AsyncTcpPayloadCallback = CallbackRef<PayloadCallback, detail::PayloadRules<detail::AsyncTcpHandles>>;

// ---- The slots of a Worker; a connection's take a copy of them

using WorkerConnectionCallback =
    Callback<void(detail::Tcp), detail::ConnectionRules<detail::TcpHandles, detail::UdpHandles>>;
using WorkerMessageCallback =
    Callback<void(detail::Tcp, const Message&), detail::MessageRules<detail::TcpHandles, detail::UdpHandles>>;
using WorkerErrorCallback = Callback<void(detail::Tcp, int, std::string_view),
                                     detail::ErrorRules<detail::TcpHandles, detail::UdpHandles>>;
using WorkerHandshakeCallback =
    Callback<void(detail::Tcp, const Message&),
             detail::HandshakeRules<detail::TcpHandles, detail::NoHandles, false>>;
using WorkerPayloadCallback = PayloadCallback;
/// onWorkerStart, onWorkerStop, onWorkerReload
using WorkerCallback = Callback<void(Worker*), detail::WorkerRules>;
/// onWorkerExit: the worker, the raw wait status, the process id
using WorkerExitCallback = Callback<void(Worker*, int, int), detail::WorkerExitRules>;
/// onMasterReload, onMasterStop
using MasterCallback = Callback<void(), detail::MasterRules>;

// ---- The slots of a UdpConnection and an AsyncUdpConnection

using UdpErrorCallback = Callback<void(const Connection::UdpConnectionPtr&, int, std::string_view),
                                  detail::UdpErrorRules<detail::UdpHandles>>;
using AsyncUdpErrorCallback = CallbackRef<UdpErrorCallback, detail::UdpErrorRules<detail::AsyncUdpHandles>>;
using AsyncUdpConnectionCallback = Callback<void(detail::AsyncUdp), detail::UdpConnectionRules>;
using AsyncUdpMessageCallback = Callback<void(detail::AsyncUdp, const Message&), detail::UdpMessageRules>;

// ---- Timers and the event loop

/// Called with a timer's id, a file descriptor or a signal's number.
using NumberCallback = Callback<void(int), detail::NumberRules>;

}  // namespace Workerman
