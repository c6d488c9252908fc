/// Ours: the client as a user of the library writes it.

#include <workerman/workerman.h>

#include <memory>
#include <string>
#include <vector>

#include "report.h"

using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;

namespace {

struct Client {
  bench::Options options;
  bench::Meter meter;
  std::string message;
  std::vector<AsyncTcpConnectionPtr> connections;
};

void open(Client& client) {
  auto connection =
      std::make_shared<AsyncTcpConnection>("ws://127.0.0.1:" + std::to_string(client.options.port) + "/");
  connection->onWebSocketConnect = [&client](auto) {
    if (!client.meter.opened()) return;
    for (const auto& each : client.connections) each->send(client.message);
  };
  connection->onMessage = [&client](auto con, std::string_view data) {
    if (data.size() != client.message.size()) bench::fail("an answer has another length than the message");
    if (client.meter.finished()) return;
    if (client.meter.roundTrip()) {
      con->send(client.message);
    } else {
      Worker::stopAll();
    }
  };
  connection->onError = [](auto, int, std::string_view why) { bench::fail(std::string(why)); };
  connection->connect();
  client.connections.push_back(connection);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  Client client{options, bench::Meter("workerman", options), bench::asciiPayload(options.size), {}};
  Worker worker;
  worker.onWorkerStart = [&client] {
    for (unsigned i = 0; i < client.options.conns; ++i) open(client);
  };
  Worker::embed();
  Worker::runLoop();
  return client.meter.print();
}
