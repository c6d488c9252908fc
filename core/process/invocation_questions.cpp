// Invocation: the commands that show what the running processes say of themselves.

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "../log.h"
#include "../worker.h"
#include "invocation.h"
#include "status_file.h"
#include "status_records.h"
#include "worker_process.h"
#include "worker_report.h"
#include "worker_slot.h"

namespace Workerman::detail {
namespace {

/// Who has not answered after this long is busy, as in Workerman.
constexpr std::chrono::seconds kPatience{1};
/// How often the answers are looked at.
constexpr int kLookMilliseconds = 10;
/// From one page of `status -d` to the next.
constexpr std::chrono::seconds kInterval{1};
/// To the top left, everything cleared, plain text.
constexpr const char* kClearScreen = "\033[H\033[2J\033(B\033[m";

/// As it is: a name in it may look like a decoration.
void show(const std::string& text) {
  std::cout << text << std::flush;
}

}  // namespace

/// Waits until every process has answered, or has had its time.
template <class Report>
Report Invocation::ask(int signal, const std::string& file,
                       std::optional<Report> (*decode)(std::string_view, std::int64_t)) {
  const std::int64_t asked = monotonicNanoseconds();
  const RunningMaster master = requireMaster();
  signalMaster(master.process, signal);
  ReportReader reader(file, userOf(master.pid).value_or(::geteuid()));
  for (const auto end = Clock::now() + kPatience;;) {
    const bool isLast = Clock::now() >= end;
    const std::string text = reader.read(kEndOfReport, isLast);
    if (std::optional<Report> report = decode(text, asked)) return std::move(*report);
    if (isLast) failWithoutAnswer(file, reader.problem());
    ::poll(nullptr, 0, kLookMilliseconds);
  }
}

void Invocation::failWithoutAnswer(const std::string& file, const std::string& problem) {
  if (!problem.empty()) fail(command_.name + " fail: " + problem);
  fail(command_.name + " fail: no answer has come in " + file +
       "; if the master cannot write there, its log says why: " + Worker::logFile);
}

void Invocation::showStatus() {
  if (!command_.isJson) logLine(command_.name);
  const bool isTerminal = ::isatty(STDOUT_FILENO) == 1;
  std::optional<StatusReport> before;
  for (;;) {
    const auto next = Clock::now() + kInterval;
    auto report = ask(SIGIOT, Worker::statusFile, &decodeStatus);
    if (before) countQps(report, *before);
    if (command_.isDaemon && isTerminal && !command_.isJson) safeEcho(kClearScreen);
    show(command_.isJson ? statusJson(report) : statusPage(report));
    if (!command_.isDaemon) finishProcess(0);
    if (!command_.isJson) safeEcho("\nPress Ctrl+C to quit.\n\n");
    before = std::move(report);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
    if (left > 0) ::poll(nullptr, 0, static_cast<int>(left));
  }
}

void Invocation::showConnections() {
  if (!command_.isJson) logLine(command_.name);
  const auto report = ask(SIGIO, connectionsFile(), &decodeConnections);
  show(command_.isJson ? connectionsJson(report) : connectionsTable(report));
  finishProcess(0);
}

}  // namespace Workerman::detail
