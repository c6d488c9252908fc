// The client's side of the same protocol, see json_nl.h: says something, prints the answer, ends.
//
//     [SERVER=JsonNL://127.0.0.1:1234] ./json_nl_client

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>
#include "json_nl.h"

using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

int main() {
  Workerman::Protocols::add<JsonNL>("JsonNL");

  Worker worker;
  worker.onWorkerStart = [] {
    const char* server = std::getenv("SERVER");
    auto connection = std::make_shared<AsyncTcpConnection>(server ? server : "JsonNL://127.0.0.1:1234");
    connection->onConnect = [](auto con) {
      con->send(nlohmann::json{{"type", "message"}, {"content", "hello"}});
    };
    connection->onMessage = [](auto con, const nlohmann::json& answer) {
      std::cout << answer << "\n";
      con->close();
    };
    connection->onError = [](auto con, int code, auto why) { Worker::stopAll(1, why); };
    connection->onClose = [] { Worker::stopAll(); };
    connection->connect();
  };
  Worker::embed();
  return Worker::runLoop();
}
