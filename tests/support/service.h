#pragma once

/// The program tests/process/programs/service.cpp, running, and clients of it.

#include <signal.h>
#include <stdlib.h>

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "child_process.h"
#include "deadline.h"
#include "line_client.h"
#include "temporary_folder.h"

namespace testing {

/// Whether the process runs: one that waits to be reaped does not.
inline bool runs(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name = stat.rfind(')');
  return name != std::string::npos && name + 2 < stat.size() && stat[name + 2] != 'Z' &&
         stat[name + 2] != 'X';
}

/// Asks again and again until it is so; false if it never becomes so.
inline bool becomesTrue(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kHangSeconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

/// A copy of the program in a folder of its own, where its files may lie.
class ServiceFolder {
 public:
  ServiceFolder() {
    std::filesystem::copy_file(std::filesystem::read_symlink("/proc/self/exe").parent_path() / "test_service",
                               program);
  }

 private:
  const TemporaryFolder home_;

 public:
  const std::filesystem::path path = home_.path, program = path / "service";
};

/// A worker's process, as its line "start ID PID PORT" says.
struct Started {
  int id = -1, pid = 0, port = 0;
};

class Service {
 public:
  /// `prepare` runs in its process before the program does.
  explicit Service(std::vector<std::string> options = {}, const std::function<void()>& prepare = nullptr)
      : process_(folder_.program, withStart(std::move(options)), prepare) {}

  ChildProcess& process() { return process_; }
  const std::filesystem::path& folder() const { return folder_.path; }

  /// Every worker's process so far, in order, as soon as there are `count`.
  std::vector<Started> started(std::size_t count) {
    std::vector<Started> all;
    const bool came = process_.waitUntil([&](const std::string& text) {
      all.clear();
      std::istringstream lines(text);
      for (std::string line, word; std::getline(lines, line);) {
        std::istringstream words(line);
        Started one;
        if (words >> word >> one.id >> one.pid >> one.port && word == "start") all.push_back(one);
      }
      return all.size() >= count;
    });
    CHECK_MESSAGE(came, "waited for ", count, " processes, got: ", process_.text());
    all.resize(std::max(count, all.size()));
    return all;
  }
  bool sees(const std::string& part, int times = 1) {
    const bool came =
        process_.waitUntil([&](const std::string& text) { return occurrences(text, part) >= times; });
    CHECK_MESSAGE(came, "waited for '", part, "', got: ", process_.text());
    return came;
  }
  /// The port in the first line that has `begin`, a process id and a port.
  int port(const std::string& begin) {
    std::istringstream words(process_.waitForRest(begin));
    int pid = 0, port = 0;
    words >> pid >> port;
    return port;
  }
  bool has(const std::string& part) const { return process_.text().find(part) != std::string::npos; }
  /// How often it has said so up to now.
  int times(const std::string& part) const { return occurrences(process_.text(), part); }
  /// Asks it to stop; its exit status.
  int stop(int signal = SIGTERM) {
    process_.signal(signal);
    return process_.wait();
  }

 private:
  static std::vector<std::string> withStart(std::vector<std::string> options) {
    options.insert(options.begin(), "start");
    return options;
  }
  static int occurrences(const std::string& text, const std::string& part) {
    int count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  ServiceFolder folder_;
  ChildProcess process_;
};

}  // namespace testing
