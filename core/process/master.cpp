#include "master.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "../exceptions.h"
#include "../listener.h"
#include "../log.h"
#include "../runtime.h"
#include "../worker.h"
#include "output.h"
#include "systemd.h"

namespace Workerman::detail {
namespace {

constinit thread_local Master* master = nullptr;

/// A process cuts off what is left at its time limit, and then has this long to end.
constexpr double kGraceSeconds = 1;
/// After a fork that the system refused.
constexpr std::chrono::seconds kForkPause{1};

std::string nameOf(const WorkerSlot& slot) {
  return "worker[" + nameIn(slot) + ":" + std::to_string(slot.pid) + "]";
}

/// "2", "0.25"
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

const std::string& nameIn(const WorkerSlot& slot) noexcept {
  return slot.worker != nullptr ? slot.worker->name : slot.formerName;
}

Master* Master::ofThisProcess() noexcept {
  return master;
}

Master::Master(std::string program, Executable executable, PidFile pidFile, InheritedSockets inherited)
    : program_(std::move(program)),
      executable_(std::move(executable)),
      pidFile_(std::move(pidFile)),
      inherited_(std::move(inherited)) {
  master = this;
}

Master::Master(std::string program, Executable executable, PidFile pidFile, const Handover& before)
    : program_(std::move(program)),
      executable_(std::move(executable)),
      pidFile_(std::move(pidFile)),
      inherited_(before.sockets),
      isUp_(before.isUp),
      phase_(Phase::Reloading),
      startTime_(before.startTime),
      isGraceful_(before.isGraceful) {
  master = this;
  if (before.reloadAgain >= 0) reloadAgain_ = before.reloadAgain != 0;
}

Master::~Master() {
  pidFile_.remove();
  if (master == this) master = nullptr;
}

void Master::logLine(std::string_view text) const {
  log("Workerman[" + program_ + "] " + std::string(text));
}

int Master::status() const noexcept {
  switch (phase_) {
    case Phase::Starting:
      return Worker::STATUS_STARTING;
    case Phase::Running:
      return Worker::STATUS_RUNNING;
    case Phase::Reloading:
      return Worker::STATUS_RELOADING;
    case Phase::Stopping:
      break;
  }
  return Worker::STATUS_SHUTDOWN;
}

// -- processes ----------------------------------------------------------------------

void Master::openSockets() {
  addAllSlots();
  inherited_.closeUnwanted();
}

void Master::addAllSlots() {
  for (Worker* const worker : Runtime::ofThisThread().workers()) addSlots(*worker);
}

/// As many as `count` says, if there are fewer.
void Master::addSlots(Worker& worker) {
  worker.count = std::max(worker.count, 1);
  std::optional<Identity> identity;
  if (!worker.user.empty() || !worker.group.empty()) identity = findIdentity(worker.user, worker.group);
  if (identity && !canBecome(*identity)) {
    log("Warning: You must have the root privileges to change uid and gid.");
    identity.reset();
  }
  std::shared_ptr<OpenSocket> first;
  int has = 0;
  for (const WorkerSlot& slot : slots_) {
    if (slot.worker != &worker) continue;
    first = slot.socket;
    ++has;
  }
  for (; has < worker.count; ++has) {
    WorkerSlot slot;
    slot.worker = &worker;
    slot.id = has;
    slot.identity = identity;
    if (!worker.socketName().empty() && (!first || worker.reusePort)) {
      slot.socket = openListeningSocket(worker, first.get(), &inherited_);
      if (!first) first = slot.socket;
    } else {
      slot.socket = first;
    }
    slot.startAt = Clock::now();
    slots_.push_back(std::move(slot));
  }
}

/// False, with a line in the log, where the system has no process or descriptor left.
bool Master::fork(WorkerSlot& slot) {
  flushOutput();
  std::fflush(nullptr);
  slot.isReady = slot.wasTold = slot.owesStatus = slot.owesConnections = false;
  slot.killAt.reset();
  slot.startAt.reset();
  slot.startedAt = Clock::now();
  std::string why;
  try {
    Descriptor childsEnd = slot.channel.open();
    const pid_t self = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) becomeWorker(slot, std::move(childsEnd), self);
    if (pid > 0) {
      slot.pid = pid;
      return true;
    }
    why = std::system_category().message(errno);
  } catch (const std::system_error& e) {
    why = e.code().message();
  }
  log("worker[" + slot.worker->name + "] cannot be forked: " + why);
  slot.channel.close();
  return false;
}

void Master::becomeWorker(WorkerSlot& slot, Descriptor channel, pid_t self) {
  WorkerSlot own = std::move(slot);
  own.channel.close();
  ChannelToMaster toMaster(std::move(channel));
  pidFile_.leaveToMaster();
  launcher_.close();
  // It is the master who talks to the service manager.
  ::unsetenv("NOTIFY_SOCKET");
  master = nullptr;
  trial_.reset();
  slots_.clear();
  serveWorker(own, toMaster, signals_, self);
}

void Master::forkAllDue() {
  if (phase_ == Phase::Stopping) return;
  bool canFork = true;
  for (WorkerSlot& slot : slots_) {
    if (!slot.startAt || *slot.startAt > Clock::now()) continue;
    // The others will have to wait as well, and need no line each.
    canFork = canFork && fork(slot);
    if (!canFork) slot.startAt = Clock::now() + kForkPause;
  }
}

bool Master::hasProcesses() const noexcept {
  return std::any_of(slots_.begin(), slots_.end(), [](const WorkerSlot& slot) { return slot.pid != 0; });
}

void Master::reap() {
  int status = 0;
  pid_t pid;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    const auto found =
        std::find_if(slots_.begin(), slots_.end(), [&](const WorkerSlot& slot) { return slot.pid == pid; });
    // Others are the program's own, or orphans that come to whoever is process 1.
    if (found != slots_.end()) onEnd(*found, status);
    if (trial_ != nullptr && trial_->pid() == pid) trial_->onEnd(status);
  }
}

void Master::onEnd(WorkerSlot& slot, int status) {
  if (status != 0) log(nameOf(slot) + " exit with status " + std::to_string(status));
  if (slot.worker != nullptr) ++exitStatuses_[slot.worker][status];
  if (!isUp_ && Worker::daemonize && !slot.wasTold) {
    failStart(nameOf(slot) + " ended before all had started, with status " + std::to_string(status));
  }
  const pid_t pid = std::exchange(slot.pid, 0);
  slot.channel.close();
  slot.owesStatus = slot.owesConnections = false;
  slot.killAt.reset();
  if (slot.worker == nullptr) return;
  planNextStart(slot);
  try {
    Worker::onWorkerExit(slot.worker, status, pid);
  } catch (...) {
    withCurrentException([&](const std::exception& e) {
      log("worker[" + slot.worker->name + "] onWorkerExit " + describe(e));
    });
  }
}

void Master::planNextStart(WorkerSlot& slot) {
  if (phase_ == Phase::Stopping || slot.id >= slot.worker->count) return;
  const auto now = Clock::now();
  const auto wait = slot.wasTold ? Clock::duration::zero() : slot.backOff.afterEnd(now - slot.startedAt);
  slot.startAt = now + wait;
  if (wait == Clock::duration::zero()) return;
  log("worker[" + slot.worker->name + "] has ended " + std::to_string(slot.backOff.inARow()) +
      " times in a row within " + std::to_string(BackOff::kShortLife.count()) +
      " seconds of its start: the next start is in " + number(std::chrono::duration<double>(wait).count()) +
      " seconds");
}

void Master::noteUp() {
  const auto isReady = [](const WorkerSlot& slot) { return slot.isReady; };
  if (isUp_ || phase_ == Phase::Stopping || !std::all_of(slots_.begin(), slots_.end(), isReady)) return;
  isUp_ = true;
  launcher_.ready();
  notifyReady();
}

void Master::notifyReady() const {
  const auto processes =
      std::count_if(slots_.begin(), slots_.end(), [](const WorkerSlot& slot) { return slot.pid != 0; });
  std::string state = "READY=1\nSTATUS=" + std::to_string(processes) + " processes serve " +
                      std::to_string(Runtime::ofThisThread().workers().size()) + " workers";
  // A daemon is not the process that the service manager has started.
  if (Worker::daemonize) state += "\nMAINPID=" + std::to_string(::getpid());
  notifyServiceManager(state);
}

void Master::failStart(const std::string& why) {
  launcher_.failed(
      1, "Workerman[" + program_ + "] start fail: " + why + "; the log may tell more: " + Worker::logFile);
  stop(1, "start fail");
}

// -- the life of the master ---------------------------------------------------------

int Master::run(Readiness launcher) {
  launcher_ = std::move(launcher);
  // One that has ended while the binary was replaced has not been seen yet.
  reap();
  forkAllDue();
  if (phase_ == Phase::Starting) phase_ = Phase::Running;
  if (phase_ == Phase::Reloading) continueReload();
  while (phase_ != Phase::Stopping || hasProcesses()) {
    waitForNews();
    for (const int signal : signals_.take()) onSignal(signal);
    reap();
    noteUp();
    endReports();
    killOverdue();
    forkAllDue();
    keepPidFile();
    if (phase_ == Phase::Reloading) continueReload();
  }
  slots_.clear();
  logLine("has been stopped");
  try {
    Worker::onMasterStop();
  } catch (...) {
    withCurrentException([](const std::exception& e) { log("onMasterStop " + describe(e)); });
  }
  removeReports();
  pidFile_.remove();
  return exitCode_;
}

std::optional<Clock::time_point> Master::nextDeadline() const {
  std::optional<Clock::time_point> next;
  const auto consider = [&](const std::optional<Clock::time_point>& at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const WorkerSlot& slot : slots_) {
    consider(slot.killAt);
    consider(slot.startAt);
  }
  if (phase_ != Phase::Stopping) consider(nextPidFileLook_);
  if (!toReload_.empty()) consider(toReload_.front().readyBy);
  if (trial_ != nullptr) consider(trial_->deadline());
  for (const Report& report : reports_) consider(report.until);
  return next;
}

void Master::waitForNews() {
  flushOutput();
  int timeout = -1;
  if (const auto deadline = nextDeadline()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
    timeout = static_cast<int>(std::clamp<long long>(left, 0, 60'000));
  }
  std::vector<pollfd> news{{signals_.descriptor(), POLLIN, 0},
                           {trial_ != nullptr ? trial_->reports() : -1, POLLIN, 0},
                           {trial_ != nullptr ? trial_->output() : -1, POLLIN, 0}};
  const std::size_t own = news.size();
  // Of who has been asked nothing nothing is heard.
  std::vector<WorkerSlot*> heard;
  for (WorkerSlot& slot : slots_) {
    const bool owes = !slot.isReady || slot.owesStatus || slot.owesConnections;
    if (slot.pid == 0 || !owes || slot.channel.descriptor() < 0) continue;
    news.push_back({slot.channel.descriptor(), POLLIN, 0});
    heard.push_back(&slot);
  }
  if (::poll(news.data(), news.size(), timeout) <= 0) return;
  for (std::size_t i = 0; i < heard.size(); ++i) {
    if (news[own + i].revents != 0) hear(*heard[i]);
  }
}

void Master::hear(WorkerSlot& slot) {
  const std::string why = slot.channel.read([&](const Said& said) { take(slot, said); });
  if (!why.empty()) log(nameOf(slot) + " " + why + ": the master does not listen to it any more");
}

void Master::onSignal(int signal) {
  const StopLevel level = stopLevelOf(signal);
  if (level != StopLevel::None) {
    stop(0, "received signal " + signalName(signal), level);
  } else if (signal == SIGUSR1 || signal == SIGUSR2) {
    startReload(signal == SIGUSR2);
  } else if (signal == SIGIOT || signal == SIGIO) {
    beginReport(signal);
  }
}

void Master::tell(WorkerSlot& slot, int signal, bool graceful) {
  // What has not finished in its time is stopped in the ordinary way, which takes time again.
  const bool finishesFirst = graceful || signal == SIGUSR1;
  double limit = 0;
  if (level_ != StopLevel::AtOnce) limit = Worker::stopTimeout;
  if (finishesFirst) limit += graceful ? Worker::gracefulStopTimeout : Worker::stopTimeout;
  slot.wasTold = true;
  slot.killAt = Clock::now() + seconds(limit + kGraceSeconds);
  slot.reason = "has not ended within " + number(limit) + " seconds (" +
                (graceful        ? "gracefulStopTimeout + stopTimeout"
                 : finishesFirst ? "twice stopTimeout"
                                 : "stopTimeout") +
                ") of " + signalName(signal);
  ::kill(slot.pid, signal);
}

void Master::killOverdue() {
  const auto now = Clock::now();
  for (WorkerSlot& slot : slots_) {
    if (slot.pid == 0 || !slot.killAt || *slot.killAt > now) continue;
    slot.killAt.reset();
    log(nameOf(slot) + " " + slot.reason + ": the master kills it with SIGKILL");
    ::kill(slot.pid, SIGKILL);
  }
}

void Master::stop(int code, std::string_view log, StopLevel level) {
  if (code != 0) exitCode_ = code;
  if (phase_ != Phase::Stopping) {
    phase_ = Phase::Stopping;
    notifyServiceManager("STOPPING=1");
    toReload_.clear();
    trial_.reset();
    if (!log.empty()) logLine(log);
    logLine(code == 0 ? "stopping" : "stopping, code [" + std::to_string(code) + "]");
  } else if (level == StopLevel::Ordinary && level_ == StopLevel::Ordinary) {
    level = StopLevel::AtOnce;
  }
  if (level <= level_) return;
  level_ = level;
  for (WorkerSlot& slot : slots_) {
    slot.startAt.reset();
    slot.channel.order(level);
    if (slot.pid != 0)
      tell(slot, level == StopLevel::Graceful ? SIGQUIT : SIGINT, level == StopLevel::Graceful);
  }
}

}  // namespace Workerman::detail
