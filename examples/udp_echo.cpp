// A UDP echo: every datagram goes back to whoever sent it.
//
//     [LISTEN=udp://0.0.0.0:9292] ./udp_echo start

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>

using Workerman::Worker;
using Workerman::Connection::UdpConnectionPtr;

int main() {
  const char* listen = std::getenv("LISTEN");
  Worker worker(listen ? listen : "udp://0.0.0.0:9292");
  worker.onWorkerStart = [](Worker* self) { std::cout << "udp on port " << self->getListenPort() << "\n"; };
  // Without connections there is no onConnect and no onClose, only datagrams.
  worker.onMessage = [](UdpConnectionPtr connection, auto data) { connection->send(data); };
  Worker::runAll();
}
