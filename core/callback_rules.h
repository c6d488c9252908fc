#pragma once

/// What each kind of callback accepts, and the sentence that says so when it is given something else.

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "callback_plan.h"
#include "fwd.h"
#include "text_view.h"

namespace Workerman::detail {

using TcpHandles = Handles<Connection::TcpConnectionPtr, Connection::ConnectionPtr>;
using AsyncTcpHandles =
    Handles<Connection::AsyncTcpConnectionPtr, Connection::TcpConnectionPtr, Connection::ConnectionPtr>;
using UdpHandles = Handles<Connection::UdpConnectionPtr, Connection::ConnectionPtr>;
using AsyncUdpHandles =
    Handles<Connection::AsyncUdpConnectionPtr, Connection::UdpConnectionPtr, Connection::ConnectionPtr>;

/// The handle that a Worker's callbacks may name instead of the one they are stored for, or void.
template <class Handle>
struct DatagramOf {
  using Type = void;
};
template <>
struct DatagramOf<Connection::TcpConnectionPtr> {
  using Type = Connection::UdpConnectionPtr;
};

/// How a callable of type F, decayed, is stored in a slot; `ok` if it can be.
template <class F, class Slot>
struct Storing;

template <class F, class Slot>
concept AcceptedBy = !std::is_same_v<std::remove_cvref_t<F>, Slot> && Storing<std::decay_t<F>, Slot>::ok;
template <class F, class Slot>
concept RefusedBy = !std::is_same_v<std::remove_cvref_t<F>, Slot> && !Storing<std::decay_t<F>, Slot>::ok;

/// What the rules of a kind of slot have in common. Each kind adds a Refusal, an empty base of its slots: the
/// assignment of what they do not take. An overload that is unavailable is the one form of refusal for which
/// compilers name the user's line first; its sentence must be a literal. (Its parameter differs from that of
/// the slot's own assignment, which would hide it from Clang.)
/// @tparam C the connections it is called with, @tparam D those of a udp:// worker
template <class C, class D>
struct SlotRules {
  using Connections = C;
  using Datagrams = D;
  /// What `auto` means for a connection's data.
  using AutoMessage = const TextView;
  /// Whether a connection's data may be declared as T.
  template <class T>
  static constexpr bool message = true;
};

template <class T>
inline constexpr bool isText =
    std::is_same_v<T, std::string_view> || std::is_same_v<T, TextView> || std::is_same_v<T, std::string>;

template <class C, class D = NoHandles>
struct ConnectionRules : SlotRules<C, D> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((
        unavailable("onConnect, onClose, onBufferFull and onBufferDrain take (connection) or nothing: the "
                    "connection as auto, TcpConnectionPtr or ConnectionPtr, on an AsyncTcpConnection also "
                    "AsyncTcpConnectionPtr, on a Worker also UdpConnectionPtr, by value or const&"))) void
    operator=(const F&) {}
  };
};

template <class C, class D = NoHandles>
struct MessageRules : SlotRules<C, D> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onMessage takes (connection, data) or fewer: the connection as auto, TcpConnectionPtr or "
        "ConnectionPtr, on an AsyncTcpConnection also AsyncTcpConnectionPtr, on a Worker also "
        "UdpConnectionPtr, by value or const&; data as auto, std::string_view, std::string, "
        "Http::Request& or what the protocol's decode() returns"))) void
    operator=(const F&) {}
  };
};

template <class C, class D = NoHandles>
struct ErrorRules : SlotRules<C, D> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onError takes (connection, code, message) and onWebSocketClose (connection, code, reason), or "
        "fewer: the connection as auto, TcpConnectionPtr or ConnectionPtr, on an AsyncTcpConnection "
        "also AsyncTcpConnectionPtr, by value or const&; the code as int or auto; the text as auto, "
        "std::string_view or std::string"))) void
    operator=(const F&) {}
  };
};

template <class C, class D = NoHandles>
struct PayloadRules : SlotRules<C, D> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onWebSocketPing and onWebSocketPong take (connection, payload) or fewer: the connection as "
        "auto, TcpConnectionPtr or ConnectionPtr, on an AsyncTcpConnection also AsyncTcpConnectionPtr, "
        "by value or const&; the payload as auto, std::string_view or std::string"))) void
    operator=(const F&) {}
  };
};

/// The server's handshake callbacks. A client seen as TcpConnection may be given one for a Response, too.
template <class C, class D = NoHandles, bool client = true>
struct HandshakeRules : SlotRules<C, D> {
  using AutoMessage = Protocols::Http::Request;
  template <class T>
  static constexpr bool message = !isText<T> && (client || !std::is_same_v<T, Protocols::Http::Response>);
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onWebSocketConnect and onWebSocketConnected of a server take (connection, request) or fewer: "
        "the connection as auto, TcpConnectionPtr or ConnectionPtr, by value or const&; the request "
        "as auto&, Http::Request& or const Http::Request&"))) void
    operator=(const F&) {}
  };
};

template <class C>
struct ClientHandshakeRules : SlotRules<C, NoHandles> {
  using AutoMessage = const Protocols::Http::Response;
  template <class T>
  static constexpr bool message = std::is_same_v<T, Protocols::Http::Response>;
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onWebSocketConnect of a client takes (connection, response) or fewer: the connection as auto, "
        "AsyncTcpConnectionPtr, TcpConnectionPtr or ConnectionPtr, by value or const&; the response as "
        "const auto&, const Http::Response& or Http::Response"))) void
    operator=(const F&) {}
  };
};

struct UdpConnectionRules : SlotRules<AsyncUdpHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onConnect and onClose of an AsyncUdpConnection take (connection) or nothing: the connection as "
        "auto, AsyncUdpConnectionPtr, UdpConnectionPtr or ConnectionPtr, by value or const&"))) void
    operator=(const F&) {}
  };
};

struct UdpMessageRules : SlotRules<AsyncUdpHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "onMessage of an AsyncUdpConnection takes (connection, data) or fewer: the connection as auto, "
        "AsyncUdpConnectionPtr, UdpConnectionPtr or ConnectionPtr, by value or const&; data as auto, "
        "std::string_view, std::string or what the protocol's decode() returns"))) void
    operator=(const F&) {}
  };
};

template <class C>
struct UdpErrorRules : SlotRules<C, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((
        unavailable("onError of a datagram's connection takes (connection, code, message) or fewer: the "
                    "connection as auto, UdpConnectionPtr or ConnectionPtr, on an AsyncUdpConnection also "
                    "AsyncUdpConnectionPtr, by value or const&; the code as int or auto; the text as auto, "
                    "std::string_view or std::string"))) void
    operator=(const F&) {}
  };
};

struct WorkerRules : SlotRules<NoHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((
        unavailable("onWorkerStart, onWorkerStop and onWorkerReload take (Worker*) or nothing"))) void
    operator=(const F&) {}
  };
};

struct WorkerExitRules : SlotRules<NoHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable("onWorkerExit takes (Worker*, int status, int pid) or fewer"))) void operator=(
        const F&) {}
  };
};

struct MasterRules : SlotRules<NoHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable("onMasterReload and onMasterStop take no parameters"))) void operator=(
        const F&) {}
  };
};

struct ExceptionRules : SlotRules<NoHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable("an error handler takes (const std::exception&) or nothing"))) void operator=(
        const F&) {}
  };
};

struct NumberRules : SlotRules<NoHandles, NoHandles> {
  template <class Slot>
  struct Refusal {
    template <RefusedBy<Slot> F>
    __attribute__((unavailable(
        "this callback takes nothing or one int: a timer's id, a file descriptor or a signal's number"))) void
    operator=(const F&) {}
  };
};

}  // namespace Workerman::detail
