#pragma once

// What the lines of callbacks.txt may use: the slots of each owner, on classes that only carry the public
// names.

#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "core/callback.h"

namespace Workerman {

class Worker {
 public:
  WorkerCallback onWorkerStart;
  WorkerExitCallback onWorkerExit;
  MasterCallback onMasterReload;
  WorkerConnectionCallback onConnect;
  WorkerMessageCallback onMessage;
  WorkerHandshakeCallback onWebSocketConnect;
};

namespace Connection {

class ConnectionInterface {};
class UdpConnection : public ConnectionInterface {
 public:
  UdpErrorCallback onError;
};
class AsyncUdpConnection : public UdpConnection {
 public:
  AsyncUdpConnectionCallback onConnect;
  AsyncUdpMessageCallback onMessage;
  AsyncUdpErrorCallback onError{UdpConnection::onError};
};
class TcpConnection : public ConnectionInterface {
 public:
  ConnectionCallback onConnect;
  MessageCallback onMessage;
  ErrorCallback onError;
  HandshakeCallback onWebSocketConnect;
  PayloadCallback onWebSocketPing;
  ExceptionCallback errorHandler;
};
class AsyncTcpConnection : public TcpConnection {
 public:
  AsyncTcpConnectionCallback onConnect{TcpConnection::onConnect};
  AsyncTcpMessageCallback onMessage{TcpConnection::onMessage};
  AsyncTcpErrorCallback onError{TcpConnection::onError};
  AsyncTcpHandshakeCallback onWebSocketConnect{TcpConnection::onWebSocketConnect};
  AsyncTcpPayloadCallback onWebSocketPing{TcpConnection::onWebSocketPing};
};

}  // namespace Connection

namespace Protocols::Http {
class Request {};
class Response {};
}  // namespace Protocols::Http

}  // namespace Workerman

using namespace Workerman;
using namespace Workerman::Connection;
using namespace Workerman::Protocols;

extern Worker worker;
extern TcpConnection tcp;
extern AsyncTcpConnection client;
extern AsyncUdpConnection udp;
extern NumberCallback timer;
