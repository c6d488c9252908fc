// What the master knows of itself and its workers, and how it has it shown.

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <utility>

#include "../runtime.h"
#include "../worker.h"
#include "master.h"
#include "privileges.h"
#include "status_records.h"
#include "worker_report.h"

namespace Workerman::detail {
namespace {

/// How long the pid file may be missing before that is seen.
constexpr std::chrono::seconds kPidFileInterval{3};

}  // namespace

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

/// Without it no command finds this process; and what clears folders of old files may take it.
void Master::keepPidFile() {
  if (phase_ == Phase::Stopping) return;
  nextPidFileLook_ = Clock::now() + kPidFileInterval;
  pidFile_.renew();
  const bool wasLost = std::exchange(isPidFileLost_, !pidFile_.hasItsName());
  if (!isPidFileLost_) return;
  isPidFileLost_ = !pidFile_.restore();
  if (!isPidFileLost_) return logLine("the pid file " + pidFile_.path() + " had gone: it is there again");
  if (!wasLost) logLine("the pid file " + pidFile_.path() + " has gone, and cannot be made again");
}

/// Who listens is told to add its part; nobody waits here for those that are busy.
void Master::beginReport(int signal) {
  const bool othersWrite = std::any_of(slots_.begin(), slots_.end(),
                                       [](const WorkerSlot& slot) { return slot.identity.has_value(); });
  const std::string& file = signal == SIGIOT ? Worker::statusFile : connectionsFile();
  const std::string why = detail::beginReport(file, encode(report()), othersWrite);
  if (!why.empty()) return logLine(why);
  for (const WorkerSlot& slot : slots_) {
    if (slot.pid != 0) ::kill(slot.pid, signal);
  }
}

void Master::removeReports() const {
  removeReport(Worker::statusFile);
  removeReport(connectionsFile());
}

}  // namespace Workerman::detail
