#include "status_report.h"

#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>
#include <workerman/version.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <utility>

#include "../worker.h"
#include "text_column.h"

namespace Workerman::detail {
namespace {

constexpr std::size_t kMinWidth = 8;
constexpr std::size_t kGap = 4;
/// What the tags of " [OK] " count for in Workerman.
constexpr std::size_t kStateWidth = 17;

std::string rule(std::string_view title, std::size_t before, std::size_t after) {
  return std::string(before, '-') + std::string(title) + std::string(after, '-') + "\n";
}

std::string globalRule() {
  return rule("GLOBAL STATUS", 51, 57);
}
std::string processRule() {
  return rule("PROCESS STATUS", 51, 56);
}

std::string versionLine(const ProgramVersions& versions) {
  return padded("Workerman/" + versions.workerman, 24) + padded(versions.runtime, 30) + versions.system +
         "\n";
}

std::string megabytes(std::uint64_t bytes) {
  return rounded(static_cast<double>(bytes) / (1024 * 1024), 2) + "M";
}

std::string byteCount(std::uint64_t bytes) {
  static constexpr std::array<std::pair<double, const char*>, 4> units{
      {{1099511627776.0, "TB"}, {1073741824.0, "GB"}, {1048576.0, "MB"}, {1024.0, "KB"}}};
  const auto size = static_cast<double>(bytes);
  for (const auto& [unit, name] : units) {
    if (size > unit) return rounded(size / unit, 1) + name;
  }
  return std::to_string(bytes) + "B";
}

template <class Items, class Member>
std::size_t widest(const Items& items, Member member) {
  std::size_t width = kMinWidth;
  for (const auto& item : items) width = std::max(width, displayWidth(item.*member));
  return width;
}

std::string runTime(const GlobalStatus& global) {
  const auto start = static_cast<std::time_t>(global.startTime);
  std::tm parts{};
  ::localtime_r(&start, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", &parts);
  const std::int64_t seconds = std::max<std::int64_t>(0, global.time - global.startTime);
  std::string line = "start time:" + std::string(date.data()) + "   run " + std::to_string(seconds / 86400) +
                     " days " + std::to_string(seconds % 86400 / 3600) + " hours   load average: ";
  for (std::size_t i = 0; i < global.loadAverage.size(); ++i) {
    line += (i == 0 ? "" : ", ") + rounded(global.loadAverage[i], 2);
  }
  return line + "\n";
}

std::string exitTable(const GlobalStatus& global) {
  const std::size_t width = widest(global.services, &ServiceStatus::name);
  std::string text = padded("name", width) + "     event-loop     exit_status     exit_count\n";
  for (const ServiceStatus& service : global.services) {
    const std::string start =
        padded(service.name, width) + "     " + padded(global.versions.eventLoop, 14) + " ";
    for (const ExitCount& exit : service.exits) {
      text += start + padded(std::to_string(exit.status), 16) + padded(std::to_string(exit.count), 16) + "\n";
    }
    if (service.exits.empty()) text += start + padded("0", 16) + padded("0", 16) + "\n";
  }
  return text;
}

/// The columns of the process table after the pid.
struct ProcessColumns {
  std::size_t listening = kMinWidth;
  std::size_t name = kMinWidth;

  std::string row(std::string_view first, const std::array<std::string, 8>& cells,
                  std::string_view status) const {
    const std::array<std::size_t, 8> widths{7, listening, name, 11, 9, 7, 13, 6};
    std::string line = std::string(first) + "\t";
    for (std::size_t i = 0; i < cells.size(); ++i) line += padded(cells[i], widths[i]) + " ";
    return line + std::string(status) + "\n";
  }
};

std::string processRow(const ProcessColumns& columns, const WorkerStatus& worker) {
  return columns.row(
      std::to_string(worker.pid),
      {megabytes(worker.memory), worker.listening, worker.name == worker.listening ? "none" : worker.name,
       std::to_string(worker.connections), std::to_string(worker.sendFail), std::to_string(worker.timers),
       std::to_string(worker.totalRequest), std::to_string(std::llround(worker.qps))},
      "[idle]");
}

std::string summaryRow(const ProcessColumns& columns, const std::vector<WorkerStatus>& workers) {
  WorkerStatus sum;
  for (const WorkerStatus& worker : workers) {
    sum.memory += worker.memory;
    sum.connections += worker.connections;
    sum.sendFail += worker.sendFail;
    sum.timers += worker.timers;
    sum.totalRequest += worker.totalRequest;
    sum.qps += worker.qps;
  }
  return columns.row(
      "Summary",
      {megabytes(sum.memory), "-", "-", std::to_string(sum.connections), std::to_string(sum.sendFail),
       std::to_string(sum.timers), std::to_string(sum.totalRequest), std::to_string(std::llround(sum.qps))},
      "[Summary] ");
}

std::string processTable(const StatusReport& report) {
  ProcessColumns columns;
  columns.listening = std::max(widest(report.workers, &WorkerStatus::listening),
                               widest(report.global.services, &ServiceStatus::listen));
  columns.name = std::max(widest(report.workers, &WorkerStatus::name),
                          widest(report.global.services, &ServiceStatus::name));
  std::map<int, std::string> rows;  // In order of pid.
  for (const ServiceStatus& service : report.global.services) {
    for (const int pid : service.pids) {
      rows[pid] =
          columns.row(std::to_string(pid),
                      {"N/A", service.listen, service.name, "N/A", "N/A", "N/A", "N/A", "N/A"}, "[busy] ");
    }
  }
  for (const WorkerStatus& worker : report.workers) rows[worker.pid] = processRow(columns, worker);
  std::string text = columns.row(
      "pid", {"memory", "listening", "name", "connections", "send_fail", "timers", "total_request", "qps"},
      "status");
  for (const auto& [pid, row] : rows) text += row;
  return text + processRule() + summaryRow(columns, report.workers);
}

template <class IsAnswered>
std::vector<int> unanswered(const GlobalStatus& global, IsAnswered isAnswered) {
  std::vector<int> pids;
  for (const ServiceStatus& service : global.services) {
    std::copy_if(service.pids.begin(), service.pids.end(), std::back_inserter(pids),
                 [&](int pid) { return !isAnswered(pid); });
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

}  // namespace

std::vector<int> StatusReport::busy() const {
  return unanswered(global, [this](int pid) {
    return std::any_of(workers.begin(), workers.end(), [pid](const WorkerStatus& w) { return w.pid == pid; });
  });
}

std::vector<int> ConnectionsReport::busy() const {
  return unanswered(
      global, [this](int pid) { return std::find(answered.begin(), answered.end(), pid) != answered.end(); });
}

void countQps(StatusReport& report, const StatusReport& before) {
  const auto seconds = static_cast<double>(report.global.writtenAt - before.global.writtenAt) / 1e9;
  for (WorkerStatus& worker : report.workers) {
    const auto then = std::find_if(before.workers.begin(), before.workers.end(),
                                   [&](const WorkerStatus& other) { return other.pid == worker.pid; });
    worker.qps = then == before.workers.end() || seconds <= 0 || worker.totalRequest < then->totalRequest
                     ? 0
                     : static_cast<double>(worker.totalRequest - then->totalRequest) / seconds;
  }
}

const std::vector<std::pair<std::string_view, std::string_view>>& uiColumns() {
  static const std::vector<std::pair<std::string_view, std::string_view>> columns{
      {"event-loop", "eventLoopName"}, {"proto", "transport"}, {"user", "user"},        {"worker", "name"},
      {"socket", "statusSocket"},      {"count", "count"},     {"state", "statusState"}};
  return columns;
}

std::string startupTable(const GlobalStatus& global) {
  const std::vector<ServiceStatus>& services = global.services;
  const std::size_t loopWidth = std::max(kMinWidth, displayWidth(global.versions.eventLoop)) + kGap;
  const std::array<std::size_t, 7> widths{loopWidth,
                                          widest(services, &ServiceStatus::transport) + kGap,
                                          widest(services, &ServiceStatus::user) + kGap,
                                          widest(services, &ServiceStatus::name) + kGap,
                                          widest(services, &ServiceStatus::listen) + kGap,
                                          kMinWidth + kGap,
                                          kStateWidth};
  const std::string version = versionLine(global.versions);
  std::size_t total = 0;
  std::string title;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    // Workerman shows its "socket" as this.
    const std::string name(uiColumns()[i].first == "socket" ? "listen" : uiColumns()[i].first);
    total += widths[i];
    title += "<w>" + name + "</w>" + std::string(widths[i] - name.size(), ' ');
  }
  total = std::max(total, displayWidth(version));
  const auto ruled = [total](std::string_view name) {
    const std::size_t dashes = total - name.size();
    return std::string(dashes / 2, '-') + "<w>" + std::string(name) + "</w>" +
           std::string(dashes - dashes / 2, '-');
  };
  std::string text =
      "<n>" + ruled(" WORKERMAN ") + "</n>\n" + version + ruled(" WORKERS ") + "\n" + title + "\n";
  for (const ServiceStatus& service : services) {
    const std::array<std::string, 6> cells{
        global.versions.eventLoop,    service.transport, service.user, service.name, service.listen,
        std::to_string(service.count)};
    for (std::size_t i = 0; i < cells.size(); ++i) text += padded(cells[i], widths[i]);
    text += "<g> [OK] </g>" + std::string(kStateWidth - 6, ' ') + "\n";
  }
  return services.empty() ? text : text + std::string(total, '-') + "\n";
}

std::string startedLine(std::string_view program, bool daemonize, bool isLibrary) {
  if (daemonize) return "Input \"" + std::string(program) + " stop\" to stop. Start success.\n\n";
  return isLibrary ? "Start success.\n" : "Press Ctrl+C to stop. Start success.\n";
}

std::string statusPage(const StatusReport& report) {
  const GlobalStatus& global = report.global;
  std::size_t processes = 0;
  for (const ServiceStatus& service : global.services) processes += service.pids.size();
  return std::string("Start worker in ") + (global.daemonize ? "DAEMON" : "DEBUG") + " mode.\n" +
         globalRule() + versionLine(global.versions) + runTime(global) +
         std::to_string(global.services.size()) + " workers    " + std::to_string(processes) +
         " processes\n" + exitTable(global) + processRule() + processTable(report);
}

std::string connectionsTable(const ConnectionsReport& report) {
  const auto& connections = report.connections;
  // The gap is part of a width; what is longer than Workerman's widens its column.
  const std::size_t pid = 9, worker = 16, id = 10, transport = 8, protocol = 16, ip = 7, bytes = 13,
                    status = 15;
  const std::size_t local =
      std::max<std::size_t>(23, widest(connections, &ConnectionStatus::localAddress) + 1);
  const std::size_t remote = std::max<std::size_t>(22, widest(connections, &ConnectionStatus::remoteAddress));
  std::string text = rule(" WORKERMAN CONNECTION STATUS ", 69, 80);
  text += padded("PID", pid) + padded("Worker", worker) + padded("CID", id) + padded("Trans", transport) +
          padded("Protocol", protocol) + padded("ipv4", ip) + padded("ipv6", ip) + padded("Recv-Q", bytes) +
          padded("Send-Q", bytes) + padded("Bytes-R", bytes) + padded("Bytes-W", bytes + 1) +
          padded("Status", status) + padded("Local Address", local) + "Foreign Address\n";
  for (const ConnectionStatus& c : connections) {
    text += padded(std::to_string(c.pid), pid) + padded(shortened(c.worker, 14), worker) +
            padded(std::to_string(c.id), id - 1) + " " + padded(c.transport, transport) +
            padded(shortened(c.protocol.empty() ? c.transport : c.protocol, 15), protocol) +
            padded(c.isIpV4 ? " 1" : " 0", ip) + padded(c.isIpV6 ? " 1" : " 0", ip) +
            padded(byteCount(c.recvQueue), bytes) + padded(byteCount(c.sendQueue), bytes) +
            padded(byteCount(c.bytesRead), bytes) + padded(byteCount(c.bytesWritten), bytes + 1) +
            padded(c.status, status) + padded(c.localAddress, local) + padded(c.remoteAddress, remote) + "\n";
  }
  for (const int busy : report.busy()) text += padded(std::to_string(busy), pid) + "[busy]\n";
  return text;
}

ProgramVersions programVersions() {
  struct utsname system {};
  ::uname(&system);
  return {Worker::VERSION, "C++/" WORKERMAN_CPP_VERSION " libuv/" + std::string(uv_version_string()),
          std::string(system.sysname) + "/" + system.release};
}

std::uint64_t residentMemory() {
  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::array<double, 3> systemLoad() {
  std::array<double, 3> load{};
  if (::getloadavg(load.data(), 3) != 3) load.fill(0);
  return load;
}

std::int64_t monotonicNanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace Workerman::detail
