#pragma once

#include <string>
#include <vector>

namespace testing {

/// Names that only this program's resolver knows: fake_names.cpp puts itself in front of the C library's
/// getaddrinfo(), so that all of the library's own code runs, threads included. Other names go on to the
/// system. At the end the names are forgotten, and what still waits is answered.
class FakeNames {
 public:
  FakeNames() = default;
  FakeNames(const FakeNames&) = delete;
  FakeNames& operator=(const FakeNames&) = delete;
  ~FakeNames();

  /// `ips`: literals, in the resolver's order of preference.
  void answer(const std::string& name, std::vector<std::string> ips);
  /// `code`: EAI_NONAME, EAI_AGAIN, …
  void fail(const std::string& name, int code);
  /// Whoever asks waits until release().
  void stall(const std::string& name, std::vector<std::string> ips);
  void release();

  /// How often the system was asked for it.
  int timesAsked(const std::string& name) const;
  /// How many wait for release() now.
  int stalled() const;
};

}  // namespace testing
