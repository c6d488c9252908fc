#include "invocation.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "../log.h"
#include "../worker.h"
#include "daemon.h"
#include "master.h"
#include "pid_file.h"
#include "privileges.h"
#include "process_signals.h"
#include "process_title.h"
#include "status_report.h"
#include "worker_process.h"

namespace Workerman::detail {
namespace {

/// How often a process that is to end is looked at.
constexpr int kPollMilliseconds = 10;
/// How much longer than its own limit a stop may take.
constexpr double kStopMargin = 3;

/// Both have to be over: the process itself, and its hold on the file.
bool hasEnded(const ProcessHandle& master) {
  return findMaster(Worker::pidFile).pid != master.pid() && master.hasEnded();
}

}  // namespace

Invocation::Invocation(Command command, std::string calledAs)
    : command_(std::move(command)),
      executable_(Executable::ofThisProcess()),
      calledAs_(std::move(calledAs)),
      program_(programName()) {
  if (calledAs_.empty()) calledAs_ = program_;
}

bool Invocation::isQuestion() const noexcept {
  return command_.name == "status" || command_.name == "connections";
}

void Invocation::logLine(const std::string& text) const {
  const std::string line = "Workerman[" + program_ + "] " + text;
  if (!isQuestion()) return log(line);
  // What a program is to read has only the answer on its standard output.
  if (command_.isJson) {
    std::fprintf(stderr, "%s\n", line.c_str());
  } else {
    safeEcho(line + "\n");
  }
}

void Invocation::fail(const std::string& why) {
  logLine(why);
  finishProcess(1);
}

void Invocation::run() {
  if (handed().role == Handed::Role::Trial) tryToServe();
  if (handed().role == Handed::Role::Master) goOn();
  if (handed().role == Handed::Role::Foreign) {
    safeEcho("started by a master that uses another version of this library: restart the service\n");
    finishProcess(1);
  }
  if (command_.name.empty()) {
    const auto versions = programVersions();
    safeEcho(command_.isVersion ? "Workerman/" + versions.workerman + " " + versions.runtime + "\n"
                                : usage(calledAs_));
    finishProcess(0);
  }
  prepareFiles();
  // The folder may have yet to be made; what keeps it from that is told by checkLogFile().
  if (command_.name == "start" || command_.name == "restart") static_cast<void>(prepareLogFile());
  if (command_.name == "start") start();
  if (command_.name == "status") showStatus();
  if (command_.name == "connections") showConnections();
  logLine(command_.name);
  if (command_.name == "reload") reload();
  stop();
  if (command_.name == "stop") finishProcess(0);
  serve();
}

/// Beside the program, unless it says otherwise; absolute, since a daemon may change its folder.
void Invocation::prepareFiles() const {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(programPath()).parent_path();
  const auto settle = [](std::string& file, const fs::path& usual) {
    file = fs::absolute(file.empty() ? usual : fs::path(file));
  };
  settle(Worker::pidFile, folder / ("workerman." + program_ + ".pid"));
  settle(Worker::statusFile, folder / ("workerman." + program_ + ".status"));
  settle(Worker::logFile, folder / "workerman.log");
  auto& config = logConfig();
  config.embedded = false;
  config.logFile = Worker::logFile;
  config.maxSize = Worker::logFileMaxSize;
}

// -- start --------------------------------------------------------------------------

void Invocation::start() {
  const bool daemonize = command_.isDaemon || Worker::daemonize;
  logLine(std::string("start in ") + (daemonize ? "DAEMON" : "DEBUG") + " mode");
  const auto running = findMaster(Worker::pidFile);
  if (running.isLocked) fail(running.pid != 0 ? "already running" : "start fail: " + running.why);
  serve();
}

/// A daemon that nobody hears is not started; in the foreground there is the terminal.
void Invocation::checkLogFile() const {
  const std::string why = prepareLogFile();
  if (why.empty()) return;
  if (Worker::daemonize) throw std::runtime_error(why);
  logLine(why + "; the terminal has all of it");
}

void Invocation::serve() {
  Readiness readiness;
  // Before detaching, as they are meant for this process.
  InheritedSockets inherited = InheritedSockets::ofServiceManager();
  try {
    Worker::daemonize = Worker::daemonize || command_.isDaemon;
    if (Worker::daemonize) {
      std::cout.flush();
      std::fflush(nullptr);
      Detached detached = detach();
      if (!detached.isDaemon) {
        if (!detached.outcome.why.empty()) safeEcho(detached.outcome.why + "\n");
        if (detached.outcome.status == 0 && !command_.isQuiet) safeEcho(startedLine(calledAs_, true, false));
        finishProcess(detached.outcome.status);
      }
      readiness = std::move(detached.readiness);
      logConfig().daemonize = true;
    }
    // Who reads the pid may send a signal at once.
    blockHandledSignals();
    Master master(program_, executable_, PidFile::take(Worker::pidFile), std::move(inherited));
    checkLogFile();
    master.openSockets();
    setProcessTitle(masterTitle(programPath()));
    if (!command_.isQuiet) {
      safeEcho(startupTable(master.report()), true);
      if (!Worker::daemonize) safeEcho(startedLine(calledAs_, false, !Worker::command.empty()));
    }
    if (Worker::daemonize) redirectStdio(Worker::stdoutFile);
    finishProcess(master.run(std::move(readiness)));
  } catch (const std::exception& e) {
    const std::string why = "Workerman[" + program_ + "] " + e.what();
    log(why);
    readiness.failed(1, why);
    finishProcess(1);
  }
}

// -- of those that run already ------------------------------------------------------

RunningMaster Invocation::requireMaster() {
  auto running = findMaster(Worker::pidFile);
  if (running.pid != 0) return running;
  std::error_code error;
  const auto file = std::filesystem::symlink_status(Worker::pidFile, error);
  if (file.type() == std::filesystem::file_type::not_found) fail("not run");
  fail(running.isLocked || !running.isReadable ? running.why : "not run: " + running.why);
}

/// One that has just gone is none that fails.
void Invocation::signalMaster(const ProcessHandle& master, int signal) {
  const int error = master.signal(signal);
  if (error == 0 || error == ESRCH) return;
  const std::string process = "process " + std::to_string(master.pid());
  if (error != EPERM)
    fail(command_.name + " fail: " + process + ": " + std::system_category().message(error));
  const auto user = userOf(master.pid());
  const std::string owner = user ? userName(*user) : "unknown";
  fail(command_.name + " fail: it runs as " + process + " of user " + owner + ", and only " +
       (owner == "root" ? "" : owner + " and ") + "root may tell it; you are " + currentUser());
}

/// Also the first half of a restart, which takes none that runs for stopped.
void Invocation::stop() {
  const bool isRestart = command_.name == "restart";
  if (isRestart && !findMaster(Worker::pidFile).isLocked) return;
  const RunningMaster running = requireMaster();
  logLine(command_.isGraceful ? "is gracefully stopping ..." : "is stopping ...");
  signalMaster(running.process, command_.isGraceful ? SIGQUIT : SIGINT);
  double limit = Worker::stopTimeout + kStopMargin;
  if (command_.isGraceful) limit += Worker::gracefulStopTimeout;
  const auto end = Clock::now() + seconds(limit);
  while (!hasEnded(running.process)) {
    if (Clock::now() > end) fail("stop fail");
    ::poll(nullptr, 0, kPollMilliseconds);
  }
  logLine("stop success");
}

void Invocation::reload() {
  signalMaster(requireMaster().process, command_.isGraceful ? SIGUSR2 : SIGUSR1);
  finishProcess(0);
}

}  // namespace Workerman::detail
