// A WebSocket echo: every message goes back as it came, text as text and binary as binary.
//
//     [LISTEN=websocket://0.0.0.0:2000] [CERT=cert.pem [KEY=key.pem]] ./websocket_echo start
//
// With a certificate it speaks TLS: wss://.

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>

using Workerman::SocketContext;
using Workerman::Worker;

int main() {
  const char* listen = std::getenv("LISTEN");
  const char* cert = std::getenv("CERT");
  const char* key = std::getenv("KEY");
  SocketContext context;
  if (cert) context.ssl.local_cert = cert;
  if (key) context.ssl.local_pk = key;
  Worker worker(listen ? listen : "websocket://0.0.0.0:2000", context);
  if (cert) worker.transport = "ssl";
  worker.onWorkerStart = [](Worker* self) { std::cout << "echo on port " << self->getListenPort() << "\n"; };
  worker.onMessage = [](auto connection, auto data) {
    connection->websocketType = connection->websocketMessageType;
    connection->send(data);
  };
  Worker::runAll();
}
