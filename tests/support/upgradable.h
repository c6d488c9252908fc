#pragma once

/// The program tests/process/programs/upgrade.cpp in a folder of its own, where its binary may be replaced.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "child_process.h"
#include "line_client.h"
#include "service.h"
#include "temporary_folder.h"

namespace testing {

/// Puts this build of the program in the place of what was there.
inline void putBuild(const std::string& build, const std::filesystem::path& program) {
  const auto source =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / ("test_upgrade_" + build);
  const std::filesystem::path next = program.string() + ".next";
  std::filesystem::copy_file(source, next, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::rename(next, program);
}

class Upgradable {
 public:
  /// Starts build A.
  explicit Upgradable(const std::vector<std::string>& options = {}) {
    put("A");
    std::vector<std::string> arguments{"start", "b=" + (folder() / "b").string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    process_.emplace(program(), arguments);
  }

  std::filesystem::path folder() const { return folder_.path; }
  std::filesystem::path program() const { return folder() / "app"; }
  ChildProcess& process() { return *process_; }
  const std::string& text() const { return process_->text(); }

  /// Replaces the binary by this build.
  void put(const std::string& build) const { putBuild(build, program()); }
  /// Options for build B only.
  void tellB(const std::string& options) const { std::ofstream(folder() / "b") << options; }

  /// The master's line "start ID PID PORT BUILD", from its `index`-th on.
  Started started(int index, const std::string& build) {
    Started one;
    std::string builtAs;
    sees("\nstart ", index + 1);
    std::size_t at = 0;
    for (int i = 0; i <= index; ++i) at = text().find("\nstart ", at + 1);
    std::istringstream words(text().substr(at == std::string::npos ? text().size() : at));
    std::string word;
    words >> word >> one.id >> one.pid >> one.port >> builtAs;
    CHECK(builtAs == build);
    return one;
  }
  bool sees(const std::string& part, int times = 1) {
    const bool came = process_->waitUntil([&](const std::string&) { return this->times(part) >= times; });
    CHECK_MESSAGE(came, "waited for '", part, "', got: ", text());
    return came;
  }
  bool has(const std::string& part) const { return times(part) > 0; }
  int times(const std::string& part) const {
    int count = 0;
    for (std::size_t at = text().find(part); at != std::string::npos; at = text().find(part, at + 1)) ++count;
    return count;
  }
  void reload(bool graceful = false) { process_->signal(graceful ? SIGUSR2 : SIGUSR1); }
  int stop() {
    process_->signal(SIGTERM);
    return process_->wait();
  }
  /// Asks until an answer begins so; the answer.
  static std::string askUntil(int port, const std::string& question, const std::string& begin) {
    std::string answer;
    const bool came =
        becomesTrue([&] { return (answer = LineClient(port).ask(question)).starts_with(begin); });
    CHECK_MESSAGE(came, "waited for an answer '", begin, "', got: ", answer);
    return answer;
  }

 private:
  TemporaryFolder folder_;
  std::optional<ChildProcess> process_;
};

}  // namespace testing
