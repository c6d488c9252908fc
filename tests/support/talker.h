#pragma once

/// A program that is spoken to, by what it reads, while the test's loop runs.

#include <fcntl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "child_process.h"
#include "loop_fixture.h"
#include "raw_peer.h"

namespace testing {

class Talker {
 public:
  /// `command`: a program, which is looked for in PATH, and its arguments; before them may be NAME=VALUE.
  Talker(LoopFixture& fixture, std::vector<std::string> command)
      : fixture_(fixture),
        ends_(),
        process_("/usr/bin/env", std::move(command), [this] { ::dup2(ends_.read, STDIN_FILENO); }) {
    ::close(std::exchange(ends_.read, -1));
  }
  Talker(const Talker&) = delete;
  Talker& operator=(const Talker&) = delete;
  ~Talker() { endInput(); }

  void say(std::string_view text) {
    CHECK(::write(ends_.write, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void endInput() {
    if (ends_.write >= 0) ::close(std::exchange(ends_.write, -1));
  }

  /// Waits for it to write `part` so many times; a failed check with what it wrote if it does not.
  bool says(const std::string& part, int times = 1) {
    const bool came = runs([&] { return count(part) >= times; });
    CHECK_MESSAGE(came, "waited for '", part, "', got: ", text());
    return came;
  }
  /// Waits for a line that has `begin`; gives what follows it there.
  std::string rest(const std::string& begin) {
    const auto end = [&] { return text().find('\n', std::min(text().find(begin), text().size())); };
    const bool came = runs([&] { return has(begin) && end() != std::string::npos; });
    REQUIRE_MESSAGE(came, "waited for a line '", begin, "', got: ", text());
    const std::size_t from = text().find(begin) + begin.size();
    return text().substr(from, end() - from);
  }
  /// Waits for its end; its exit status.
  int status() {
    const auto hasEnded = [&] { return status_ != kRuns || (status_ = process_.wait(0)) != kRuns; };
    CHECK_MESSAGE(runs(hasEnded), "it still runs: ", text());
    return status_;
  }

  bool has(const std::string& part) const { return count(part) > 0; }
  int count(const std::string& part) const {
    int times = 0;
    for (auto at = text().find(part); at != std::string::npos; at = text().find(part, at + 1)) ++times;
    return times;
  }
  const std::string& text() const { return process_.text(); }
  ChildProcess& process() { return process_; }

 private:
  struct Ends {
    int read = -1, write = -1;
    Ends() {
      int both[2];
      REQUIRE(::pipe2(both, O_CLOEXEC) == 0);
      read = both[0];
      write = both[1];
    }
  };

  template <class Condition>
  bool runs(Condition&& isSo) {
    const Ticker ticker;
    bool done = false;
    fixture_.runUntil(
        [&] { return done = process_.waitUntil([&](const std::string&) { return isSo(); }, 0) || isSo(); });
    return done;
  }

  static constexpr int kRuns = -1000;  // as ChildProcess::wait says it

  LoopFixture& fixture_;
  int status_ = kRuns;
  Ends ends_;
  ChildProcess process_;
};

}  // namespace testing
