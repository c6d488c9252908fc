// How the master becomes that of the program's new binary.

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "../exceptions.h"
#include "../listener.h"
#include "../log.h"
#include "../runtime.h"
#include "../worker.h"
#include "master.h"

namespace Workerman::detail {
namespace {

/// What a worker is called in a handover: by its socket or else its name, and
/// which of those that are alike it is.
std::map<Worker*, std::string> workerKeys() {
  std::map<Worker*, std::string> keys;
  std::map<std::string, int> seen;
  for (Worker* const worker : Runtime::ofThisThread().workers()) {
    const std::string base = worker->socketName().empty() ? "name " + worker->name : worker->socketName();
    keys[worker] = base + " #" + std::to_string(++seen[base]);
  }
  return keys;
}

}  // namespace

std::vector<InheritedSocket> Master::sockets() const {
  std::vector<InheritedSocket> all;
  const OpenSocket* last = nullptr;
  for (const WorkerSlot& slot : slots_) {
    // Those of one worker that share a socket follow each other.
    if (slot.socket && slot.socket.get() != last) all.push_back(slot.socket->inheritance());
    last = slot.socket.get();
  }
  return all;
}

// -- under the old binary -----------------------------------------------------------

void Master::tryNewBinary() {
  try {
    Handover given;
    given.sockets = sockets();
    // Their files stay, whatever becomes of it.
    for (InheritedSocket& socket : given.sockets) socket.file = {};
    given.pidFile = pidFile_.path();
    trial_ = std::make_unique<Trial>(executable_, given, seconds(Worker::upgradeTimeout));
  } catch (const std::exception& e) {
    keepOldBinary(e.what());
  }
}

/// Does not return if the new binary can run.
void Master::continueUpgrade() {
  if (!trial_->isOver()) return;
  const std::unique_ptr<Trial> trial = std::move(trial_);
  std::string why = trial->failure();
  if (why.empty()) {
    // Another one meanwhile?
    if (fileState(executable_.path) != trial->ran()) return tryNewBinary();
    logLine("goes on with the new binary " + executable_.path);
    Handover state = handOver();
    for (const InheritedSocket& socket : trial->sockets().all()) state.sockets.push_back(socket);
    why = runInstead(executable_, state);
  }
  keepOldBinary(why);
}

void Master::keepOldBinary(const std::string& why) {
  logLine("the new binary " + executable_.path + " cannot be started: " + why +
          "; still running the old one");
  endReload();
}

Handover Master::handOver() const {
  const auto keys = workerKeys();
  Handover state;
  state.sockets = sockets();
  for (const WorkerSlot& slot : slots_) {
    if (slot.pid == 0) continue;
    HandedProcess process;
    const auto key = keys.find(slot.worker);
    if (key != keys.end()) process.worker = key->second;
    process.name = nameIn(slot);
    process.id = slot.id;
    process.pid = slot.pid;
    process.channel = slot.channel.descriptor();
    process.isReady = slot.isReady;
    process.isReloadable = slot.worker == nullptr || slot.worker->reloadable;
    process.startedAt = std::chrono::nanoseconds(slot.startedAt.time_since_epoch()).count();
    state.processes.push_back(std::move(process));
  }
  for (const auto& [worker, statuses] : exitStatuses_) {
    const auto key = keys.find(worker);
    if (key == keys.end()) continue;
    for (const auto& [status, times] : statuses) state.exits.push_back({key->second, status, times});
  }
  state.pidFile = pidFile_.path();
  state.pidFd = pidFile_.fd();
  state.launcher = launcher_.fd();
  state.daemonize = Worker::daemonize;
  state.isUp = isUp_;
  state.isGraceful = isGraceful_;
  if (reloadAgain_) state.reloadAgain = *reloadAgain_ ? 1 : 0;
  state.startTime = startTime_;
  return state;
}

// -- under the new one --------------------------------------------------------------

void Master::takeOver(const Handover& before) {
  addAllSlots();
  std::string failure;
  try {
    Worker::onMasterReload();
    addAllSlots();
  } catch (...) {
    withCurrentException([&](const std::exception& e) { failure = describe(e); });
  }
  inherited_.closeUnwanted();
  adoptProcesses(before);
  if (!failure.empty()) stop(250, failure);
}

/// The processes of the old binary serve on until their turn comes: first, those that are new
/// start, then one replaces the other, last come those that have no successor.
void Master::adoptProcesses(const Handover& before) {
  const auto keys = workerKeys();
  for (const HandedExit& exit : before.exits) {
    for (const auto& [worker, key] : keys) {
      if (key == exit.worker) exitStatuses_[worker][exit.status] += exit.times;
    }
  }
  std::deque<Step> replaced, retired;
  for (const HandedProcess& process : before.processes) {
    auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const WorkerSlot& each) {
      return each.worker != nullptr && each.pid == 0 && each.id == process.id &&
             keys.at(each.worker) == process.worker;
    });
    const bool isKnown = slot != slots_.end();
    if (!isKnown) {
      slot = slots_.insert(slots_.end(), WorkerSlot());
      slot->formerName = process.name;
    }
    slot->pid = process.pid;
    slot->channel = ChannelToWorker(process.channel);
    slot->isReady = process.isReady;
    slot->startAt.reset();
    slot->startedAt = Clock::time_point(std::chrono::nanoseconds(process.startedAt));
    const int signal = !process.isReloadable ? SIGQUIT : isGraceful_ ? SIGUSR2 : SIGUSR1;
    if (isKnown && !slot->worker->reloadable) {
      ::kill(slot->pid, isGraceful_ ? SIGUSR2 : SIGUSR1);
    } else {
      (isKnown ? replaced : retired).push_back({&*slot, process.pid, signal});
    }
  }
  for (WorkerSlot& slot : slots_) {
    if (slot.pid == 0) toReload_.push_back({&slot, 0, 0});
  }
  toReload_.insert(toReload_.end(), replaced.begin(), replaced.end());
  toReload_.insert(toReload_.end(), retired.begin(), retired.end());
}

}  // namespace Workerman::detail
