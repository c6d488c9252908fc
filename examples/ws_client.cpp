// The manual's WebSocket client: says hello, prints what comes, and comes back
// whenever it loses the server.
//
//     ./ws_client start [ws://127.0.0.1:1234]

#include <iostream>
#include <string>
#include <workerman/workerman.h>

using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;
using Workerman::Protocols::Ws;
using Workerman::Worker;

// The address among the program's arguments, or the manual's.
std::string address() {
    for (const std::string& argument : Worker::getArgv()) {
        if (argument.starts_with("ws://") || argument.starts_with("wss://")) return argument;
    }
    return "ws://127.0.0.1:1234";
}

int main() {
    Worker worker;
    worker.onWorkerStart = [] {
        auto ws_connection = std::make_shared<AsyncTcpConnection>(address());
        ws_connection->websocketPingInterval = 55;
        ws_connection->headers = {
            {"Cookie", "PHPSID=82u98fjhakfusuanfnahfi; token=2hf9a929jhfihaf9i"},
            {"OtherKey", "values"},
        };
        ws_connection->websocketType = Ws::BINARY_TYPE_BLOB;
        ws_connection->onConnect = [](auto connection) { std::cout << "tcp connected\n"; };
        ws_connection->onWebSocketConnect = [](AsyncTcpConnectionPtr con, const auto& response) {
            std::cout << response;   // the handshake's response head, as PHP's `echo $response`
            con->send("hello");
        };
        ws_connection->onMessage = [](auto connection, auto data) { std::cout << "recv: " << data << "\n"; };
        ws_connection->onError = [](auto connection, auto code, auto msg) { std::cout << "error: " << msg << "\n"; };
        ws_connection->onClose = [](auto connection) {
            std::cout << "connection closed and try to reconnect\n";
            connection->reConnect(1);
        };
        ws_connection->connect();
    };
    Worker::runAll();
}
