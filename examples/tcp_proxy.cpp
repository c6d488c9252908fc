// A TCP proxy: whoever connects talks to the target. pipe() carries the bytes each way as
// fast as the slower side takes them.
//
//     [LISTEN=tcp://0.0.0.0:8483] [TARGET=tcp://127.0.0.1:80] ./tcp_proxy start

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>

using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

int main() {
  const char* listen = std::getenv("LISTEN");
  const char* target = std::getenv("TARGET");
  const std::string address = target ? target : "tcp://127.0.0.1:80";
  Worker worker(listen ? listen : "tcp://0.0.0.0:8483");
  worker.onWorkerStart = [address](Worker* self) {
    std::cout << "proxy on port " << self->getListenPort() << " for " << address << "\n";
  };
  worker.onConnect = [address](auto client) {
    auto server = std::make_shared<AsyncTcpConnection>(address);
    server->onError = [](auto connection, int code, auto why) { std::cout << "target: " << why << "\n"; };
    client->pipe(server);
    server->pipe(client);
    server->connect();
  };
  Worker::runAll();
}
