#include "worker_process.h"

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
#include "output.h"
#include "privileges.h"
#include "process_title.h"
#include "worker_report.h"

namespace Workerman::detail {

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
  Worker::resetStd();
  try {
    worker.reloadCertificates();
  } catch (const std::exception& e) {
    log(nameOf(worker) + " " + e.what() + "; the certificates read before are used further");
  }
}

/// What a worker's process does on signals; lives as long as the process.
struct SignalPlan {
  Worker& worker;
  ChannelToMaster& channel;
  const pid_t master;
  StopLevel level = StopLevel::None;

  void on(int signal) {
    if (signal == SIGUSR1) return reload(worker, Runtime::Manner::Finishing);
    if (signal == SIGUSR2) return reload(worker, Runtime::Manner::Graceful);
    channel.update();
    // A terminal's that is meant for others: the master has said nothing.
    if (wasIgnored(signal) && (signal == SIGINT || signal == SIGQUIT) &&
        channel.ordered() == StopLevel::None && ::getppid() == master) {
      return;
    }
    if (signal == SIGIOT) return handInStatus(worker, channel);
    if (signal == SIGIO) return handInConnections(worker, channel);
    if (::getppid() != master) log(nameOf(worker) + " stops: its master has gone");
    const StopLevel asked = std::max(stopLevelOf(signal), channel.ordered());
    if (asked <= level) return;
    auto& runtime = Runtime::ofThisThread();
    // The first stop may come when it is too late for the ordinary one.
    if (asked == StopLevel::AtOnce && level == StopLevel::None) runtime.stop(0, {});
    level = asked;
    runtime.stop(0, {}, asked == StopLevel::Graceful ? Runtime::Manner::Graceful : Runtime::Manner::Ordinary);
  }
};

}  // namespace

void serveWorker(const WorkerSlot& slot, ChannelToMaster& channel, SignalQueue& signals, pid_t master) {
  Worker& worker = *slot.worker;
  auto& runtime = Runtime::ofThisThread();
  SignalPlan plan{worker, channel, master};
  try {
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
      flushOutputWith(loop);
    });
    if (runtime.phase() == Runtime::Phase::Running) {
      channel.say(*runtime.loop(), Answer::Ready);
    }
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
