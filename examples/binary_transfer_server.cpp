// Takes files in the binary protocol of binary_transfer.h and answers with a receipt.
//
//     [LISTEN=BinaryTransfer://0.0.0.0:8333] ./binary_transfer_server start

#include <workerman/workerman.h>
#include <cstdlib>
#include <iostream>
#include "binary_transfer.h"

using Workerman::Worker;

int main() {
  Workerman::Protocols::add<BinaryTransfer>("BinaryTransfer");

  const char* listen = std::getenv("LISTEN");
  Worker worker(listen ? listen : "BinaryTransfer://0.0.0.0:8333");
  worker.onWorkerStart = [](Worker* self) {
    std::cout << "BinaryTransfer on port " << self->getListenPort() << "\n";
  };
  // The default is 10 MiB; a longer package closes its connection before it is received.
  worker.onConnect = [](auto connection) { connection->maxPackageSize = 64 * 1024 * 1024; };
  worker.onMessage = [](auto connection, const File& file) {
    // Store it here if you like, but under a name of your own: this one is the peer's choice,
    // and may well be "../../etc/passwd".
    connection->send(File{file.name, "received " + std::to_string(file.data.size()) + " bytes"});
  };
  Worker::runAll();
}
