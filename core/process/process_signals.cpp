#include "process_signals.h"

#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace Workerman::detail {
namespace {

constexpr std::array<std::pair<int, const char*>, 9> kNames{{{SIGINT, "SIGINT"},
                                                             {SIGTERM, "SIGTERM"},
                                                             {SIGHUP, "SIGHUP"},
                                                             {SIGTSTP, "SIGTSTP"},
                                                             {SIGQUIT, "SIGQUIT"},
                                                             {SIGUSR1, "SIGUSR1"},
                                                             {SIGUSR2, "SIGUSR2"},
                                                             {SIGIOT, "SIGIOT"},
                                                             {SIGIO, "SIGIO"}}};

sigset_t ourSet() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : handledSignals()) sigaddset(&set, signal);
  return set;
}

sigset_t ignoredNow() noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (const auto& [signal, name] : kNames) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

StopLevel stopLevelOf(int signal) noexcept {
  switch (signal) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
    case SIGTSTP:
      return StopLevel::Ordinary;
    case SIGQUIT:
      return StopLevel::Graceful;
    default:
      return StopLevel::None;
  }
}

std::string signalName(int signal) {
  for (const auto& [number, name] : kNames) {
    if (number == signal) return name;
  }
  return std::to_string(signal);
}

const std::vector<int>& handledSignals() {
  static const std::vector<int> all = [] {
    std::vector<int> numbers;
    for (const auto& [number, name] : kNames) {
      const bool isTerminals = number == SIGHUP || number == SIGTSTP;
      if (!isTerminals || !wasIgnored(number)) numbers.push_back(number);
    }
    return numbers;
  }();
  return all;
}

bool wasIgnored(int signal) noexcept {
  static const sigset_t ignored = ignoredNow();
  return sigismember(&ignored, signal) == 1;
}

void blockHandledSignals() noexcept {
  const sigset_t ours = ourSet();
  pthread_sigmask(SIG_BLOCK, &ours, nullptr);
}

SignalQueue::SignalQueue() {
  // Ignored as some parents leave it, ended children would vanish without a trace.
  std::signal(SIGCHLD, SIG_DFL);
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t ours = ourSet();
  sigaddset(&ours, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &ours, &before_);
  descriptor_.reset(::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor_) {
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    throw std::system_error(error, std::system_category(), "signalfd");
  }
}

SignalQueue::~SignalQueue() {
  release();
}

std::vector<int> SignalQueue::take() {
  std::vector<int> taken;
  signalfd_siginfo info{};
  while (::read(descriptor_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const auto signal = static_cast<int>(info.ssi_signo);
    // The terminal's, which is not ours.
    if (info.ssi_code == SI_KERNEL && wasIgnored(signal)) continue;
    taken.push_back(signal);
  }
  return taken;
}

void SignalQueue::release() noexcept {
  if (!descriptor_) return;
  descriptor_.reset();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  sigset_t ours = ourSet();
  // Under a new binary even the first thing that was blocked is what the old one left.
  sigaddset(&ours, SIGCHLD);
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
}

}  // namespace Workerman::detail
