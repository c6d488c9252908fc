// The manual's WebSocket client: says hello, prints what comes, and comes back
// whenever it loses the server.
//
//     [SERVER=ws://127.0.0.1:1234] [CA=file.pem] ./ws_client start
//
// With wss:// the server's certificate is checked against the system's authorities, or against those in CA.

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>

using Workerman::SocketContext;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;
using Workerman::Protocols::Ws;

int main() {
  Worker worker;
  worker.onWorkerStart = [] {
    const char* server = std::getenv("SERVER");
    SocketContext context;
    if (const char* ca = std::getenv("CA")) context.ssl.cafile = ca;
    auto ws_connection =
        std::make_shared<AsyncTcpConnection>(server ? server : "ws://127.0.0.1:1234", context);
    ws_connection->websocketPingInterval = 55;
    ws_connection->headers = {
        {"Cookie", "PHPSID=82u98fjhakfusuanfnahfi; token=2hf9a929jhfihaf9i"},
        {"OtherKey", "values"},
    };
    ws_connection->websocketType = Ws::BINARY_TYPE_BLOB;
    ws_connection->onConnect = [](auto connection) { std::cout << "tcp connected\n"; };
    ws_connection->onWebSocketConnect = [](AsyncTcpConnectionPtr con, const auto& response) {
      std::cout << response;  // the handshake's response head, as PHP's `echo $response`
      con->send("hello");
    };
    ws_connection->onMessage = [](auto connection, auto data) { std::cout << "recv: " << data << "\n"; };
    ws_connection->onError = [](auto connection, auto code, auto msg) {
      std::cout << "error: " << msg << "\n";
    };
    ws_connection->onClose = [](auto connection) {
      std::cout << "connection closed and try to reconnect\n";
      connection->reConnect(1);
    };
    ws_connection->connect();
  };
  Worker::runAll();
}
