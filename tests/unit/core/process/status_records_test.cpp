#include "core/process/status_records.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace detail = Workerman::detail;
namespace fs = std::filesystem;
using detail::ConnectionStatus;
using detail::GlobalStatus;
using detail::WorkerStatus;

namespace {

GlobalStatus global() {
  GlobalStatus status;
  status.versions = {"5.2.2", "C++/0.2.0 libuv/1.44.2", "Linux/6.1.0"};
  status.masterPid = 100;
  status.daemonize = true;
  status.startTime = 1'700'000'000;
  status.time = 1'700'000'010;
  status.writtenAt = 5'000;
  status.loadAverage = {0.5, 1, 2.25};
  status.services = {{"Chat", "text://0.0.0.0:1", "tcp", "root", 2, {{9, 2}}, {101, 102}},
                     {"Timer", "none", "tcp", "nobody", 1, {}, {103}}};
  return status;
}

WorkerStatus worker(int pid) {
  return {pid, pid - 101, "Chat", "text://0.0.0.0:1", 1'000'000, 3, 4, 5, 6};
}

ConnectionStatus connection(int pid, std::uint64_t id) {
  return {pid, "Chat", id, "tcp", "Text",        true,          false,
          1,   2,      3,  4,     "ESTABLISHED", "127.0.0.1:1", "127.0.0.1:2"};
}

constexpr const char* kPart = "\n{\"a\":1}";

struct Folder : testing::TemporaryFolder {
  std::size_t files() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(path)) ++count;
    return count;
  }
  const std::string file = path + "/app.status";
};

}  // namespace

TEST_CASE("status records: what the processes hand in comes out again") {
  const std::string text = encode(global()) + encode(worker(102)) + encode(worker(101));
  const auto report = detail::decodeStatus(text);
  REQUIRE(report);
  CHECK(encode(report->global) == encode(global()));
  REQUIRE(report->workers.size() == 2);
  CHECK(encode(report->workers[0]) == encode(worker(101)));
  CHECK(encode(report->workers[1]) == encode(worker(102)));
  CHECK(report->busy() == std::vector<int>{103});
}

TEST_CASE("status records: connections come out again, and none at all is an answer") {
  const std::string text = encode(global()) + detail::encode(102, {}) +
                           detail::encode(101, {connection(101, 1), connection(101, 1ULL << 40)});
  const auto report = detail::decodeConnections(text);
  REQUIRE(report);
  CHECK(report->answered == std::vector<int>{101, 102});
  CHECK(report->busy() == std::vector<int>{103});
  REQUIRE(report->connections.size() == 2);
  CHECK(detail::encode(101, report->connections) ==
        detail::encode(101, {connection(101, 1), connection(101, 1ULL << 40)}));
}

TEST_CASE("status records: a text that is cut anywhere gives the parts that are whole") {
  const std::string master = encode(global());
  const std::string text = master + encode(worker(101)) + encode(worker(102));
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const auto report = detail::decodeStatus(text.substr(0, length));
    REQUIRE(report.has_value() == (length >= master.size()));
    if (!report) continue;
    const std::size_t whole = length == text.size()                                  ? 2
                              : length >= master.size() + encode(worker(101)).size() ? 1
                                                                                     : 0;
    REQUIRE(report->workers.size() == whole);
  }
}

TEST_CASE("status records: a part cut off by a full disk does not take the next one with it") {
  const std::string cut = encode(worker(101));
  const auto report =
      detail::decodeStatus(encode(global()) + cut.substr(0, cut.size() / 2) + encode(worker(102)));
  REQUIRE(report);
  REQUIRE(report->workers.size() == 1);
  CHECK(report->workers[0].pid == 102);
}

TEST_CASE("status records: what is no part of ours is passed over") {
  for (const char* noise :
       {"hello\n", "{}\n", "[1]\n", "{\"pid\":\"101\"}\n", "{\"pid\":101}\n", "{\"pid\":1e99}\n",
        "{\"master_pid\":1}\n", "\n\n\n", "{\"pid\":null,\"connections\":[]}\n", "\xFF\n"}) {
    CAPTURE(noise);
    const auto status = detail::decodeStatus(noise + encode(global()) + noise + encode(worker(102)) + noise);
    REQUIRE(status);
    CHECK(status->workers.size() == 1);
    const auto connections =
        detail::decodeConnections(noise + encode(global()) + noise + detail::encode(102, {}));
    REQUIRE(connections);
    CHECK(connections->answered == std::vector<int>{102});
  }
}

TEST_CASE(
    "status records: a process that the master does not list is passed over, the last of two parts counts") {
  WorkerStatus again = worker(101);
  again.totalRequest = 60;
  const auto report =
      detail::decodeStatus(encode(worker(101)) + encode(global()) + encode(worker(104)) + encode(again));
  REQUIRE(report);
  REQUIRE(report->workers.size() == 1);
  CHECK(report->workers[0].totalRequest == 60);
}

TEST_CASE("status records: an answer from before the question is none") {
  const std::string text = encode(global());
  CHECK(detail::decodeStatus(text, 5'000));
  CHECK_FALSE(detail::decodeStatus(text, 5'001));
  CHECK_FALSE(detail::decodeConnections(text, 5'001));
  CHECK_FALSE(detail::decodeStatus(""));
}

TEST_CASE("status records: a name of any bytes stays one line of UTF-8") {
  WorkerStatus odd = worker(101);
  odd.name = "a\nb\xFF\"";
  const std::string part = encode(odd);
  CHECK(part.find('\n', 1) == part.size() - 1);
  const auto report = detail::decodeStatus(encode(global()) + part);
  REQUIRE(report);
  CHECK(report->workers[0].name == "a\nb\xEF\xBF\xBD\"");
}

TEST_CASE("status records: status as JSON has every process, the busy ones too") {
  auto report = detail::decodeStatus(encode(global()) + encode(worker(101)) + encode(worker(103)));
  REQUIRE(report);
  report->workers[0].qps = 2.5;
  const std::string text = detail::statusJson(*report);
  CHECK(text.back() == '\n');
  const auto json = nlohmann::json::parse(text);
  CHECK(json["version"] == "5.2.2");
  CHECK(json["master_pid"] == 100);
  CHECK(json["daemon"] == true);
  CHECK(json["start_time"] == 1'700'000'000);
  CHECK(json["load_average"] == nlohmann::json{0.5, 1.0, 2.25});
  CHECK_FALSE(json.contains("written_at"));
  CHECK(json["workers"][0]["name"] == "Chat");
  CHECK(json["workers"][0]["exits"] == nlohmann::json::parse(R"([{"status":9,"count":2}])"));
  REQUIRE(json["processes"].size() == 3);
  const auto expected =
      nlohmann::json::parse(R"({"pid":101,"id":0,"name":"Chat","listening":"text://0.0.0.0:1",
      "memory":1000000,"connections":3,"send_fail":4,"timers":5,"total_request":6,"qps":2.5,"status":"idle"})");
  CHECK(json["processes"][0] == expected);
  CHECK(json["processes"][2]["pid"] == 102);
  CHECK(json["processes"][2]["status"] == "busy");
  CHECK(json["processes"][2]["memory"].is_null());
}

TEST_CASE("status records: connections as JSON") {
  const auto report = detail::decodeConnections(encode(global()) + detail::encode(101, {connection(101, 7)}) +
                                                detail::encode(103, {}));
  REQUIRE(report);
  const auto expected =
      nlohmann::json::parse(R"({"master_pid":100,"busy_pids":[102],"connections":[{"pid":101,
      "worker":"Chat","id":7,"transport":"tcp","protocol":"Text","ipv4":true,"ipv6":false,"recv_queue":1,
      "send_queue":2,"bytes_read":3,"bytes_written":4,"status":"ESTABLISHED","local_address":"127.0.0.1:1",
      "remote_address":"127.0.0.1:2"}]})");
  CHECK(nlohmann::json::parse(detail::connectionsJson(*report)) == expected);
}

TEST_CASE("status file: begun by the master, added to by the workers, read by the command") {
  const Folder folder;
  CHECK(detail::readReport(folder.file).empty());
  CHECK(detail::appendReport(folder.file, "x") ==
        "cannot write " + folder.file + ": No such file or directory");
  CHECK(detail::beginReport(folder.file, encode(global()), false).empty());
  CHECK(detail::appendReport(folder.file, encode(worker(101))).empty());
  CHECK(detail::readReport(folder.file) == encode(global()) + encode(worker(101)));
  CHECK(detail::beginReport(folder.file, encode(global()), false).empty());
  CHECK(detail::readReport(folder.file) == encode(global()));
  CHECK(folder.files() == 1);
}

TEST_CASE("status file: only its owner may read it, others may append if workers must") {
  const Folder folder;
  const mode_t before = ::umask(077);
  for (const bool othersWrite : {false, true}) {
    CHECK(detail::beginReport(folder.file, kPart, othersWrite).empty());
    struct stat status {};
    REQUIRE(::stat(folder.file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == (othersWrite ? 0622u : 0600u));
  }
  ::umask(before);
}

TEST_CASE("status file: what stands in its way is named and left") {
  const Folder folder;
  SUBCASE("a directory") {
    fs::create_directory(folder.file);
    CHECK(detail::beginReport(folder.file, kPart, false) ==
          "cannot write " + folder.file + ": Is a directory");
    CHECK(detail::readReport(folder.file).empty());
  }
  SUBCASE("no such folder") {
    CHECK(detail::beginReport(folder.path + "/none/app.status", "part", false).starts_with("cannot make "));
  }
  SUBCASE("a symbolic link to a file of somebody else") {
    fs::create_symlink(folder.path + "/precious", folder.file);
    CHECK_FALSE(detail::appendReport(folder.file, "part").empty());
    CHECK(detail::beginReport(folder.file, kPart, false).empty());
    CHECK_FALSE(fs::exists(folder.path + "/precious"));
  }
  CHECK(folder.files() <= 1);
}

TEST_CASE("status file: what is no report is neither replaced nor removed") {
  const Folder folder;
  SUBCASE("a file of somebody else") {
    std::ofstream(folder.file) << "precious";
  }
  SUBCASE("no file at all") {
    REQUIRE(::mkfifo(folder.file.c_str(), 0600) == 0);
  }
  const auto type = fs::status(folder.file).type();
  CHECK(detail::beginReport(folder.file, kPart, false) ==
        folder.file + " is no status file, and stays as it is");
  detail::removeReport(folder.file);
  CHECK(fs::status(folder.file).type() == type);
  CHECK(folder.files() == 1);
}

TEST_CASE("status file: a report is removed, and where there is none nothing happens") {
  const Folder folder;
  REQUIRE(detail::beginReport(folder.file, kPart, true).empty());
  detail::removeReport(folder.file);
  CHECK(folder.files() == 0);
  detail::removeReport(folder.file);
  CHECK(folder.files() == 0);
}

TEST_CASE("status file: a full disk is named, and the old report stays") {
  const Folder folder;
  REQUIRE(detail::beginReport(folder.file, kPart, false).empty());
  const pid_t child = ::fork();
  if (child == 0) {
    // A file size limit stands in for the full disk.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit little{8, 8};
    ::setrlimit(RLIMIT_FSIZE, &little);
    const bool named = !detail::beginReport(folder.file, "longer than that", false).empty() &&
                       !detail::appendReport(folder.file, "longer than that").empty();
    ::_exit(named ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(detail::readReport(folder.file).starts_with(kPart));
  CHECK(folder.files() == 1);
}

TEST_CASE("status file: parts of many processes at once stay whole") {
  const Folder folder;
  constexpr int kProcesses = 16;
  GlobalStatus status = global();
  status.services[0].pids.clear();
  for (int i = 0; i < kProcesses; ++i) status.services[0].pids.push_back(200 + i);
  REQUIRE(detail::beginReport(folder.file, encode(status), true).empty());
  for (int i = 0; i < kProcesses; ++i) {
    if (::fork() != 0) continue;
    const std::vector<ConnectionStatus> many(500, connection(200 + i, 1));
    ::_exit(detail::appendReport(folder.file, detail::encode(200 + i, many)).empty() ? 0 : 1);
  }
  for (int i = 0; i < kProcesses; ++i) {
    int ended = -1;
    ::wait(&ended);
    CHECK(ended == 0);
  }
  const auto report = detail::decodeConnections(detail::readReport(folder.file));
  REQUIRE(report);
  CHECK(report->answered.size() == kProcesses);
  CHECK(report->connections.size() == kProcesses * 500);
}
