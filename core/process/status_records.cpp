#include "status_records.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "../descriptor.h"

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

std::string pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// What a report begins with, see line().
constexpr std::string_view kBegin = "\n{";

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

/// Calls `each` with every part that is whole.
template <class Each>
void forEachPart(std::string_view text, Each each) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;  // Still being written.
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (part.empty()) continue;
    const Json json = Json::parse(part, nullptr, false);
    try {
      if (json.is_object()) each(json);
    } catch (const Json::exception&) {
      // Not one of ours: the file may be open to others.
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
  forEachPart(text, [&](const Json& json) {
    if (!global && json.contains("master_pid")) global = globalFrom(json);
  });
  if (global && global->writtenAt < notBefore) global.reset();
  return global;
}

std::string problem(const char* what, const std::string& path) {
  const int error = errno;
  return std::string(what) + " " + path + ": " + std::generic_category().message(error);
}

Descriptor openFile(const std::string& path, int flags, mode_t mode = 0) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode));
}

enum class InPlace { Nothing, Report, Foreign };

/// What has the name now. A symbolic link or a directory counts as nothing: neither is written through.
InPlace lookAt(const std::string& path) noexcept {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode)) {
    return InPlace::Nothing;
  }
  if (!S_ISREG(status.st_mode)) return InPlace::Foreign;
  const Descriptor file = openFile(path, O_RDONLY);
  std::array<char, kBegin.size()> begin{};
  const ssize_t size = ::read(file.get(), begin.data(), begin.size());
  const bool isOurs = size == 0 || (size == static_cast<ssize_t>(begin.size()) &&
                                    std::string_view(begin.data(), begin.size()) == kBegin);
  return isOurs ? InPlace::Report : InPlace::Foreign;
}

/// In one call: parts of several processes do not mix.
bool writeWhole(int fd, std::string_view part) {
  ssize_t written = 0;
  do {
    written = ::write(fd, part.data(), part.size());
  } while (written < 0 && errno == EINTR);
  if (written >= 0 && static_cast<std::size_t>(written) < part.size()) errno = ENOSPC;
  return written == static_cast<ssize_t>(part.size());
}

}  // namespace

std::string encode(const GlobalStatus& global) {
  Json json = toJson(global);
  json["written_at"] = global.writtenAt;
  return line(json);
}

std::string encode(const WorkerStatus& worker) {
  return line(toJson(worker));
}

/// One by one: as values, a hundred thousand would take far more memory than as text.
std::string encode(int pid, const std::vector<ConnectionStatus>& connections) {
  std::string text = "\n{\"pid\":" + std::to_string(pid) + ",\"connections\":[";
  for (const ConnectionStatus& connection : connections) {
    if (&connection != &connections.front()) text += ',';
    text += dump(toJson(connection));
  }
  return text + "]}\n";
}

std::optional<StatusReport> decodeStatus(std::string_view text, std::int64_t notBefore) {
  std::optional<GlobalStatus> global = findGlobal(text, notBefore);
  if (!global) return std::nullopt;
  const std::set<int> listed = listedPids(*global);
  std::map<int, WorkerStatus> workers;
  forEachPart(text, [&](const Json& json) {
    if (!json.contains("pid")) return;
    WorkerStatus worker = workerFrom(json);
    if (listed.contains(worker.pid)) workers[worker.pid] = std::move(worker);
  });
  StatusReport report{std::move(*global), {}};
  for (auto& [pid, worker] : workers) report.workers.push_back(std::move(worker));
  return report;
}

std::optional<ConnectionsReport> decodeConnections(std::string_view text, std::int64_t notBefore) {
  std::optional<GlobalStatus> global = findGlobal(text, notBefore);
  if (!global) return std::nullopt;
  const std::set<int> listed = listedPids(*global);
  std::map<int, std::vector<ConnectionStatus>> processes;
  forEachPart(text, [&](const Json& json) {
    if (!json.contains("pid") || !listed.contains(json.at("pid"))) return;
    std::vector<ConnectionStatus> connections;
    for (const Json& connection : json.at("connections")) connections.push_back(connectionFrom(connection));
    processes[json.at("pid")] = std::move(connections);
  });
  ConnectionsReport report{std::move(*global), {}, {}};
  for (auto& [pid, connections] : processes) {
    report.answered.push_back(pid);
    std::move(connections.begin(), connections.end(), std::back_inserter(report.connections));
  }
  return report;
}

std::string statusJson(const StatusReport& report) {
  Json json = toJson(report.global);
  Json processes = Json::array();
  for (const WorkerStatus& worker : report.workers) {
    Json process = toJson(worker);
    process["qps"] = worker.qps;
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

std::string beginReport(const std::string& path, std::string_view part, bool othersWrite) {
  if (lookAt(path) == InPlace::Foreign) return path + " is no status file, and stays as it is";
  const std::string fresh = path + "." + std::to_string(::getpid());
  const mode_t mode = othersWrite ? 0622 : 0600;
  ::unlink(fresh.c_str());
  {
    const Descriptor file = openFile(fresh, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (!file) return problem("cannot make", fresh);
    if (::fchmod(file.get(), mode) == 0 && writeWhole(file.get(), part) &&
        ::rename(fresh.c_str(), path.c_str()) == 0) {
      return {};
    }
  }
  std::string why = problem("cannot write", path);
  ::unlink(fresh.c_str());
  return why;
}

void removeReport(const std::string& path) noexcept {
  if (lookAt(path) == InPlace::Report) ::unlink(path.c_str());
}

std::string appendReport(const std::string& path, std::string_view part) {
  const Descriptor file = openFile(path, O_WRONLY | O_APPEND);
  return file && writeWhole(file.get(), part) ? std::string() : problem("cannot write", path);
}

std::string readReport(const std::string& path) {
  const Descriptor file = openFile(path, O_RDONLY);
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace Workerman::detail
