#pragma once

/// Names only: forward declarations of the public classes and the handles
/// that callbacks are given. Include this where a pointer is all you need.

#include <memory>

namespace Workerman {

class EventLoop;
class Timer;
class Worker;

namespace Events {
/// Workerman's name for the loop. There is one implementation, on libuv.
using EventInterface = ::Workerman::EventLoop;
}  // namespace Events

namespace Connection {

class AsyncTcpConnection;
class AsyncUdpConnection;
class ConnectionInterface;
class TcpConnection;
class UdpConnection;

using AsyncTcpConnectionPtr = std::shared_ptr<AsyncTcpConnection>;
using AsyncUdpConnectionPtr = std::shared_ptr<AsyncUdpConnection>;
using ConnectionPtr = std::shared_ptr<ConnectionInterface>;
using TcpConnectionPtr = std::shared_ptr<TcpConnection>;
using UdpConnectionPtr = std::shared_ptr<UdpConnection>;

}  // namespace Connection

namespace Protocols::Http {
class Request;
class Response;
}  // namespace Protocols::Http

}  // namespace Workerman
