// Sends a file in the binary protocol of binary_transfer.h, prints the receipt, ends.
//
//     [FILE=hello.txt] [SERVER=BinaryTransfer://127.0.0.1:8333] ./binary_transfer_client

#include <workerman/workerman.h>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include "binary_transfer.h"

using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

// What a file holds, or a greeting where none is asked for.
std::string contents(const char* path) {
  if (!path) return "hello";
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int main() {
  Workerman::Protocols::add<BinaryTransfer>("BinaryTransfer");

  Worker worker;
  worker.onWorkerStart = [] {
    const char* address = std::getenv("SERVER");
    const std::string server = address ? address : "BinaryTransfer://127.0.0.1:8333";
    const char* path = std::getenv("FILE");
    const std::string name = path ? path : "hello.txt";
    const std::string data = contents(path);
    auto connection = std::make_shared<AsyncTcpConnection>(server);
    connection->onConnect = [name, data](auto con) {
      con->send(File{name.substr(name.rfind('/') + 1), data});
    };
    connection->onMessage = [](auto con, const File& receipt) {
      std::cout << receipt.name << ": " << receipt.data << "\n";
      con->close();
    };
    connection->onError = [](auto con, int code, auto why) { Worker::stopAll(1, why); };
    connection->onClose = [] { Worker::stopAll(); };
    connection->connect();
  };
  Worker::embed();
  return Worker::runLoop();
}
