#include "status_records.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace Workerman::detail {
namespace {

using Json = nlohmann::ordered_json;

/// A name may hold any bytes; what is no UTF-8 is replaced.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The empty line before it ends what a full disk may have cut off.
std::string line(const Json& json) {
  return "\n" + dump(json) + "\n";
}

/// As a person would write it: 9.9, not the sum of halves that is next to it.
double inHundredths(double value) {
  return std::round(value * 100) / 100;
}

std::string pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// About so much is said at once.
constexpr std::size_t kPartSize = 32 * 1024;

Json toJson(const ServiceStatus& service) {
  Json exits = Json::array();
  for (const ExitCount& exit : service.exits)
    exits.push_back({{"status", exit.status}, {"count", exit.count}});
  return {{"name", service.name}, {"listen", service.listen}, {"transport", service.transport},
          {"user", service.user}, {"count", service.count},   {"exits", exits},
          {"pids", service.pids}};
}

ServiceStatus serviceFrom(const Json& json) {
  ServiceStatus service{json.at("name"), json.at("listen"), json.at("transport"),
                        json.at("user"), json.at("count"),  {},
                        json.at("pids")};
  for (const Json& exit : json.at("exits")) service.exits.push_back({exit.at("status"), exit.at("count")});
  return service;
}

Json toJson(const GlobalStatus& global) {
  Json services = Json::array();
  for (const ServiceStatus& service : global.services) services.push_back(toJson(service));
  return {{"version", global.versions.workerman}, {"runtime", global.versions.runtime},
          {"system", global.versions.system},     {"event_loop", global.versions.eventLoop},
          {"master_pid", global.masterPid},       {"daemon", global.daemonize},
          {"start_time", global.startTime},       {"time", global.time},
          {"load_average", global.loadAverage},   {"workers", services}};
}

GlobalStatus globalFrom(const Json& json) {
  GlobalStatus global;
  global.versions = {json.at("version"), json.at("runtime"), json.at("system"), json.at("event_loop")};
  global.masterPid = json.at("master_pid");
  global.daemonize = json.at("daemon");
  global.startTime = json.at("start_time");
  global.time = json.at("time");
  global.writtenAt = json.at("written_at");
  global.loadAverage = json.at("load_average");
  for (const Json& service : json.at("workers")) global.services.push_back(serviceFrom(service));
  return global;
}

Json toJson(const WorkerStatus& worker) {
  return {{"pid", worker.pid},
          {"id", worker.id},
          {"name", worker.name},
          {"listening", worker.listening},
          {"memory", worker.memory},
          {"connections", worker.connections},
          {"send_fail", worker.sendFail},
          {"timers", worker.timers},
          {"total_request", worker.totalRequest}};
}

WorkerStatus workerFrom(const Json& json) {
  return {json.at("pid"),       json.at("id"),     json.at("name"),
          json.at("listening"), json.at("memory"), json.at("connections"),
          json.at("send_fail"), json.at("timers"), json.at("total_request")};
}

Json toJson(const ConnectionStatus& connection) {
  return {{"pid", connection.pid},
          {"worker", connection.worker},
          {"id", connection.id},
          {"transport", connection.transport},
          {"protocol", connection.protocol},
          {"ipv4", connection.isIpV4},
          {"ipv6", connection.isIpV6},
          {"recv_queue", connection.recvQueue},
          {"send_queue", connection.sendQueue},
          {"bytes_read", connection.bytesRead},
          {"bytes_written", connection.bytesWritten},
          {"status", connection.status},
          {"local_address", connection.localAddress},
          {"remote_address", connection.remoteAddress}};
}

ConnectionStatus connectionFrom(const Json& json) {
  return {json.at("pid"),           json.at("worker"),        json.at("id"),
          json.at("transport"),     json.at("protocol"),      json.at("ipv4"),
          json.at("ipv6"),          json.at("recv_queue"),    json.at("send_queue"),
          json.at("bytes_read"),    json.at("bytes_written"), json.at("status"),
          json.at("local_address"), json.at("remote_address")};
}

/// Whose part it is, and whether his last; 0: the master's.
struct Origin {
  int pid = 0;
  bool isLast = true;
};

/// Takes "PID " or "PID. " off the record.
Origin takeOrigin(std::string_view& record) {
  Origin origin;
  const char* const all = record.data() + record.size();
  const auto [end, error] = std::from_chars(record.data(), all, origin.pid);
  if (error != std::errc()) return {};
  origin.isLast = end != all && *end == '.';
  record.remove_prefix(static_cast<std::size_t>(end - record.data()) + (origin.isLast ? 1 : 0));
  return origin;
}

/// Calls `each` with every record that is whole.
template <class Each>
void forEachRecord(std::string_view text, Each each) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;  // Still being written.
    std::string_view part = text.substr(0, end);
    text.remove_prefix(end + 1);
    const Origin origin = takeOrigin(part);
    if (part.empty()) continue;
    const Json json = Json::parse(part, nullptr, false);
    try {
      if (json.is_object()) each(origin, json);
    } catch (const Json::exception&) {
      // Not one of ours: what a process says is its own affair.
    }
  }
}

std::set<int> listedPids(const GlobalStatus& global) {
  std::set<int> pids;
  for (const ServiceStatus& service : global.services) pids.insert(service.pids.begin(), service.pids.end());
  return pids;
}

std::optional<GlobalStatus> findGlobal(std::string_view text, std::int64_t notBefore) {
  std::optional<GlobalStatus> global;
  forEachRecord(text, [&](const Origin& origin, const Json& json) {
    if (!global && origin.pid == 0) global = globalFrom(json);
  });
  if (global && global->writtenAt < notBefore) global.reset();
  return global;
}

}  // namespace

std::string encode(const GlobalStatus& global) {
  Json json = toJson(global);
  json["written_at"] = global.writtenAt;
  return line(json);
}

std::string encode(const WorkerStatus& worker) {
  return dump(toJson(worker));
}

/// One by one: as values, a hundred thousand would take far more memory than as text.
std::vector<std::string> encode(const std::vector<ConnectionStatus>& connections) {
  const std::string begin = "{\"connections\":[";
  std::vector<std::string> parts{begin};
  for (const ConnectionStatus& connection : connections) {
    if (parts.back().size() > kPartSize) {
      parts.back() += "]}";
      parts.push_back(begin);
    }
    if (parts.back().size() > begin.size()) parts.back() += ',';
    parts.back() += dump(toJson(connection));
  }
  parts.back() += "]}";
  return parts;
}

std::string record(int pid, std::string_view part, bool isLast) {
  std::string text = "\n" + std::to_string(pid) + (isLast ? ". " : " ");
  text += part;
  std::replace(text.begin() + 1, text.end(), '\n', ' ');
  return text + "\n";
}

std::optional<StatusReport> decodeStatus(std::string_view text, std::int64_t notBefore) {
  std::optional<GlobalStatus> global = findGlobal(text, notBefore);
  if (!global) return std::nullopt;
  const std::set<int> listed = listedPids(*global);
  std::map<int, WorkerStatus> workers;
  forEachRecord(text, [&](const Origin& origin, const Json& json) {
    if (!listed.contains(origin.pid)) return;
    WorkerStatus worker = workerFrom(json);
    worker.pid = origin.pid;
    workers[origin.pid] = std::move(worker);
  });
  StatusReport report{std::move(*global), {}};
  for (auto& [pid, worker] : workers) report.workers.push_back(std::move(worker));
  return report;
}

std::optional<ConnectionsReport> decodeConnections(std::string_view text, std::int64_t notBefore) {
  std::optional<GlobalStatus> global = findGlobal(text, notBefore);
  if (!global) return std::nullopt;
  const std::set<int> listed = listedPids(*global);
  ConnectionsReport report{std::move(*global), {}, {}};
  forEachRecord(text, [&](const Origin& origin, const Json& json) {
    if (!listed.contains(origin.pid)) return;
    std::vector<ConnectionStatus> connections;
    for (const Json& connection : json.at("connections")) connections.push_back(connectionFrom(connection));
    for (ConnectionStatus& connection : connections) connection.pid = origin.pid;
    if (origin.isLast) report.answered.push_back(origin.pid);
    std::move(connections.begin(), connections.end(), std::back_inserter(report.connections));
  });
  std::sort(report.answered.begin(), report.answered.end());
  std::stable_sort(report.connections.begin(), report.connections.end(),
                   [](const ConnectionStatus& a, const ConnectionStatus& b) { return a.pid < b.pid; });
  return report;
}

std::string statusJson(const StatusReport& report) {
  Json json = toJson(report.global);
  for (Json& load : json["load_average"]) load = inHundredths(load.get<double>());
  Json processes = Json::array();
  for (const WorkerStatus& worker : report.workers) {
    Json process = toJson(worker);
    process["qps"] = inHundredths(worker.qps);
    process["status"] = "idle";
    processes.push_back(std::move(process));
  }
  const std::vector<int> busy = report.busy();
  for (const ServiceStatus& service : report.global.services) {
    for (const int pid : service.pids) {
      if (!std::binary_search(busy.begin(), busy.end(), pid)) continue;
      processes.push_back({{"pid", pid},
                           {"id", nullptr},
                           {"name", service.name},
                           {"listening", service.listen},
                           {"memory", nullptr},
                           {"connections", nullptr},
                           {"send_fail", nullptr},
                           {"timers", nullptr},
                           {"total_request", nullptr},
                           {"qps", nullptr},
                           {"status", "busy"}});
    }
  }
  json["processes"] = std::move(processes);
  return pretty(json);
}

std::string connectionsJson(const ConnectionsReport& report) {
  Json list = Json::array();
  for (const ConnectionStatus& connection : report.connections) list.push_back(toJson(connection));
  return pretty({{"master_pid", report.global.masterPid},
                 {"busy_pids", report.busy()},
                 {"connections", std::move(list)}});
}

}  // namespace Workerman::detail
