// How the master replaces its workers' processes.

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "../exceptions.h"
#include "../listener.h"
#include "../log.h"
#include "../runtime.h"
#include "../worker.h"
#include "master.h"
#include "systemd.h"

namespace Workerman::detail {
namespace {

/// How long a reload waits for a new process before it goes on to the next.
constexpr std::chrono::seconds kReadyLimit{10};

}  // namespace

void Master::startReload(bool graceful) {
  // Differs from Workerman: one that is asked for during another is not lost, but follows it.
  if (phase_ == Phase::Reloading) reloadAgain_ = graceful;
  if (phase_ != Phase::Running) return;
  logLine("reloading");
  Worker::resetStd();
  notifyServiceManager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonicNanoseconds() / 1000));
  phase_ = Phase::Reloading;
  isGraceful_ = graceful;
  if (executable_.isReplaced()) return tryNewBinary();
  try {
    Worker::onMasterReload();
    for (Worker* const worker : Runtime::ofThisThread().workers()) {
      reloadCertificates(*worker);
      addSlots(*worker);
    }
  } catch (...) {
    return withCurrentException([&](const std::exception& e) { stop(250, describe(e)); });
  }
  planReload();
}

void Master::planReload() {
  const int signal = isGraceful_ ? SIGUSR2 : SIGUSR1;
  for (WorkerSlot& slot : slots_) {
    if (slot.pid == 0 || slot.worker == nullptr) continue;
    if (slot.worker->reloadable) {
      toReload_.push_back({&slot, slot.pid, signal});
    } else {
      ::kill(slot.pid, signal);
    }
  }
}

void Master::reloadCertificates(const Worker& worker) const {
  // Sockets of one worker share them.
  const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                 [&](const WorkerSlot& each) { return each.worker == &worker; });
  if (slot == slots_.end() || !slot->socket) return;
  try {
    slot->socket->reloadCertificates();
  } catch (const std::exception& e) {
    log("worker[" + worker.name + "] " + e.what() + "; the certificates read before are used further");
  }
}

/// One process after the other: the next is told once the new one in the place of the last is ready.
void Master::continueReload() {
  if (trial_ != nullptr) return continueUpgrade();
  while (!toReload_.empty()) {
    auto& [slot, pid, signal, readyBy] = toReload_.front();
    if (pid != 0 && slot->pid == pid) {
      if (!slot->wasTold) tell(*slot, signal, signal != SIGUSR1);
      return;
    }
    if (!slot->isReady && (slot->pid != 0 || slot->startAt)) {
      if (!readyBy) readyBy = Clock::now() + kReadyLimit;
      if (Clock::now() < *readyBy) return;
      log("worker[" + nameIn(*slot) + "] is not ready after " + std::to_string(kReadyLimit.count()) +
          " seconds: the reload goes on with the next process");
    }
    toReload_.pop_front();
  }
  endReload();
}

void Master::endReload() {
  phase_ = Phase::Running;
  if (isUp_) notifyReady();
  if (const auto again = std::exchange(reloadAgain_, std::nullopt)) {
    startReload(*again);
    if (phase_ == Phase::Reloading) continueReload();
  }
}

}  // namespace Workerman::detail
