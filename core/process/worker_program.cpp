// What a Worker's static functions do for the program as a whole, which has a master or will have one.

#include <sstream>
#include <stdexcept>

#include "../log.h"
#include "../runtime.h"
#include "../worker.h"
#include "command_line.h"
#include "daemon.h"
#include "invocation.h"
#include "master.h"
#include "output.h"
#include "status_report.h"

namespace Workerman {

using detail::Runtime;

namespace {

std::vector<std::string> givenArguments;

}  // namespace

void Worker::runAll(int argc, char** argv) {
  givenArguments.assign(argv, argv + argc);
  runAll();
}

void Worker::runAll() {
  detail::secureStandardStreams();
  detail::printInLines();
  Runtime::runsProgram = true;
  // Read now: a process title hides them.
  if (givenArguments.empty()) givenArguments = detail::processArguments();
  const auto arguments = getArgv();
  detail::Invocation(detail::parseCommand(arguments), arguments.empty() ? "" : arguments[0]).run();
}

std::vector<std::string> Worker::getArgv() {
  auto arguments = givenArguments.empty() ? detail::processArguments() : givenArguments;
  std::istringstream words(command);
  for (std::string word; words >> word;) arguments.push_back(word);
  return arguments;
}

void Worker::stopAll(int code, std::string_view log) {
  if (auto* const master = detail::Master::ofThisProcess()) return master->stop(code, log);
  Runtime::ofThisThread().stop(code, log);
}

int Worker::getStatus() noexcept {
  if (const auto* const master = detail::Master::ofThisProcess()) return master->status();
  switch (Runtime::ofThisThread().phase()) {
    case Runtime::Phase::Running:
      return STATUS_RUNNING;
    case Runtime::Phase::Stopping:
      return STATUS_SHUTDOWN;
    case Runtime::Phase::Idle:
      break;
  }
  return STATUS_INITIAL;
}

const std::vector<std::pair<std::string_view, std::string_view>>& Worker::getUiColumns() {
  return detail::uiColumns();
}

void Worker::resetStd() {
  if (!daemonize || !Runtime::runsProgram) return;
  detail::flushOutput();
  try {
    detail::redirectStdio(stdoutFile);
    outputStream = nullptr;
  } catch (const std::runtime_error& e) {
    log(std::string(e.what()) + "; what it goes to stays as it is");
  }
}

}  // namespace Workerman
