// What the program does when it is a running service's new binary, whatever its command says.

#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "../log.h"
#include "../worker.h"
#include "invocation.h"
#include "master.h"
#include "pid_file.h"
#include "process_title.h"
#include "worker_process.h"

namespace Workerman::detail {
namespace {

/// Under its name, or that which the new binary gives it.
PidFile goOnWith(const Handover& before) {
  Descriptor held(before.pidFd);
  PidFile file;
  try {
    file = PidFile::adopt(before.pidFile, held.get());
    held.release();
    if (file.path() == Worker::pidFile) return file;
  } catch (const PidFileError&) {
    // Somebody has deleted it: there will be a new one.
  }
  try {
    PidFile other = PidFile::take(Worker::pidFile);
    file.remove();
    return other;
  } catch (const PidFileError& e) {
    log(std::string("Warning: ") + e.what());
  }
  return file;
}

}  // namespace

/// As serve(), up to the point where workers would start. Leaves no trace but its report.
void Invocation::tryToServe() {
  const TrialReport report(handed().report);
  try {
    prepareFiles();
    // What there is to say is the master's to log.
    logConfig().logFile.clear();
    const Handover given = Handover::read(handed().state);
    if (Worker::pidFile != given.pidFile) {
      if (const auto running = findMaster(Worker::pidFile); running.isLocked) {
        throw std::runtime_error("another service holds the pid file " + Worker::pidFile);
      }
    }
    Master master(program_, executable_, PidFile(), InheritedSockets(given.sockets));
    master.openSockets();
    const auto isGiven = [&](int fd) {
      return std::any_of(given.sockets.begin(), given.sockets.end(),
                         [fd](const InheritedSocket& socket) { return socket.fd == fd; });
    };
    for (const InheritedSocket& socket : master.sockets()) {
      if (!isGiven(socket.fd)) report.opened(socket);
    }
    report.ready();
    // Nothing is to be tidied up: what is new is the master's now.
    ::_exit(0);
  } catch (const std::exception& e) {
    report.failed(e.what());
  }
  ::_exit(1);
}

void Invocation::goOn() {
  try {
    const Handover before = Handover::read(handed().state);
    ::close(handed().state);
    Readiness readiness(before.launcher);
    prepareFiles();
    Worker::daemonize = logConfig().daemonize = before.daemonize;
    Master master(program_, executable_, goOnWith(before), before);
    master.takeOver(before);
    setProcessTitle(masterTitle(programPath()));
    Worker::resetStd();
    finishProcess(master.run(std::move(readiness)));
  } catch (const std::exception& e) {
    logLine(std::string("the new binary ends: ") + e.what());
    finishProcess(1);
  }
}

}  // namespace Workerman::detail
