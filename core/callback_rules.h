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

/// What the rules of a kind of slot have in common.
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
  template <bool ok>
  static constexpr void require() {
    static_assert(ok,
                  "onConnect, onClose, onBufferFull and onBufferDrain take (connection) or nothing: the "
                  "connection as auto, TcpConnectionPtr or ConnectionPtr, on an AsyncTcpConnection also "
                  "AsyncTcpConnectionPtr, on a Worker also UdpConnectionPtr, by value or const&");
  }
};

template <class C, class D = NoHandles>
struct MessageRules : SlotRules<C, D> {
  template <bool ok>
  static constexpr void require() {
    static_assert(ok,
                  "onMessage takes (connection, data) or fewer: the connection as auto, TcpConnectionPtr or "
                  "ConnectionPtr, on an AsyncTcpConnection also AsyncTcpConnectionPtr, on a Worker also "
                  "UdpConnectionPtr, by value or const&; data as auto, std::string_view, std::string, "
                  "Http::Request& or what the protocol's decode() returns");
  }
};

template <class C, class D = NoHandles>
struct ErrorRules : SlotRules<C, D> {
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok,
        "onError takes (connection, code, message) and onWebSocketClose (connection, code, reason), or "
        "fewer: the connection as auto, TcpConnectionPtr or ConnectionPtr, on an AsyncTcpConnection "
        "also AsyncTcpConnectionPtr, by value or const&; the code as int or auto; the text as auto, "
        "std::string_view or std::string");
  }
};

template <class C, class D = NoHandles>
struct PayloadRules : SlotRules<C, D> {
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok,
        "onWebSocketPing and onWebSocketPong take (connection, payload) or fewer: the connection as "
        "auto, TcpConnectionPtr or ConnectionPtr, on an AsyncTcpConnection also AsyncTcpConnectionPtr, "
        "by value or const&; the payload as auto, std::string_view or std::string");
  }
};

/// The server's handshake callbacks. A client seen as TcpConnection may be given one for a Response, too.
template <class C, class D = NoHandles, bool client = true>
struct HandshakeRules : SlotRules<C, D> {
  using AutoMessage = Protocols::Http::Request;
  template <class T>
  static constexpr bool message = !isText<T> && (client || !std::is_same_v<T, Protocols::Http::Response>);
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok,
        "onWebSocketConnect and onWebSocketConnected of a server take (connection, request) or fewer: "
        "the connection as auto, TcpConnectionPtr or ConnectionPtr, by value or const&; the request "
        "as auto&, Http::Request& or const Http::Request&");
  }
};

template <class C>
struct ClientHandshakeRules : SlotRules<C, NoHandles> {
  using AutoMessage = const Protocols::Http::Response;
  template <class T>
  static constexpr bool message = std::is_same_v<T, Protocols::Http::Response>;
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok,
        "onWebSocketConnect of a client takes (connection, response) or fewer: the connection as auto, "
        "AsyncTcpConnectionPtr, TcpConnectionPtr or ConnectionPtr, by value or const&; the response as "
        "const auto&, const Http::Response& or Http::Response");
  }
};

struct UdpConnectionRules : SlotRules<AsyncUdpHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok,
        "onConnect and onClose of an AsyncUdpConnection take (connection) or nothing: the connection as "
        "auto, AsyncUdpConnectionPtr, UdpConnectionPtr or ConnectionPtr, by value or const&");
  }
};

struct UdpMessageRules : SlotRules<AsyncUdpHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok,
        "onMessage of an AsyncUdpConnection takes (connection, data) or fewer: the connection as auto, "
        "AsyncUdpConnectionPtr, UdpConnectionPtr or ConnectionPtr, by value or const&; data as auto, "
        "std::string_view, std::string or what the protocol's decode() returns");
  }
};

template <class C>
struct UdpErrorRules : SlotRules<C, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(ok,
                  "onError of a datagram's connection takes (connection, code, message) or fewer: the "
                  "connection as auto, UdpConnectionPtr or ConnectionPtr, on an AsyncUdpConnection also "
                  "AsyncUdpConnectionPtr, by value or const&; the code as int or auto; the text as auto, "
                  "std::string_view or std::string");
  }
};

struct WorkerRules : SlotRules<NoHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(ok, "onWorkerStart, onWorkerStop and onWorkerReload take (Worker*) or nothing");
  }
};

struct WorkerExitRules : SlotRules<NoHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(ok, "onWorkerExit takes (Worker*, int status, int pid) or fewer");
  }
};

struct MasterRules : SlotRules<NoHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(ok, "onMasterReload and onMasterStop take no parameters");
  }
};

struct ExceptionRules : SlotRules<NoHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(ok, "an error handler takes (const std::exception&) or nothing");
  }
};

struct NumberRules : SlotRules<NoHandles, NoHandles> {
  template <bool ok>
  static constexpr void require() {
    static_assert(
        ok, "this callback takes nothing or one int: a timer's id, a file descriptor or a signal's number");
  }
};

}  // namespace Workerman::detail
