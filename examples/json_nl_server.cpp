// A server of one's own protocol, see json_nl.h: prints what it is told and says so.
//
//     [LISTEN=JsonNL://0.0.0.0:1234] ./json_nl_server start

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>
#include "json_nl.h"

using Workerman::Worker;

int main() {
  Workerman::Protocols::add<JsonNL>("JsonNL");

  const char* listen = std::getenv("LISTEN");
  Worker worker(listen ? listen : "JsonNL://0.0.0.0:1234");
  worker.onWorkerStart = [](Worker* self) {
    std::cout << "JsonNL on port " << self->getListenPort() << "\n";
  };
  worker.onMessage = [](auto connection, const nlohmann::json& data) {
    std::cout << data << "\n";
    if (data.is_null()) {
      connection->send(nlohmann::json{{"code", 1}, {"msg", "that is no JSON"}});
    } else {
      connection->send(nlohmann::json{{"code", 0}, {"msg", "ok"}});
    }
  };
  Worker::runAll();
}
