// What the master knows of itself and its workers.

#include <unistd.h>

#include <ctime>

#include "master.h"
#include "privileges.h"
#include "runtime.h"
#include "worker.h"

namespace Workerman::detail {

GlobalStatus Master::report() const {
  GlobalStatus global;
  global.versions = programVersions();
  global.masterPid = ::getpid();
  global.daemonize = Worker::daemonize;
  global.startTime = startTime_;
  global.time = std::time(nullptr);
  global.writtenAt = monotonicNanoseconds();
  global.loadAverage = systemLoad();
  for (Worker* const worker : Runtime::ofThisThread().workers()) {
    ServiceStatus service;
    service.name = worker->name;
    service.listen = worker->getSocketName();
    service.transport = worker->transport;
    service.user = worker->user.empty() ? currentUser() : worker->user;
    service.count = worker->count;
    if (const auto ended = exitStatuses_.find(worker); ended != exitStatuses_.end()) {
      for (const auto& [status, times] : ended->second) service.exits.push_back({status, times});
    }
    for (const WorkerSlot& slot : slots_) {
      if (slot.worker == worker && slot.pid != 0) service.pids.push_back(slot.pid);
    }
    global.services.push_back(std::move(service));
  }
  return global;
}

}  // namespace Workerman::detail
