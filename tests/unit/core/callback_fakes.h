#pragma once

/// Stand-ins for connections, so that callbacks are tested without any. Each class has a member that
/// the others lack: a generic lambda whose body is tried with a wrong type does not compile.

#include <memory>
#include <string_view>

#include "core/callback.h"

namespace fakes {

struct Base {
  int base = 1;
};
struct Tcp : Base {
  int tcp = 2;
};
struct Async : Tcp {
  int async = 3;
};
struct Udp : Base {
  int udp = 4;
};
struct Request {
  int request = 5;
};
struct Response {
  int response = 6;
};

using BasePtr = std::shared_ptr<Base>;
using TcpPtr = std::shared_ptr<Tcp>;
using AsyncPtr = std::shared_ptr<Async>;
using UdpPtr = std::shared_ptr<Udp>;

using TcpHandles = Workerman::detail::Handles<TcpPtr, BasePtr>;
using AsyncHandles = Workerman::detail::Handles<AsyncPtr, TcpPtr, BasePtr>;
using UdpHandles = Workerman::detail::Handles<UdpPtr, BasePtr>;

}  // namespace fakes

template <>
struct Workerman::detail::DatagramOf<fakes::TcpPtr> {
  using Type = fakes::UdpPtr;
};

namespace fakes {

using Workerman::Message;
namespace rules = Workerman::detail;

struct ServerHandshake : rules::HandshakeRules<TcpHandles> {
  using AutoMessage = Request;
};
struct ClientHandshake : rules::ClientHandshakeRules<AsyncHandles> {
  using AutoMessage = const Response;
  template <class T>
  static constexpr bool message = std::is_same_v<T, Response>;
};

// As in core/callback.h, on the stand-ins.
using OnClose = Workerman::Callback<void(const TcpPtr&), rules::ConnectionRules<TcpHandles>>;
using OnMessage = Workerman::Callback<void(const TcpPtr&, const Message&), rules::MessageRules<TcpHandles>>;
using OnError =
    Workerman::Callback<void(const TcpPtr&, int, std::string_view), rules::ErrorRules<TcpHandles>>;
using OnPing = Workerman::Callback<void(const TcpPtr&, std::string_view), rules::PayloadRules<TcpHandles>>;
using OnHandshake = Workerman::Callback<void(const TcpPtr&, const Message&), ServerHandshake>;
using AsyncOnClose = Workerman::CallbackRef<OnClose, rules::ConnectionRules<AsyncHandles>>;
using AsyncOnMessage = Workerman::CallbackRef<OnMessage, rules::MessageRules<AsyncHandles>>;
using AsyncOnError = Workerman::CallbackRef<OnError, rules::ErrorRules<AsyncHandles>>;
using AsyncOnHandshake = Workerman::CallbackRef<OnHandshake, ClientHandshake>;
using WorkerOnMessage =
    Workerman::Callback<void(const TcpPtr&, const Message&), rules::MessageRules<TcpHandles, UdpHandles>>;
using WorkerOnClose =
    Workerman::Callback<void(const TcpPtr&), rules::ConnectionRules<TcpHandles, UdpHandles>>;

/// Whether a slot of these rules, called with P..., accepts F.
template <class F, class Rules, class... P>
inline constexpr bool accepts = [] {
  using List = rules::TypeList<P...>;
  using Main = decltype(rules::makePlan<F, Rules, typename Rules::Connections>(List{}));
  using Datagram = decltype(rules::makeDatagramPlan<F, Rules, Main>(List{}));
  return Main::ok || Datagram::ok;
}();

}  // namespace fakes
