// The commands `status` and `connections`, and the signals SIGIOT and SIGIO behind them.

#include <sys/un.h>

#include <csignal>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/line_client.h"
#include "support/program.h"

using nlohmann::json;
using testing::becomesTrue;
using testing::ChildProcess;
using testing::LineClient;
using testing::Program;
using testing::Result;
using testing::runs;
using testing::Service;
using testing::Started;
namespace fs = std::filesystem;

namespace {

class Daemon : public Program {
 public:
  explicit Daemon(std::vector<std::string> options = {}) {
    fs::permissions(path, fs::perms(0755));  // so that workers of another user get there
    options.insert(options.begin(), {"start", "-d", toOutput()});
    const Result start = (*this)(options);
    CHECK_MESSAGE(start.status == 0, start.text);
  }
  ~Daemon() { CHECK((*this)({"stop"}).status == 0); }
  json read(const std::string& command) const {
    const Result result = (*this)({command, "--json"});
    CHECK_MESSAGE(result.status == 0, result.text);
    return json::parse(result.text);
  }
};

json of(const json& processes, const std::string& name) {
  for (const json& process : processes) {
    if (process["name"] == name) return process;
  }
  return nullptr;
}

std::string addressOf(const LineClient& client) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  ::getsockname(client.fd(), reinterpret_cast<sockaddr*>(&address), &length);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

std::string firstLineWith(const std::string& text, const std::string& part) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(part) != std::string::npos) return line;
  }
  return "";
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("status: each process with its connections, timers and requests (manual: install/start-and-stop)") {
  const Daemon service({"count=2", "timers=2"});
  LineClient first(service.port()), second(service.port());
  for (int i = 0; i < 3; ++i) CHECK(first.ask("who") != "");
  CHECK(second.ask("who") != "");
  const json status = service.read("status");
  CHECK(status["master_pid"] == service.master());
  CHECK(status["daemon"] == true);
  CHECK(status["version"] == "5.2.2");
  CHECK(status["workers"].size() == 2);
  REQUIRE(status["processes"].size() == 3);
  int connections = 0, requests = 0;
  std::vector<int> ids;
  for (const json& process : status["processes"]) {
    CHECK(process["status"] == "idle");
    CHECK(process["memory"] > 100'000);
    CHECK(process["send_fail"] == 0);
    CHECK(runs(process["pid"]));
    CHECK(process["timers"] == (process["name"] == "service" ? 2 : 0));
    CHECK(process["listening"] == (process["name"] == "service" ? "text://127.0.0.1:0" : "none"));
    connections += process["connections"].get<int>();
    requests += process["total_request"].get<int>();
    if (process["name"] == "service") ids.push_back(process["id"]);
  }
  CHECK(connections == 2);
  CHECK(requests == 4);
  CHECK(ids == std::vector<int>{0, 1});

  const Result page = service({"status"});
  CHECK(page.status == 0);
  CHECK(page.text.starts_with("Workerman[service] status\nStart worker in DAEMON mode.\n---"));
  CHECK(page.has("\n2 workers    3 processes\n"));
  CHECK(occurrences(page.text, "[idle]\n") == 3);
  CHECK_FALSE(page.has("\033"));
  CHECK(service.log().find("Workerman[service] status") == std::string::npos);
}

TEST_CASE("status: how processes have ended is counted") {
  const Daemon service({"count=2"});
  ::kill(of(service.read("status")["processes"], "service")["pid"], SIGKILL);
  CHECK(becomesTrue([&] { return service.output().find("exit service 9 ") != std::string::npos; }));
  const json worker = of(service.read("status")["workers"], "service");
  CHECK(worker["exits"] == json::parse(R"([{"status": 9, "count": 1}])"));
  CHECK(service({"status"}).has("\nservice      uv             9               1               \n"));
}

TEST_CASE("status, connections: a process that is stuck is busy, and holds nobody up") {
  const Daemon service({"count=2", "stop-timeout=0"});
  LineClient client(service.port());
  CHECK(client.ask("stuck") == "stuck");
  const json status = service.read("status");
  json stuck;
  for (const json& process : status["processes"]) {
    if (process["status"] == "busy") stuck = process;
  }
  CHECK(stuck["name"] == "service");
  CHECK(stuck["memory"] == nullptr);
  CHECK(service.read("connections")["busy_pids"] == json::array({stuck["pid"]}));
  const std::string pid = std::to_string(stuck["pid"].get<int>());
  const Result page = service({"status"});
  CHECK(occurrences(page.text, "[idle]\n") == 2);
  CHECK(occurrences(page.text, "[busy] \n") == 1);
  CHECK(firstLineWith(page.text, "[busy]").starts_with(pid + "\tN/A     text://127.0.0.1:0 service  N/A "));
  CHECK(firstLineWith(service({"connections"}).text, "[busy]").starts_with(pid + " "));
  // The answers that it owes are taken to the next question, not to this one.
  CHECK(service.read("status")["processes"].size() == 3);
}

TEST_CASE("connections: those accepted and those made, as PHP's TcpConnection::$connections") {
  const Daemon service;
  LineClient client(service.port());
  CHECK(client.ask("who") != "");
  const json before = service.read("connections")["connections"];
  REQUIRE(before.size() == 1);
  const json& accepted = before[0];
  const std::string server = "127.0.0.1:" + std::to_string(service.port());
  CHECK(accepted["worker"] == "service");
  CHECK(accepted["transport"] == "tcp");
  CHECK(accepted["protocol"] == "Text");
  CHECK(accepted["ipv4"] == true);
  CHECK(accepted["ipv6"] == false);
  CHECK(accepted["bytes_read"] == 4);
  CHECK(accepted["bytes_written"] > 4);
  CHECK(accepted["status"] == "ESTABLISHED");
  CHECK(accepted["local_address"] == server);
  CHECK(accepted["remote_address"] == addressOf(client));
  CHECK(firstLineWith(service({"connections"}).text, server).find(" service         ") != std::string::npos);

  LineClient caller(service.port());
  CHECK(caller.ask("call") == "done");
  // One more that was accepted from this test, and one that is both ends of itself.
  json all;
  CHECK(becomesTrue([&] { return (all = service.read("connections")["connections"]).size() == 4; }));
  int made = 0;
  for (const json& connection : all) {
    CHECK(connection["worker"] == "service");
    if (connection["remote_address"] == server) ++made;
  }
  CHECK(made == 1);
  CHECK(of(service.read("status")["processes"], "service")["connections"] == 4);
}

TEST_CASE("connections: of a unix socket, which has no ip version") {
  const Program unused;
  const Daemon service({"listen=unix://" + (unused.path / "socket").string()});
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (unused.path / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
  CHECK(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  json all;
  CHECK(becomesTrue([&] { return (all = service.read("connections")["connections"]).size() == 1; }));
  CHECK(all[0]["transport"] == "unix");
  CHECK(all[0]["ipv4"] == false);
  CHECK(all[0]["ipv6"] == false);
  CHECK(firstLineWith(service({"connections"}).text, "ESTABLISHED").find(" unix    unix            ") !=
        std::string::npos);
  ::close(fd);
}

TEST_CASE("status -d: again and again, with requests per second, until it is stopped") {
  const Daemon service;
  ChildProcess status(service.program, {"status", "-d"});
  CHECK(status.waitFor("\nPress Ctrl+C to quit.\n\n"));
  LineClient client(service.port());
  for (int i = 0; i < 30; ++i) CHECK(client.ask("who") != "");
  CHECK(status.waitUntil([&](const std::string& text) { return occurrences(text, "Press Ctrl+C") >= 3; }));
  CHECK_FALSE(status.text().find('\033') != std::string::npos);
  CHECK(occurrences(status.text(), "Workerman[service] status\n") == 1);
  status.signal(SIGINT);
  CHECK(status.wait() == -SIGINT);
  // Thirty requests came in one second or, cut by a page, in two.
  int counted = 0;
  std::istringstream lines(status.text());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("Summary")) continue;
    std::istringstream words(line);
    std::vector<std::string> cells{std::istream_iterator<std::string>(words), {}};
    REQUIRE(cells.size() == 10);
    counted += std::stoi(cells[8]);
  }
  CHECK(counted > 0);
  CHECK(counted <= 32);
}

TEST_CASE("status -d: ends with 1 when the service does; with --json each report is an object") {
  std::string text;
  {
    const Daemon service;
    ChildProcess status(service.program, {"status", "-d", "--json"});
    CHECK(status.waitUntil([](const std::string& seen) { return occurrences(seen, "\n}\n") >= 2; }));
    CHECK(service({"stop"}).status == 0);
    CHECK(status.wait() == 1);
    text = status.text();
    CHECK(service({"start", "-d"}).status == 0);
  }
  const std::size_t end = text.find("\n}\n") + 3;
  CHECK(json::parse(text.substr(0, end))["processes"].size() == 2);
  CHECK(text.ends_with("}\nWorkerman[service] not run\n"));
}

TEST_CASE("status, connections: many at once all get every process") {
  const Daemon service({"count=3"});
  std::vector<std::unique_ptr<ChildProcess>> all;
  for (int i = 0; i < 6; ++i) {
    const std::string command = i % 2 == 0 ? "status" : "connections";
    all.push_back(
        std::make_unique<ChildProcess>(service.program, std::vector<std::string>{command, "--json"}));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i]->wait() == 0);
    const json report = json::parse(all[i]->text());
    if (i % 2 == 0) {
      for (const json& process : report["processes"]) CHECK(process["status"] == "idle");
    } else {
      CHECK(report["busy_pids"].empty());
    }
  }
}

TEST_CASE("status file: only its owner reads it, and it goes with the service") {
  const Daemon service;
  const std::string file = service.path / "workerman.service.status";
  CHECK_FALSE(fs::exists(file));
  CHECK(service({"status"}).status == 0);
  CHECK(service({"connections"}).status == 0);
  CHECK((fs::status(file).permissions() & fs::perms(0777)) == fs::perms(0600));
  CHECK(fs::exists(file + ".connection"));
  CHECK(service({"restart", "-d"}).status == 0);
  CHECK_FALSE(fs::exists(file));
  CHECK_FALSE(fs::exists(file + ".connection"));
}

TEST_CASE("status: workers of another user answer as well") {
  if (::getuid() != 0) return;
  const Daemon service({"count=2", "user=nobody"});
  const json status = service.read("status");
  REQUIRE(status["processes"].size() == 3);
  for (const json& process : status["processes"]) CHECK(process["status"] == "idle");
  CHECK(service.read("connections")["busy_pids"].empty());
}

TEST_CASE("SIGIOT, SIGIO: end nobody, whenever they come") {
  Service service({"count=3", "stop-timeout=3600"});
  // From the first moment that the pid is known, and on through start, reloads and stop.
  const fs::path pidFile = service.folder() / "workerman.service.pid";
  CHECK(becomesTrue([&] { return std::atoi(testing::contents(pidFile).c_str()) > 0; }));
  const auto storm = [&](int times) {
    for (int i = 0; i < times; ++i) {
      service.process().signal(i % 2 == 0 ? SIGIOT : SIGIO);
      for (const Started& worker : service.started(0)) {
        if (runs(worker.pid)) ::kill(worker.pid, i % 2 == 0 ? SIGIO : SIGIOT);
      }
      ::poll(nullptr, 0, 2);
    }
  };
  storm(20);
  service.started(3);
  for (std::size_t reload = 1; reload <= 3; ++reload) {
    service.process().signal(SIGUSR1);
    storm(50);
    service.started(3 + reload * 3);
  }
  service.process().signal(SIGTERM);
  int status = -1000;
  bool isOdd = false;
  CHECK(becomesTrue([&] {
    ::kill(service.process().pid(), (isOdd = !isOdd) ? SIGIOT : SIGIO);
    for (const Started& worker : service.started(0)) {
      if (runs(worker.pid)) ::kill(worker.pid, SIGIOT);
    }
    return (status = service.process().wait(0)) != -1000;
  }));
  CHECK(status == 0);
  CHECK_FALSE(service.has("exit with status"));
}

TEST_CASE("SIGIOT: is SIGABRT, and abort() still ends a process") {
  Service service;
  CHECK(LineClient(service.started(1)[0].port).ask("abort") == "");
  const int status = std::atoi(service.process().waitForRest("exit service ").c_str());
  CHECK(WTERMSIG(status) == SIGABRT);
  CHECK(service.started(2)[1].id == 0);
  CHECK(service.stop() == 0);
}

TEST_CASE("getStatus, isRunning, getAllWorkers: in the master and in a worker's process") {
  Service service({"count=2"});
  const auto workers = service.started(2);
  // STATUS_RUNNING is 2; a worker's process knows only its own.
  CHECK(LineClient(workers[0].port).ask("state") == "status 2 running workers 1");
  service.process().signal(SIGUSR1);
  service.sees(" status 8 running workers 2");
  service.started(4);
  CHECK(service.stop() == 0);
  CHECK(service.has(" status 4 running workers 2"));
}

TEST_CASE(
    "log, safeEcho: of a worker's process, to the terminal; the log file gets lines with date and pid") {
  Service service;
  const Started worker = service.started(1)[0];
  LineClient client(worker.port);
  CHECK(client.ask("log   spaces around  ") == "done");
  CHECK(client.ask("echo <g>plain</g>, without a line's end;") == "done");
  CHECK(service.stop() == 0);
  CHECK(service.has("\nspaces around\n"));
  CHECK(service.has("plain, without a line's end;"));
  const std::string line =
      firstLineWith(testing::contents(service.folder() / "workerman.log"), "spaces around");
  CHECK(line.find(" pid:" + std::to_string(worker.pid) + " spaces around") == 19);
}
