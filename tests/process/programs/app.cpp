// What foreground_test.cpp runs: a program whose behaviour its arguments choose.
//   app COMMAND what [address]

#include <workerman/workerman.h>
#include <algorithm>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

using Workerman::Timer;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;

namespace {

bool has(const std::vector<std::string>& arguments, const std::string& word) {
  return std::find(arguments.begin(), arguments.end(), word) != arguments.end();
}

/// Connects, and again and again, to what never answers.
void connectForEver(const std::string& address) {
  auto connection = std::make_shared<AsyncTcpConnection>(address);
  connection->onClose = [](auto lost) {
    std::cout << "lost\n";
    lost->reConnect(3600);
  };
  connection->connect();
}

void start(const std::vector<std::string>& arguments) {
  std::cout << "started";  // unit-buffered: it appears without a line's end
  if (has(arguments, "throw")) throw std::runtime_error("thrown by onWorkerStart");
  if (has(arguments, "timer-throw")) Timer::delay(0, [] { throw std::logic_error("thrown by a timer"); });
  if (has(arguments, "stop-with-3")) Timer::delay(0, [] { Worker::stopAll(3, "three"); });
  if (has(arguments, "arguments")) {
    for (const auto& argument : Worker::getArgv()) std::cout << "[" << argument << "]";
  }
  if (has(arguments, "reconnect")) connectForEver("tcp://127.0.0.1:1");
  if (has(arguments, "look-up")) {
    for (int i = 0; i < 20; ++i) connectForEver("tcp://host" + std::to_string(i) + ".invalid:80");
  }
  if (has(arguments, "own-signal"))
    Worker::globalEvent->onSignal(SIGUSR1, [](int number) { std::cout << "signal " << number; });
  if (has(arguments, "stalled")) {
    auto connection = std::make_shared<AsyncTcpConnection>(arguments.back());
    connection->maxSendBufferSize = 1u << 30;
    connection->onConnect = [](auto con) {
      con->send(std::string(64u << 20, 'x'));
      std::cout << "stalled\n";
    };
    connection->connect();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  if (has(arguments, "slow-stop")) Worker::stopTimeout = 3600;
  if (has(arguments, "log-file")) Worker::logFile = arguments.back();
  if (has(arguments, "command")) Worker::command = "start with more";
  Worker worker(has(arguments, "listen") ? arguments.back() : "");
  worker.onWorkerStart = [&] { start(arguments); };
  worker.onWorkerStop = [] { std::cout << "stopped\n"; };
  if (has(arguments, "given")) Worker::runAll(argc, argv);
  Worker::runAll();
}
