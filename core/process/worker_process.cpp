#include "worker_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>

#include "../exceptions.h"
#include "../log.h"
#include "../runtime.h"
#include "../worker.h"
#include "privileges.h"
#include "process_title.h"
#include "worker_report.h"

namespace Workerman::detail {

WorkerLink::WorkerLink() : memory_(::memfd_create("workerman-orders", MFD_CLOEXEC)) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::system_error(errno, std::system_category(), "pipe");
  readEnd_.reset(ends[0]);
  writeEnd_.reset(ends[1]);
  if (::ftruncate(memory_.get(), sizeof(Orders)) != 0)
    throw std::system_error(errno, std::system_category(), "memfd");
  mapOrders();
}

WorkerLink::WorkerLink(int orders, int readEnd, int writeEnd)
    : memory_(orders), readEnd_(readEnd), writeEnd_(writeEnd) {
  mapOrders();
}

/// Zeros, as memory is when new, are no order.
void WorkerLink::mapOrders() {
  static_assert(static_cast<int>(StopLevel::None) == 0);
  void* const page = ::mmap(nullptr, sizeof(Orders), PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (page == MAP_FAILED) throw std::system_error(errno, std::system_category(), "mmap");
  orders_ = static_cast<Orders*>(page);
}

WorkerLink::~WorkerLink() {
  ::munmap(orders_, sizeof(Orders));
}

std::vector<pid_t> WorkerLink::takeReady() {
  std::vector<pid_t> ready;
  pid_t pid = 0;
  while (::read(readEnd_.get(), &pid, sizeof pid) == static_cast<ssize_t>(sizeof pid)) ready.push_back(pid);
  return ready;
}

void WorkerLink::tellReady() const noexcept {
  const pid_t pid = ::getpid();
  while (::write(writeEnd_.get(), &pid, sizeof pid) < 0 && errno == EINTR) {
  }
}

namespace {

std::string nameOf(const Worker& worker) {
  return "worker[" + worker.name + ":" + std::to_string(::getpid()) + "]";
}

/// What the handler below needs, which may run at any moment.
timer_t killTimer;
itimerspec killAfter{};

/// Ends this process when its master has gone: in order, or, when it is stuck, by force.
void dieWithMaster(pid_t master) {
  sigevent byForce{};
  byForce.sigev_notify = SIGEV_SIGNAL;
  byForce.sigev_signo = SIGKILL;
  if (::timer_create(CLOCK_MONOTONIC, &byForce, &killTimer) != 0) {
    throw std::system_error(errno, std::system_category(), "timer_create");
  }
  killAfter.it_value.tv_sec =
      std::chrono::duration_cast<std::chrono::seconds>(seconds(Worker::stopTimeout)).count() + 2;
  struct sigaction onDeath {};
  onDeath.sa_handler = [](int) {
    ::timer_settime(killTimer, 0, &killAfter, nullptr);
    ::kill(::getpid(), SIGTERM);
  };
  onDeath.sa_flags = SA_RESTART;
  ::sigaction(SIGRTMAX, &onDeath, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGRTMAX);
  // It may have gone before this was asked for.
  if (::getppid() != master) std::raise(SIGRTMAX);
}

void reload(Worker& worker, Runtime::Manner manner) {
  auto& runtime = Runtime::ofThisThread();
  if (runtime.isStopping()) return;
  try {
    worker.onWorkerReload(&worker);
  } catch (...) {
    return withCurrentException([](const std::exception& e) { Worker::stopAll(250, describe(e)); });
  }
  if (worker.reloadable) return runtime.stop(0, {}, manner);
  try {
    worker.reloadCertificates();
  } catch (const std::exception& e) {
    log(nameOf(worker) + " " + e.what() + "; the certificates read before are used further");
  }
}

/// What a worker's process does on signals; lives as long as the process.
struct SignalPlan {
  Worker& worker;
  const WorkerLink& link;
  const pid_t master;
  StopLevel level = StopLevel::None;

  void on(int signal) {
    if (signal == SIGUSR1) return reload(worker, Runtime::Manner::Finishing);
    if (signal == SIGUSR2) return reload(worker, Runtime::Manner::Graceful);
    if (signal == SIGIOT) return handInStatus(worker);
    if (signal == SIGIO) return handInConnections(worker);
    if (::getppid() != master) log(nameOf(worker) + " stops: its master has gone");
    const StopLevel asked = std::max(stopLevelOf(signal), link.ordered());
    if (asked <= level) return;
    auto& runtime = Runtime::ofThisThread();
    // The first stop may come when it is too late for the ordinary one.
    if (asked == StopLevel::AtOnce && level == StopLevel::None) runtime.stop(0, {});
    level = asked;
    runtime.stop(0, {}, asked == StopLevel::Graceful ? Runtime::Manner::Graceful : Runtime::Manner::Ordinary);
  }
};

}  // namespace

void serveWorker(const WorkerSlot& slot, WorkerLink& link, SignalQueue& signals, pid_t master) {
  Worker& worker = *slot.worker;
  auto& runtime = Runtime::ofThisThread();
  SignalPlan plan{worker, link, master};
  try {
    link.keepWorkersEnd();
    setProcessTitle(workerTitle(worker.name, worker.getSocketName()));
    // First, as new rights make the kernel forget what the process is to die with.
    if (slot.identity) {
      keepLogFile();
      become(*slot.identity);
    }
    dieWithMaster(master);
    runtime.keepOnly(worker);
    // One that still comes when all is over must not count as how this process ended.
    runtime.beforeClosing(blockHandledSignals);
    worker.id = slot.id;
    worker.adopt(slot.socket);
    runtime.start(nullptr, [&](EventLoop& loop) {
      for (const int signal : handledSignals())
        loop.onSignal(signal, [&plan](int number) { plan.on(number); });
      // What came since the fork arrives now, and is looked at once the worker has started.
      signals.release();
    });
    if (runtime.phase() == Runtime::Phase::Running) link.tellReady();
    finishProcess(runtime.run());
  } catch (const std::exception& e) {
    log(nameOf(worker) + " " + e.what());
    finishProcess(250);
  }
}

void finishProcess(int status) {
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  std::exit(status);
}

}  // namespace Workerman::detail
