/// Ours: the servers as a user of the library writes them.

#include <workerman/workerman.h>

#include <csignal>
#include <string>

#include "serve.h"

using Workerman::Worker;

int main(int argc, char** argv) {
  const auto options =
      bench::ServeOptions::parse(argc, argv, {"ws", "wss", "tcp", "broadcast", "text", "deflate"});
  const std::string scheme = options.what == bench::Serve::kTcp    ? "tcp"
                             : options.what == bench::Serve::kText ? "text"
                                                                   : "websocket";
  Worker worker(scheme + "://127.0.0.1:" + std::to_string(options.port),
                {.ssl = {.local_cert = options.pem}});
  if (options.what == bench::Serve::kSecureWebSocket) worker.transport = "ssl";
  worker.onWorkerStart = [](Worker* self) {
    Worker::globalEvent->onSignal(SIGTERM, [] { Worker::stopAll(); });
    bench::announce(self->getListenPort());
  };
  if (options.what == bench::Serve::kBroadcast) {
    worker.onWebSocketConnected = [](auto connection) { connection->subscribe("all"); };
    worker.onMessage = [&worker](auto, auto data) { worker.publish("all", data); };
  } else if (options.what == bench::Serve::kDeflate) {
    worker.onWebSocketConnect = [](auto connection, auto&) { connection->websocketDeflate = true; };
    worker.onMessage = [](auto connection, auto data) {
      if (data.size() <= bench::kLongestEcho) connection->send(data);
    };
  } else {
    worker.onMessage = [](auto connection, auto data) { connection->send(data); };
  }
  Worker::embed();
  return Worker::runLoop();
}
