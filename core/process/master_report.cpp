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
#include "status_file.h"
#include "status_records.h"
#include "worker_report.h"

namespace Workerman::detail {
namespace {

/// How long the pid file may be missing before that is seen.
constexpr std::chrono::seconds kPidFileInterval{3};
/// How long a report is added to: a command waits for less.
constexpr std::chrono::seconds kReportLimit{2};
/// A question is numbered with seven bits.
constexpr std::uint8_t kNumbers = 128;

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

/// Nobody waits here for those that are busy, or that say nothing.
void Master::beginReport(int signal) {
  Report& report = reports_[signal == SIGIOT ? 0 : 1];
  report.until.reset();
  const std::string why =
      report.file.begin(signal == SIGIOT ? Worker::statusFile : connectionsFile(), encode(this->report()));
  if (!why.empty()) return logLine(why);
  report.until = Clock::now() + kReportLimit;
  report.number = lastNumber_ = (lastNumber_ + 1) % kNumbers;
  for (WorkerSlot& slot : slots_) {
    slot.*report.isOwed = slot.pid != 0 && slot.channel.descriptor() >= 0;
    if (slot.pid == 0) continue;
    slot.answered = 0;
    slot.channel.number(report.number);
    ::kill(slot.pid, signal);
  }
}

/// What is not asked for any more, or never was, counts for nothing.
void Master::take(WorkerSlot& slot, const Said& said) {
  if (said.kind == Answer::Ready) {
    slot.isReady = true;
    return;
  }
  Report& report = reports_[said.kind == Answer::Status ? 0 : 1];
  if (!report.until || !(slot.*report.isOwed) || said.number != report.number) return;
  slot.answered += said.text.size();
  std::string why;
  if (slot.answered > kMostAnswered) {
    why = "worker[" + nameIn(slot) + ":" + std::to_string(slot.pid) + "] says more than a report takes";
  } else {
    why = report.file.add(record(slot.pid, said.text, said.isLast));
  }
  if (!why.empty()) logLine(why);
  if (said.isLast || !why.empty()) slot.*report.isOwed = false;
}

void Master::endReports() {
  for (Report& report : reports_) {
    if (!report.until) continue;
    const bool isAwaited = std::any_of(slots_.begin(), slots_.end(),
                                       [&](const WorkerSlot& slot) { return slot.*report.isOwed; });
    if (isAwaited && Clock::now() < *report.until) continue;
    for (WorkerSlot& slot : slots_) slot.*report.isOwed = false;
    // For those that are busy the command has a time of its own.
    if (!isAwaited) report.file.add(kEndOfReport);
    report.file = {};
    report.until.reset();
  }
}

void Master::removeReports() const {
  removeReport(Worker::statusFile);
  removeReport(connectionsFile());
}

}  // namespace Workerman::detail
