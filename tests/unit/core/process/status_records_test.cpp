#include "core/process/status_records.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace detail = Workerman::detail;
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

/// As the master writes what a process has said.
std::string part(const WorkerStatus& worker) {
  return detail::record(worker.pid, encode(worker), true);
}

std::string part(int pid, const std::vector<ConnectionStatus>& connections) {
  std::string text;
  const auto parts = detail::encode(connections);
  for (const std::string& each : parts) text += detail::record(pid, each, &each == &parts.back());
  return text;
}

}  // namespace

TEST_CASE("status records: what the processes hand in comes out again") {
  const std::string text = encode(global()) + part(worker(102)) + part(worker(101));
  const auto report = detail::decodeStatus(text);
  REQUIRE(report);
  CHECK(encode(report->global) == encode(global()));
  REQUIRE(report->workers.size() == 2);
  CHECK(encode(report->workers[0]) == encode(worker(101)));
  CHECK(encode(report->workers[1]) == encode(worker(102)));
  CHECK(report->busy() == std::vector<int>{103});
}

TEST_CASE("status records: connections come out again, and none at all is an answer") {
  const std::string text =
      encode(global()) + part(102, {}) + part(101, {connection(101, 1), connection(101, 1ULL << 40)});
  const auto report = detail::decodeConnections(text);
  REQUIRE(report);
  CHECK(report->answered == std::vector<int>{101, 102});
  CHECK(report->busy() == std::vector<int>{103});
  REQUIRE(report->connections.size() == 2);
  CHECK(part(101, report->connections) == part(101, {connection(101, 1), connection(101, 1ULL << 40)}));
}

TEST_CASE("status records: a text that is cut anywhere gives the parts that are whole") {
  const std::string master = encode(global());
  const std::string text = master + part(worker(101)) + part(worker(102));
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const auto report = detail::decodeStatus(text.substr(0, length));
    REQUIRE(report.has_value() == (length >= master.size()));
    if (!report) continue;
    const std::size_t whole = length == text.size()                                ? 2
                              : length >= master.size() + part(worker(101)).size() ? 1
                                                                                   : 0;
    REQUIRE(report->workers.size() == whole);
  }
}

TEST_CASE("status records: a part cut off by a full disk does not take the next one with it") {
  const std::string cut = part(worker(101));
  const auto report =
      detail::decodeStatus(encode(global()) + cut.substr(0, cut.size() / 2) + part(worker(102)));
  REQUIRE(report);
  REQUIRE(report->workers.size() == 1);
  CHECK(report->workers[0].pid == 102);
}

TEST_CASE("status records: what is no part of ours is passed over") {
  for (const char* noise :
       {"hello\n", "{}\n", "[1]\n", "101 {\"pid\":\"101\"}\n", "101. {\"pid\":101}\n", "1e99 {}\n", "101\n",
        "101.\n", "{\"master_pid\":1}\n", "\n\n\n", "101 {\"connections\":null}\n", "\xFF\n", "end\n"}) {
    CAPTURE(noise);
    const auto status = detail::decodeStatus(noise + encode(global()) + noise + part(worker(102)) + noise);
    REQUIRE(status);
    CHECK(status->workers.size() == 1);
    const auto connections = detail::decodeConnections(noise + encode(global()) + noise + part(102, {}));
    REQUIRE(connections);
    CHECK(connections->answered == std::vector<int>{102});
  }
}

TEST_CASE(
    "status records: a process that the master does not list is passed over, the last of two parts counts") {
  WorkerStatus again = worker(101);
  again.totalRequest = 60;
  const auto report =
      detail::decodeStatus(part(worker(101)) + encode(global()) + part(worker(104)) + part(again));
  REQUIRE(report);
  REQUIRE(report->workers.size() == 1);
  CHECK(report->workers[0].totalRequest == 60);
}

TEST_CASE("status records: a process speaks for itself alone, whatever it says") {
  WorkerStatus forged = worker(101);
  forged.name = "forged";
  const std::string text = encode(global()) + detail::record(103, encode(forged), true) +
                           detail::record(103, "{}\n101. " + encode(forged), true) +
                           detail::record(103, encode(global()), true);
  const auto report = detail::decodeStatus(text);
  REQUIRE(report);
  REQUIRE(report->workers.size() == 1);
  CHECK(report->workers[0].pid == 103);
  CHECK(report->busy() == std::vector<int>{101, 102});
  const auto connections = detail::decodeConnections(encode(global()) + part(103, {connection(101, 7)}) +
                                                     detail::kEndOfReport.data());
  REQUIRE(connections);
  CHECK(connections->answered == std::vector<int>{103});
  CHECK(connections->connections.at(0).pid == 103);
}

TEST_CASE("status records: many connections come in parts, and count once all are there") {
  const std::vector<ConnectionStatus> many(1000, connection(101, 1));
  const auto parts = detail::encode(many);
  CHECK(parts.size() > 5);
  for (const std::string& each : parts) CHECK(each.size() < 40'000);
  const std::string text = encode(global()) + part(101, many) + part(102, {});
  const auto whole = detail::decodeConnections(text);
  REQUIRE(whole);
  CHECK(whole->connections.size() == 1000);
  CHECK(whole->answered == std::vector<int>{101, 102});
  const auto half = detail::decodeConnections(encode(global()) + detail::record(101, parts[0], false));
  REQUIRE(half);
  CHECK(half->answered.empty());
  CHECK(half->busy() == std::vector<int>{101, 102, 103});
}

TEST_CASE("status records: loads and rates are written as a person would") {
  GlobalStatus loaded = global();
  loaded.loadAverage = {9.89990234375, 0.0048828125, 12.5};
  auto report = detail::decodeStatus(encode(loaded) + part(worker(101)));
  REQUIRE(report);
  report->workers[0].qps = 1.0 / 3;
  const std::string text = detail::statusJson(*report);
  CHECK(text.find("9.9,") != std::string::npos);
  CHECK(text.find("0.0,") != std::string::npos);
  CHECK(text.find("12.5\n") != std::string::npos);
  CHECK(text.find("\"qps\": 0.33,") != std::string::npos);
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
  const std::string text = part(odd);
  CHECK(text.find('\n', 1) == text.size() - 1);
  const auto report = detail::decodeStatus(encode(global()) + text);
  REQUIRE(report);
  CHECK(report->workers[0].name == "a\nb\xEF\xBF\xBD\"");
}

TEST_CASE("status records: status as JSON has every process, the busy ones too") {
  auto report = detail::decodeStatus(encode(global()) + part(worker(101)) + part(worker(103)));
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
  const auto report =
      detail::decodeConnections(encode(global()) + part(101, {connection(101, 7)}) + part(103, {}));
  REQUIRE(report);
  const auto expected =
      nlohmann::json::parse(R"({"master_pid":100,"busy_pids":[102],"connections":[{"pid":101,
      "worker":"Chat","id":7,"transport":"tcp","protocol":"Text","ipv4":true,"ipv6":false,"recv_queue":1,
      "send_queue":2,"bytes_read":3,"bytes_written":4,"status":"ESTABLISHED","local_address":"127.0.0.1:1",
      "remote_address":"127.0.0.1:2"}]})");
  CHECK(nlohmann::json::parse(detail::connectionsJson(*report)) == expected);
}
