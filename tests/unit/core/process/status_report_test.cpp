#include "core/process/status_report.h"

#include <doctest/doctest.h>
#include <workerman/version.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "core/log.h"

namespace detail = Workerman::detail;
using detail::ConnectionsReport;
using detail::ConnectionStatus;
using detail::GlobalStatus;
using detail::StatusReport;

namespace {

/// Local times as UTC, put back at the end.
struct Utc {
  Utc() {
    ::setenv("TZ", "UTC0", 1);
    ::tzset();
  }
  ~Utc() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

/// The program whose tables Workerman 5.2.2 was asked for.
GlobalStatus service() {
  GlobalStatus global;
  global.versions = {"5.2.2", "PHP/8.2.36 (JIT off)", "Linux/6.1.0", "select"};
  global.masterPid = 11730;
  global.daemonize = true;
  global.startTime = 1'795'367'643;
  global.time = global.startTime + 2 * 86400 + 5 * 3600 + 3599;
  global.loadAverage = {7.18, 0.5, 7};
  global.services = {{"Chat", "text://127.0.0.1:17281", "tcp", "root", 2, {}, {11734, 11736}},
                     {"A long name of a worker", "none", "tcp", "www-data", 1, {{64000, 3}, {9, 1}}, {11737}},
                     {"none", "udp://127.0.0.1:17282", "udp", "root", 1, {}, {11738}}};
  return global;
}

constexpr std::uint64_t kMegabyte = 1024 * 1024;

StatusReport answered() {
  return {service(),
          {{11734, 0, "Chat", "text://127.0.0.1:17281", kMegabyte * 101 / 100, 2, 0, 1, 3},
           {11736, 1, "Chat", "text://127.0.0.1:17281", kMegabyte * 2, 0, 12, 0, 1234567},
           {11737, 0, "A long name of a worker", "none", kMegabyte * 3 / 2, 0, 0, 0, 0},
           {11738, 0, "none", "udp://127.0.0.1:17282", kMegabyte * 103 / 100, 0, 0, 0, 0}}};
}

std::string dashes(std::size_t count) {
  return std::string(count, '-');
}

}  // namespace

TEST_CASE("status report: the start-up table is Workerman's") {
  // clang-format off
  const std::string expected =
      "----------------------------------------------------- WORKERMAN ------------------------------------------------------\n"
      "Workerman/5.2.2         PHP/8.2.36 (JIT off)          Linux/6.1.0\n"
      "------------------------------------------------------ WORKERS -------------------------------------------------------\n"
      "event-loop  proto       user        worker                     listen                    count       state            \n"
      "select      tcp         root        Chat                       text://127.0.0.1:17281    2            [OK]            \n"
      "select      tcp         www-data    A long name of a worker    none                      1            [OK]            \n"
      "select      udp         root        none                       udp://127.0.0.1:17282     1            [OK]            \n"
      "----------------------------------------------------------------------------------------------------------------------\n";
  // clang-format on
  const std::string table = detail::startupTable(service());
  CHECK(detail::decorate(table, false) == expected);
  SUBCASE("coloured for a terminal") {
    const std::string coloured = detail::decorate(table, true);
    CHECK(coloured.starts_with("\033[1A\n\033[K--"));
    CHECK(coloured.find("\033[47;30m WORKERMAN \033[0m") != std::string::npos);
    CHECK(coloured.find("\033[47;30mevent-loop\033[0m  \033[47;30mproto\033[0m") != std::string::npos);
    CHECK(coloured.find("2           \033[32;40m [OK] \033[0m") != std::string::npos);
  }
}

TEST_CASE("status report: the start-up table of short names is as wide as the versions") {
  GlobalStatus global = service();
  global.versions.system = "Linux/" + std::string(60, '6');
  global.services = {{"none", "none", "tcp", "root", 1, {}, {}}};
  const std::string table = detail::decorate(detail::startupTable(global), false);
  CHECK(table.find(dashes(121) + "\n") == table.size() - 122);
}

TEST_CASE(
    "status report: the line after a start says how to stop (Workerman manual: install/start-and-stop)") {
  CHECK(detail::startedLine("./app", true, false) == "Input \"./app stop\" to stop. Start success.\n\n");
  CHECK(detail::startedLine("./app", false, false) == "Press Ctrl+C to stop. Start success.\n");
  CHECK(detail::startedLine("./app", false, true) == "Start success.\n");
}

TEST_CASE("status report: the status page is Workerman's (manual: install/start-and-stop)") {
  const Utc utc;
  // clang-format off
  CHECK(detail::statusPage(answered()) ==
        "Start worker in DAEMON mode.\n"
        "---------------------------------------------------GLOBAL STATUS---------------------------------------------------------\n"
        "Workerman/5.2.2         PHP/8.2.36 (JIT off)          Linux/6.1.0\n"
        "start time:2026-11-22 17:14:03   run 2 days 5 hours   load average: 7.18, 0.5, 7\n"
        "3 workers    4 processes\n"
        "name                        event-loop     exit_status     exit_count\n"
        "Chat                        select         0               0               \n"
        "A long name of a worker     select         64000           3               \n"
        "A long name of a worker     select         9               1               \n"
        "none                        select         0               0               \n"
        "---------------------------------------------------PROCESS STATUS--------------------------------------------------------\n"
        "pid\tmemory  listening              name                    connections send_fail timers  total_request qps    status\n"
        "11734\t1.01M   text://127.0.0.1:17281 Chat                    2           0         1       3             0      [idle]\n"
        "11736\t2M      text://127.0.0.1:17281 Chat                    0           12        0       1234567       0      [idle]\n"
        "11737\t1.5M    none                   A long name of a worker 0           0         0       0             0      [idle]\n"
        "11738\t1.03M   udp://127.0.0.1:17282  none                    0           0         0       0             0      [idle]\n"
        "---------------------------------------------------PROCESS STATUS--------------------------------------------------------\n"
        "Summary\t5.54M   -                      -                       2           12        1       1234570       0      [Summary] \n");
  // clang-format on
}

TEST_CASE("status report: a process that does not answer is busy, and its row stays aligned") {
  StatusReport report = answered();
  report.workers.erase(report.workers.begin() + 1);
  CHECK(report.busy() == std::vector<int>{11736});
  const std::string page = detail::statusPage(report);
  CHECK(page.find("\n11736\tN/A     text://127.0.0.1:17281 Chat                    "
                  "N/A         N/A       N/A     N/A           N/A    [busy] \n11737\t") !=
        std::string::npos);
  report.workers.clear();
  CHECK(report.busy() == std::vector<int>{11734, 11736, 11737, 11738});
  CHECK(detail::statusPage(report).find("Summary\t0M ") != std::string::npos);
}

TEST_CASE("status report: a worker named as its socket shows no name, as in Workerman") {
  StatusReport report = answered();
  report.workers[0].name = report.workers[0].listening;
  CHECK(detail::statusPage(report).find("11734\t1.01M   text://127.0.0.1:17281 none  ") != std::string::npos);
}

TEST_CASE("status report: requests per second are counted between two reports") {
  StatusReport before = answered();
  StatusReport now = answered();
  before.global.writtenAt = 5'000'000'000;
  now.global.writtenAt = 7'000'000'000;
  now.workers[0].totalRequest += 101;
  before.workers.erase(before.workers.begin() + 1);  // A process that is new.
  now.workers[2].totalRequest = 4;
  before.workers[1].totalRequest = 5;  // A pid that means another process today.
  detail::countQps(now, before);
  CHECK(now.workers[0].qps == 50.5);
  CHECK(now.workers[1].qps == 0);
  CHECK(now.workers[2].qps == 0);
  CHECK(detail::statusPage(now).find(" 104           51     [idle]") != std::string::npos);
  detail::countQps(now, now);
  CHECK(now.workers[0].qps == 0);
}

TEST_CASE("status report: the connections table is Workerman's") {
  ConnectionsReport report{service(), {11734, 11736, 11737, 11738}, {}};
  report.connections = {
      {11734, "Chat", 1, "tcp", "Text", true, false, 0, 0, 9, 12, "ESTABLISHED", "127.0.0.1:17281",
       "127.0.0.1:54664"},
      {11734, "A long name of a worker", 4294967296, "ssl", "WebsocketProtocol", false, true, 1024, 1536,
       5 * kMegabyte, kMegabyte * 1024 * 1024 + 1, "CLOSING", "[::1]:17281", "[::1]:54664"},
      {11736, "Chat", 2, "unix", "", false, false, 0, 1025, 0, 0, "ENDING", "/run/app.sock", ""}};
  // clang-format off
  CHECK(detail::connectionsTable(report) ==
        "--------------------------------------------------------------------- WORKERMAN CONNECTION STATUS --------------------------------------------------------------------------------\n"
        "PID      Worker          CID       Trans   Protocol        ipv4   ipv6   Recv-Q       Send-Q       Bytes-R      Bytes-W       Status         Local Address          Foreign Address\n"
        "11734    Chat            1         tcp     Text             1      0     0B           0B           9B           12B           ESTABLISHED    127.0.0.1:17281        127.0.0.1:54664       \n"
        "11734    A long name ..  4294967296 ssl     WebsocketProt..  0      1     1024B        1.5KB        5MB          1TB           CLOSING        [::1]:17281            [::1]:54664           \n"
        "11736    Chat            2         unix    unix             0      0     0B           1KB          0B           0B            ENDING         /run/app.sock                                \n");
  // clang-format on
}

TEST_CASE("status report: a long address widens the connections table, a busy process is named in it") {
  ConnectionsReport report{service(), {11734, 11737, 11738}, {}};
  const std::string address = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535";
  report.connections = {
      {11734, "Chat", 1, "tcp", "Text", false, true, 0, 0, 0, 0, "ESTABLISHED", address, "[::1]:1"}};
  const std::string table = detail::connectionsTable(report);
  CHECK(table.find(address + " [::1]:1 ") != std::string::npos);
  CHECK(table.find("Local Address" + std::string(address.size() - 12, ' ') + "Foreign Address") !=
        std::string::npos);
  CHECK(table.find("\n11736    [busy]\n") != std::string::npos);
}

TEST_CASE("status report: what the process says of itself is there") {
  const detail::ProgramVersions versions = detail::programVersions();
  CHECK(versions.workerman == "5.2.2");
  CHECK(versions.runtime.starts_with("C++/" WORKERMAN_CPP_VERSION " libuv/1."));
  CHECK(versions.system.starts_with("Linux/"));
  CHECK(detail::residentMemory() > 256 * 1024);
  CHECK(detail::systemLoad()[0] >= 0);
  CHECK(detail::monotonicNanoseconds() > 0);
}
