// Every server among the examples is a daemon with all the commands; counters shows what they are good for.

#include <arpa/inet.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/deadline.h"
#include "support/example.h"
#include "support/line_client.h"
#include "support/program.h"

using testing::becomesTrue;
using testing::ChildProcess;
using testing::contents;
using testing::ExampleFolder;
using testing::LineClient;
using testing::Result;
using testing::runs;
namespace fs = std::filesystem;

namespace {

/// A port of 127.0.0.1 that was free a moment ago, below those (32768 and up) that other tests are given.
int freePort(int type = SOCK_STREAM) {
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> ports(10'000, 32'000);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = ports(random);
    const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool isFree = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (isFree) return port;
  }
  FAIL("no port is free");
  return 0;
}

/// A copy of an example that commands are given to; what still runs at the end is killed.
class Daemon {
 public:
  Daemon(const std::string& name, std::vector<std::string> environment)
      : folder_(name),
        environment_(std::move(environment)),
        pidFile_(path() / ("workerman." + name + ".pid")) {}
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() {
    for (const int pid : processes()) ::kill(pid, SIGKILL);
  }

  Result operator()(const std::vector<std::string>& command) const {
    std::vector<std::string> arguments = environment_;
    arguments.push_back(folder_.program);
    arguments.insert(arguments.end(), command.begin(), command.end());
    ChildProcess process("/usr/bin/env", arguments);
    const int status = process.wait();
    return {status, process.text()};
  }
  const fs::path& path() const { return folder_.path; }
  int master() const { return std::atoi(contents(pidFile_).c_str()); }
  std::string log() const { return contents(path() / "workerman.log"); }
  /// All processes that run this copy.
  std::set<int> processes() const {
    std::set<int> all;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::error_code error;
      const int pid = std::atoi(entry.path().filename().c_str());
      if (pid != 0 && fs::read_symlink(entry.path() / "exe", error) == folder_.program && runs(pid))
        all.insert(pid);
    }
    return all;
  }
  /// Those besides the master.
  std::set<int> workers() const {
    std::set<int> all = processes();
    all.erase(master());
    return all;
  }
  bool hasFile(const std::string& name) const { return fs::exists(path() / name); }

 private:
  ExampleFolder folder_;
  std::vector<std::string> environment_;
  fs::path pidFile_;
};

/// Whether something answers a datagram on this port.
bool echoes(int port) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::send(fd, "hi", 2, MSG_NOSIGNAL);
  const timeval limit{static_cast<time_t>(testing::kHangSeconds), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char bytes[8];
  const bool isAnswered = ::recv(fd, bytes, sizeof bytes, 0) == 2;
  ::close(fd);
  return isAnswered;
}

struct Server {
  std::string name;
  std::string scheme;
  /// A second address that it listens on, by the name of its variable.
  std::string alsoAs = "";
  std::string alsoScheme = "";
  /// What it is asked there, or where there is no second one, on the first.
  std::string question = "";
  std::string answer = "";
  /// The second is opened by the worker process itself, so that nobody listens while it is replaced.
  bool isInner = false;
};

const Server kServers[] = {
    {"binary_transfer_server", "BinaryTransfer"},
    {"chat", "websocket", "PAGE", "page", "", "", true},
    {"counters", "text", "KEEPER", "text", "list", ""},
    {"json_nl_server", "JsonNL", "", "", "{}", R"({"code":0,"msg":"ok"})"},
    {"push_server", "websocket", "PUSH", "text", "{}", R"(fail: a line is {"uid": "...", "data": "..."})",
     true},
    {"task_queue", "text", "", "", "{}", R"({"error":"neither a task nor the result of one"})"},
    {"tcp_proxy", "tcp"},
    {"udp_echo", "udp"},
    {"websocket_echo", "websocket"},
};

/// Its ports on this machine, and whether somebody serves there.
struct Ports {
  explicit Ports(const Server& each) : server(each) {
    const bool isUdp = each.scheme == "udp";
    first = freePort(isUdp ? SOCK_DGRAM : SOCK_STREAM);
    do second = freePort();
    while (second == first);
  }
  std::vector<std::string> environment(const fs::path& folder) const {
    const auto at = [](const std::string& scheme, int port) {
      return "=" + scheme + "://127.0.0.1:" + std::to_string(port);
    };
    std::vector<std::string> all{"LISTEN" + at(server.scheme, first), "FILE=" + (folder / "data").string()};
    if (!server.alsoAs.empty()) all.push_back(server.alsoAs + at(server.alsoScheme, second));
    return all;
  }
  bool areServed() const {
    if (server.scheme == "udp") return echoes(first);
    LineClient one(first), other(server.alsoAs.empty() ? first : second);
    if (!one.connected() || !other.connected()) return false;
    return server.question.empty() || other.ask(server.question) == server.answer;
  }
  bool areFree() const {
    // What is bound for datagrams refuses nobody.
    if (server.scheme == "udp") return true;
    return LineClient(first).error() == ECONNREFUSED && LineClient(second).error() == ECONNREFUSED;
  }

  const Server& server;
  int first, second;
};

}  // namespace

TEST_CASE(
    "examples: each server runs as a daemon: start, status, reload, restart and stop, and nothing is left") {
  for (const Server& server : kServers) {
    CAPTURE(server.name);
    const Ports ports(server);
    const ExampleFolder data(server.name);
    const Daemon daemon(server.name, ports.environment(data.path));
    CHECK(daemon({"start", "-d"}).status == 0);
    CHECK(ports.areServed());
    const int master = daemon.master();
    const auto before = daemon.workers();
    CHECK(!before.empty());

    const Result status = daemon({"status"});
    CHECK(status.status == 0);
    CHECK(status.has("PROCESS STATUS"));
    for (const int pid : before) CHECK(status.has(std::to_string(pid)));
    CHECK(daemon({"connections"}).status == 0);

    CHECK(daemon({"reload"}).status == 0);
    const std::size_t stays = server.name == "counters" ? 1 : 0;
    CHECK(becomesTrue([&] {
      const auto now = daemon.workers();
      std::size_t same = 0;
      for (const int pid : before) same += now.count(pid);
      return same == stays && now.size() == before.size();
    }));
    CHECK(daemon.master() == master);
    if (server.isInner)
      CHECK(becomesTrue([&] { return ports.areServed(); }));
    else
      CHECK(ports.areServed());

    CHECK(daemon({"restart", "-d"}).status == 0);
    CHECK_FALSE(runs(master));
    CHECK(daemon.master() != master);
    CHECK(ports.areServed());

    CHECK(daemon({"stop"}).status == 0);
    CHECK(daemon.processes() == std::set<int>{});
    CHECK(ports.areFree());
    CHECK(daemon({"status"}).status != 0);
    std::set<std::string> left;
    for (const auto& entry : fs::directory_iterator(daemon.path())) left.insert(entry.path().filename());
    left.erase(server.name + ".html");
    CHECK(left == std::set<std::string>{server.name, "workerman.log"});
    CHECK(daemon.log().find("exit with status") == std::string::npos);
  }
}

TEST_CASE(
    "example counters: processes share the counting, and the keeper outlives every reload, and the end") {
  const Server& server = kServers[2];
  const Ports ports(server);
  const ExampleFolder data("counters");
  auto environment = ports.environment(data.path);
  environment.push_back("PROCESSES=3");
  const Daemon daemon("counters", environment);
  CHECK(daemon({"start", "-d"}).status == 0);
  CHECK(daemon.workers().size() == 4);
  LineClient keeper(ports.second);
  int hits = 0;
  const auto isComplete = [&] { return keeper.ask("get hits") == std::to_string(hits); };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      CHECK(LineClient(ports.first).ask("hits 2") == "ok");
      hits += 2;
    }
    const bool isGraceful = round == 1;
    CHECK(daemon(isGraceful ? std::vector<std::string>{"reload", "-g"} : std::vector<std::string>{"reload"})
              .status == 0);
    CHECK(LineClient(ports.first).ask("misses -1") == "ok");
    CHECK(becomesTrue(isComplete));
  }
  CHECK(LineClient(ports.first).ask("hits") == "error: a line is a name and a number, as in \"hits 3\"");
  CHECK(LineClient(ports.first).ask("hits 3x") == "error: a line is a name and a number, as in \"hits 3\"");
  CHECK(becomesTrue([&] { return keeper.ask("list") == "hits=120 misses=-3"; }));
  ::shutdown(keeper.fd(), SHUT_WR);
  CHECK(daemon({"stop", "-g"}).status == 0);
  CHECK(contents(data.path / "data") == "hits 120\nmisses -3\n");
  CHECK(daemon({"start", "-d"}).status == 0);
  CHECK(LineClient(ports.second).ask("list") == "hits=120 misses=-3");
  CHECK(daemon({"stop"}).status == 0);
}
