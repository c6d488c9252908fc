#include "worker_report.h"

#include <unistd.h>

#include "../listener.h"
#include "../worker.h"
#include "status_records.h"
#include "status_report.h"

namespace Workerman::detail {
std::string connectionsFile() {
  return Worker::statusFile + ".connection";
}

void handInStatus(const Worker& worker, ChannelToMaster& channel) {
  if (!channel.isFree()) return;
  WorkerStatus status;
  status.pid = ::getpid();
  status.id = worker.id;
  status.name = worker.name;
  status.listening = worker.getSocketName();
  status.memory = residentMemory();
  status.timers = static_cast<std::uint64_t>(Worker::getEventLoop()->getTimerCount());
  countConnections(status);
  channel.say(*Worker::getEventLoop(), Answer::Status, encode(status));
}

void handInConnections(const Worker& worker, ChannelToMaster& channel) {
  if (!channel.isFree()) return;
  const std::vector<std::string> parts = encode(listConnections(worker));
  for (const std::string& part : parts) {
    channel.say(*Worker::getEventLoop(), Answer::Connections, part, &part == &parts.back());
  }
}

}  // namespace Workerman::detail
