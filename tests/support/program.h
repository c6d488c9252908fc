#pragma once

/// The program tests/process/programs/service.cpp as people and scripts use it: by its commands.

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "child_process.h"
#include "service.h"

namespace testing {

struct Result {
  int status;
  std::string text;
  bool has(const std::string& part) const { return text.find(part) != std::string::npos; }
};

inline std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A program that commands are given to; what is still running at the end is killed.
class Program : public ServiceFolder {
 public:
  ~Program() {
    if (const int pid = master(); pid > 0) ::kill(pid, SIGKILL);
  }
  Result operator()(std::vector<std::string> arguments) const {
    ChildProcess process(program, arguments);
    const int status = process.wait();
    return {status, process.text()};
  }
  /// The same as the user nobody; needs root.
  Result asNobody(std::vector<std::string> arguments) const {
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    arguments.insert(arguments.begin(), {"--reuid=65534", "--regid=65534", "--clear-groups", program});
    ChildProcess process("/usr/bin/setpriv", arguments);
    const int status = process.wait();
    return {status, process.text()};
  }
  /// In a process that `prepare` has made ready.
  Result prepared(const std::vector<std::string>& arguments, const std::function<void()>& prepare) const {
    ChildProcess process(program, arguments, prepare);
    const int status = process.wait();
    return {status, process.text()};
  }
  std::filesystem::path pidFile() const { return path / "workerman.service.pid"; }
  /// 0 if there is none.
  int master() const { return std::atoi(contents(pidFile()).c_str()); }
  std::string log() const { return contents(path / "workerman.log"); }
  std::string output() const { return contents(path / "out"); }
  std::string toOutput() const { return "stdout=" + (path / "out").string(); }
  /// The port in the first line "start ID PID PORT".
  int port() const {
    std::istringstream words(output().substr(output().find("start ")));
    std::string word;
    int id = 0, pid = 0, number = 0;
    words >> word >> id >> pid >> number;
    return number;
  }
};

}  // namespace testing
