#include "worker_report.h"

#include <unistd.h>

#include "../listener.h"
#include "../log.h"
#include "../worker.h"
#include "status_records.h"

namespace Workerman::detail {
namespace {

void handIn(const Worker& worker, const std::string& file, const std::string& part) {
  const std::string why = appendReport(file, part);
  if (!why.empty()) log("worker[" + worker.name + ":" + std::to_string(::getpid()) + "] " + why);
}

}  // namespace

std::string connectionsFile() {
  return Worker::statusFile + ".connection";
}

void handInStatus(const Worker& worker) {
  WorkerStatus status;
  status.pid = ::getpid();
  status.id = worker.id;
  status.name = worker.name;
  status.listening = worker.getSocketName();
  status.memory = residentMemory();
  status.timers = static_cast<std::uint64_t>(Worker::getEventLoop()->getTimerCount());
  countConnections(status);
  handIn(worker, Worker::statusFile, encode(status));
}

void handInConnections(const Worker& worker) {
  std::vector<ConnectionStatus> connections = listConnections(worker);
  for (ConnectionStatus& connection : connections) connection.pid = ::getpid();
  handIn(worker, connectionsFile(), encode(::getpid(), connections));
}

}  // namespace Workerman::detail
