// A WebSocket echo: every message goes back as it came, text as text and binary as binary.
//
//     [LISTEN=websocket://0.0.0.0:2000] ./websocket_echo start

#include <cstdlib>
#include <iostream>
#include <workerman/workerman.h>

using Workerman::Worker;

int main() {
    const char* listen = std::getenv("LISTEN");
    Worker worker(listen ? listen : "websocket://0.0.0.0:2000");
    worker.onWorkerStart = [](Worker* self) {
        std::cout << "echo on port " << self->getListenPort() << "\n";
    };
    worker.onMessage = [](auto connection, auto data) {
        connection->websocketType = connection->websocketMessageType;
        connection->send(data);
    };
    Worker::runAll();
}
