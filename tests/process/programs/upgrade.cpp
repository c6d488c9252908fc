// What the tests of reloads with another binary run: built twice, as A and as B, which differ in what they
// are told. Options are NAME=VALUE arguments; B has more of them, and others, in the file that `b=FILE`
// names.
//   upgrade COMMAND [listen=text://…] [more=text://…] [count=N] [reuse-port=1] [reloadable=0] [grow=N]
//           [name=TEXT] [stdout=FILE] [pid-file=FILE] [timeout=S] [main=exit|exit-0|abort|hang|throw|noise]

#include <sys/wait.h>
#include <unistd.h>
#include <workerman/workerman.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

using Workerman::Worker;

namespace {

std::string option(const std::string& name, const std::string& otherwise = "") {
  std::string value = otherwise;
  for (const auto& argument : Worker::getArgv()) {
    if (argument.starts_with(name + "=")) value = argument.substr(name.size() + 1);
  }
  return value;
}

/// One write for a line: several processes share the output.
template <class... Parts>
void say(const Parts&... parts) {
  std::ostringstream line;
  ((line << parts << ' '), ...) << '\n';
  std::cout << line.str();
}

/// The end of programs that do not come as far as their workers.
void misbehave(const std::string& how) {
  if (how == "exit") {
    std::cerr << "no such\nconfiguration" << std::endl;
    std::exit(3);
  }
  if (how == "exit-0") std::exit(0);
  if (how == "abort") {
    std::signal(SIGABRT, SIG_DFL);
    std::raise(SIGABRT);
  }
  if (how == "hang") {
    for (;;) ::pause();
  }
  if (how == "throw") throw std::runtime_error("thrown by main");
  if (how == "noise") std::cout << std::string(1'000'000, '.');
}

std::string whoIs(const Worker& worker) {
  return BUILD " " + std::to_string(worker.id) + " " + std::to_string(::getpid());
}

/// What a program sees that would not be there without an upgrade.
std::string traces() {
  sigset_t blocked;
  sigemptyset(&blocked);
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  std::string text = ::getenv("WORKERMAN_UPGRADE") != nullptr ? "variable" : "";
  for (const int signal : {SIGCHLD, SIGTERM, SIGUSR1, SIGINT}) {
    if (sigismember(&blocked, signal) == 1) text += " blocked " + std::to_string(signal);
  }
  return text.empty() ? "none" : text;
}

/// A process whose parent has ended.
std::string leaveOrphan() {
  const pid_t parent = ::fork();
  if (parent == 0) {
    if (::fork() == 0) {
      for (;;) ::pause();
    }
    ::_exit(0);
  }
  return ::waitpid(parent, nullptr, 0) == parent ? "left" : "failed";
}

template <class Connection>
void answer(const Worker& worker, Connection connection, std::string_view question) {
  if (question == "who") connection->send(whoIs(worker));
  if (question == "traces") connection->send(traces());
  if (question == "folder") {
    char folder[4096] = "";
    connection->send(std::string(::getcwd(folder, sizeof folder) != nullptr ? folder : "none"));
  }
  if (question == "orphan") connection->send(leaveOrphan());
  if (question == "arguments") {
    std::string all;
    for (const auto& argument : Worker::getArgv()) all += "[" + argument + "]";
    connection->send(all);
  }
}

}  // namespace

int main() {
  if (std::string(BUILD) == "B") {
    std::ifstream file(option("b"));
    Worker::command = std::string{std::istreambuf_iterator<char>(file), {}};
  }
  if (option("quiet-main") == "") say("main", BUILD);
  misbehave(option("main"));
  if (const std::string folder = option("folder"); folder != "" && ::chdir(folder.c_str()) != 0) return 4;
  Worker::stdoutFile = option("stdout", "/dev/null");
  Worker::pidFile = option("pid-file");
  Worker::upgradeTimeout = std::stod(option("timeout", "10"));
  Worker worker(option("listen", "text://127.0.0.1:0"));
  worker.name = option("name", "upgrade");
  if (worker.getSocketName().starts_with("unix:")) worker.protocol = "text";
  worker.count = std::stoi(option("count", "1"));
  worker.user = option("user");
  worker.reusePort = option("reuse-port") == "1";
  worker.reloadable = option("reloadable") != "0";
  worker.onWorkerStart = [](Worker* self) {
    say("start", self->id, ::getpid(), self->getListenPort(), BUILD);
  };
  worker.onWorkerStop = [](Worker* self) { say("stop", self->id, ::getpid(), BUILD); };
  worker.onWorkerReload = [](Worker* self) { say("reload", self->id, ::getpid(), BUILD); };
  worker.onMessage = [&worker](auto connection, auto text) { answer(worker, connection, text); };
  std::optional<Worker> more;
  if (option("more") != "") {
    more.emplace(option("more"));
    more->name = "more";
    more->onWorkerStart = [](Worker* self) { say("more", ::getpid(), self->getListenPort(), BUILD); };
    more->onMessage = [&more](auto connection, auto text) { answer(*more, connection, text); };
  }
  Worker::onWorkerExit = [](Worker*, int status, int pid) { say("exit", status, pid, BUILD); };
  Worker::onMasterReload = [&worker] {
    worker.count = std::stoi(option("grow", std::to_string(worker.count)));
    say("master reload", BUILD);
  };
  Worker::onMasterStop = [] { say("master stop", ::getpid(), BUILD); };
  Worker::runAll();
}
