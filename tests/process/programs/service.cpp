// What the tests of master and workers run: a text service, told by NAME=VALUE arguments how to behave.
//   service COMMAND [listen=text://…] [count=N] [reuse-port=1] [reloadable=0] [crash=1]
//                   [stop-timeout=S] [graceful-timeout=S] [grow=N] [stdout=FILE] [pid-file=FILE] [user=NAME]
//                   [other=websocket://…] [other-count=N] [inner=text://…] [datagrams=udp://…] [notify=1]
//                   [cert=FILE] [status-file=FILE] [log-file=FILE] [log-size=BYTES] [timers=N] [name=NAME]

#include <unistd.h>
#include <workerman/workerman.h>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::UdpConnectionPtr;

namespace {

std::string option(const std::string& name, const std::string& otherwise = "") {
  for (const auto& argument : Worker::getArgv()) {
    if (argument.starts_with(name + "=")) return argument.substr(name.size() + 1);
  }
  return otherwise;
}

/// One write for a line: several processes share the output.
template <class... Parts>
void say(const Parts&... parts) {
  std::ostringstream line;
  ((line << parts << ' '), ...) << '\n';
  std::cout << line.str();
}

std::string state() {
  return "status " + std::to_string(Worker::getStatus()) +
         (Worker::isRunning() ? " running" : " not running") + " workers " +
         std::to_string(Worker::getAllWorkers().size());
}

/// A connection that this process makes to itself.
void call(const Worker* worker) {
  const auto client =
      std::make_shared<AsyncTcpConnection>("text://127.0.0.1:" + std::to_string(worker->getListenPort()));
  client->connect();
}

/// A worker that is made in a worker's process.
void listenInside(const std::string& address) {
  const auto inner = std::make_shared<Worker>(address);
  inner->name = "inner";
  inner->onWorkerStop = [](Worker* self) { say("inner stop", self->id, ::getpid()); };
  inner->onMessage = [](auto connection, auto) { connection->send("inner " + std::to_string(::getpid())); };
  inner->listen();
  say("inner", inner->id, ::getpid(), inner->getListenPort());
}

template <class Connection>
void answer(Worker* worker, Connection connection, std::string_view question) {
  const std::string self = std::to_string(worker->id) + " " + std::to_string(::getpid());
  if (question == "who") connection->send(self);
  if (question == "later") Workerman::Timer::delay(0.001, [connection, self] { connection->send(self); });
  if (question == "graceful") connection->send(Worker::getGracefulStop() ? "yes" : "no");
  if (question == "state") connection->send(state());
  if (question == "call") call(worker);
  if (question == "accept pause") worker->pauseAccept();
  if (question == "accept resume") worker->resumeAccept();
  if (question == "accept end") worker->unlisten();
  if (question.starts_with("long=")) {
    connection->maxSendBufferSize = 1u << 30;
    connection->send(std::string(std::stoul(std::string(question.substr(5))), 'x'));
  }
  if (question.starts_with("log ")) Worker::log(question.substr(4));
  if (question.starts_with("echo ")) Worker::safeEcho(question.substr(5));
  if (question == "call" || question.find(' ') != std::string_view::npos) connection->send("done");
  if (question == "stuck") {
    connection->send("stuck");
    connection->pauseRecv();
    Workerman::Timer::delay(0, [] {
      for (;;) ::pause();
    });
  }
  if (question == "abort") std::abort();
  if (question == "work") {
    say("working");
    ::usleep(300'000);
    connection->send("done");
  }
  if (question == "throw") throw std::runtime_error("asked to");
}

}  // namespace

int main() {
  Worker worker(option("listen", "text://127.0.0.1:0"),
                Workerman::SocketContext{.ssl = {.local_cert = option("cert")}});
  if (!option("cert").empty()) worker.transport = "ssl";
  worker.name = option("name", "service");
  worker.count = std::stoi(option("count", "1"));
  worker.reusePort = option("reuse-port") == "1";
  Worker::stdoutFile = option("stdout", "/dev/null");
  Worker::pidFile = option("pid-file");
  Worker::statusFile = option("status-file");
  Worker::logFile = option("log-file");
  Worker::logFileMaxSize = std::stoul(option("log-size", "10485760"));
  worker.user = option("user");
  worker.reloadable = option("reloadable") != "0";
  Worker::stopTimeout = std::stod(option("stop-timeout", "2"));
  Worker::gracefulStopTimeout = std::stod(option("graceful-timeout", "30"));
  worker.onWorkerStart = [](Worker* self) {
    if (option("crash") == "1") throw std::runtime_error("crash");
    if (option("notify") == "1") {
      say("NOTIFY_SOCKET is", ::getenv("NOTIFY_SOCKET") != nullptr ? "set" : "not set");
    }
    say("start", self->id, ::getpid(), self->getListenPort(), "of", Worker::getAllWorkers().size(), "uid",
        ::getuid());
    if (!option("inner").empty()) listenInside(option("inner"));
    for (int i = std::stoi(option("timers", "0")); i > 0; --i) Workerman::Timer::add(3600, [] {});
  };
  worker.onWorkerStop = [](Worker* self) { say("stop", self->id, ::getpid()); };
  worker.onWorkerReload = [](Worker* self) { say("reload", self->id, ::getpid()); };
  worker.onMessage = [&worker](auto connection, auto text) { answer(&worker, connection, text); };
  Worker other(option("other", option("datagrams")));
  other.name = "other";
  other.count = std::stoi(option("other-count", "1"));
  other.reusePort = worker.reusePort;
  other.onWorkerStart = [](Worker* self) { say("other", self->id, ::getpid(), self->getListenPort()); };
  if (option("other").empty()) {
    other.onMessage = [](UdpConnectionPtr connection, std::string_view data) { connection->send(data); };
  } else {
    other.onMessage = [&other](auto connection, auto text) { answer(&other, connection, text); };
  }
  Worker::onWorkerExit = [](Worker* self, int status, int pid) { say("exit", self->name, status, pid); };
  Worker::onMasterReload = [&worker] {
    worker.count = std::stoi(option("grow", std::to_string(worker.count)));
    say("master reload", ::getpid(), state());
  };
  Worker::onMasterStop = [] { say("master stop", ::getpid(), state()); };
  Worker::runAll();
}
