#pragma once

/// The signals of the master and its workers (internal).

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "../descriptor.h"

namespace Workerman::detail {

/// How urgently a process is to stop. Later ones overrule earlier ones.
enum class StopLevel : int { None, Graceful, Ordinary, AtOnce };

/// What a signal asks of a process; None unless it is one that stops.
StopLevel stopLevelOf(int signal) noexcept;

/// "SIGINT" and so on for our signals, else its number.
std::string signalName(int signal);

/// The signals that the master and each worker handle. Of those that close a
/// terminal or stop its jobs (SIGHUP, SIGTSTP) only what was not ignored when
/// this was first called: `nohup` means it so.
/// @see Workerman manual: faq/signal
const std::vector<int>& handledSignals();

/// Whether the signal was ignored when the program started, as a shell without
/// job control has it for what runs in the background: a terminal's SIGINT or
/// SIGQUIT is not meant for that then, other processes' are.
bool wasIgnored(int signal) noexcept;

/// Keeps them from ending this process while nobody handles them: those that
/// come now wait.
void blockHandledSignals() noexcept;

/// Blocks the signals above and SIGCHLD for the calling thread while it lives,
/// and takes them one by one.
class SignalQueue {
 public:
  SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;
  ~SignalQueue();

  /// Becomes readable when there is one to take.
  int descriptor() const noexcept { return descriptor_.get(); }
  /// All that wait now, each once.
  std::vector<int> take();

  /// In a forked process: as before the queue was made, but ours and SIGCHLD never blocked.
  void release() noexcept;

 private:
  sigset_t before_{};
  Descriptor descriptor_;
};

}  // namespace Workerman::detail
