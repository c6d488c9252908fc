#pragma once

/// A program that a test runs: its output, signals and end, all with a deadline.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "deadline.h"

namespace testing {

class ChildProcess {
 public:
  /// What it writes to.
  enum class Output { Pipe, Terminal };

  /// Starts `program`; its stdout and stderr come together. `prepare` runs in the new process before it does.
  explicit ChildProcess(const std::string& program, const std::vector<std::string>& arguments = {},
                        const std::function<void()>& prepare = nullptr, Output output = Output::Pipe) {
    int ends[2];
    if (output == Output::Terminal) {
      openTerminal(ends);
    } else {
      REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    }
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      if (prepare) prepare();
      ::execv(program.c_str(), argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (!hasEnded_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(output_);
  }

  int pid() const { return pid_; }
  void signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }

  /// Reads until the output holds `text`; a failed check if it does not come.
  bool waitFor(const std::string& text, double seconds = kHangSeconds) {
    const Deadline deadline(seconds);
    while (text_.find(text) == std::string::npos && readSome(deadline)) {
    }
    const bool isThere = text_.find(text) != std::string::npos;
    CHECK_MESSAGE(isThere, "waited for '", text, "', got: ", text_);
    return isThere;
  }

  /// Reads until the output is as wanted; false if it does not become so.
  bool waitUntil(const std::function<bool(const std::string&)>& isAsWanted, double seconds = kHangSeconds) {
    const Deadline deadline(seconds);
    while (!isAsWanted(text_)) {
      if (!readSome(deadline)) return false;
    }
    return true;
  }

  /// Waits for a line that has `begin`; gives what follows it there.
  std::string waitForRest(const std::string& begin, double seconds = kHangSeconds) {
    const Deadline deadline(seconds);
    std::size_t from, end;
    do {
      from = text_.find(begin);
      end = text_.find('\n', from);
    } while ((from == std::string::npos || end == std::string::npos) && readSome(deadline));
    REQUIRE_MESSAGE((from != std::string::npos && end != std::string::npos), "waited for a line '", begin,
                    "', got: ", text_);
    from += begin.size();
    return text_.substr(from, end - from);
  }

  /// Its exit status, or minus the signal that ended it; -1000 when it does not
  /// end in time.
  int wait(double seconds = kHangSeconds) {
    const Deadline deadline(seconds);
    while (readSome(deadline)) {
    }
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
      if (deadline.left() <= 0) return -1000;
      ::poll(nullptr, 0, 5);
    }
    hasEnded_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  const std::string& text() const { return text_; }

 private:
  /// One that passes on what is written as it is, without carriage returns.
  static void openTerminal(int (&ends)[2]) {
    ends[0] = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(ends[0] >= 0);
    REQUIRE(::grantpt(ends[0]) == 0);
    REQUIRE(::unlockpt(ends[0]) == 0);
    ends[1] = ::open(::ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios settings{};
    REQUIRE(::tcgetattr(ends[1], &settings) == 0);
    ::cfmakeraw(&settings);
    REQUIRE(::tcsetattr(ends[1], TCSANOW, &settings) == 0);
  }

  using Clock = std::chrono::steady_clock;
  struct Deadline {
    explicit Deadline(double seconds)
        : end(Clock::now() + std::chrono::milliseconds(static_cast<long>(seconds * 1000))) {}
    int left() const {
      const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      return rest > 0 ? static_cast<int>(rest) : 0;
    }
    Clock::time_point end;
  };

  /// False at the end of the output, or of the time.
  bool readSome(const Deadline& deadline) {
    pollfd waiting{output_, POLLIN, 0};
    if (::poll(&waiting, 1, deadline.left()) <= 0) return false;
    char piece[4096];
    const ssize_t got = ::read(output_, piece, sizeof piece);
    if (got <= 0) return false;
    text_.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  bool hasEnded_ = false;
  std::string text_;
};

}  // namespace testing
