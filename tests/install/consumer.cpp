// A program that knows the library only by its name: it makes a connection that
// is refused, which takes the loop, the resolver, the protocol and the timers.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <workerman/workerman.h>

#include <iostream>
#include <memory>
#include <string>

using Workerman::Timer;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::TcpConnection;

int main() {
  // Bound but not listening: whoever connects is refused, for as long as we hold it.
  const int held = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(held, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      getsockname(held, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return 2;

  bool refused = false;
  Worker worker;
  worker.onWorkerStart = [&] {
    auto connection =
        std::make_shared<AsyncTcpConnection>("ws://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
    connection->onError = [&](auto, int code, const std::string& message) {
      std::cout << "refused: " << message << "\n";
      refused = code == TcpConnection::CONNECT_FAIL;
    };
    connection->onClose = [] { Worker::stopAll(); };
    connection->connect();
    Timer::delay(30, [] { Worker::stopAll(); });
  };
  Worker::embed();
  const int status = Worker::runLoop();
  close(held);
  return refused ? status : 1;
}
