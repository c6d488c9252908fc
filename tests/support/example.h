#pragma once

/// An example of examples/ that a test runs, and peers of it on the test's loop.

#include <doctest/doctest.h>

#include <workerman/workerman.h>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "child_process.h"
#include "loop_fixture.h"
#include "raw_peer.h"
#include "temporary_folder.h"

namespace testing {

/// A copy of an example in a folder of its own, where its files may lie.
class ExampleFolder {
 public:
  explicit ExampleFolder(const std::string& name) : path(home_.path), program(path / name) {
    namespace fs = std::filesystem;
    const fs::path built = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "examples";
    for (const auto& file : {name, name + ".html"}) {
      if (fs::exists(built / file)) fs::copy_file(built / file, path / file);
    }
  }

 private:
  const TemporaryFolder home_;

 public:
  const std::filesystem::path path, program;
};

/// A running copy of an example.
class Example {
 public:
  /// `environment`: "NAME=value", see the head of the example.
  explicit Example(const std::string& name, std::vector<std::string> environment = {})
      : folder_(name), process_("/usr/bin/env", arguments(std::move(environment))) {}

  ChildProcess& process() { return process_; }
  /// Waits for "WHAT on port N"; gives N.
  std::string port(const std::string& what) { return process_.waitForRest(what + " on port "); }
  /// Asks it to stop; its exit status.
  int stop() {
    process_.signal(SIGTERM);
    return process_.wait();
  }
  /// The same, while the peers on this loop say good-bye.
  int stop(LoopFixture& fixture) {
    const Ticker ticker;
    int status = kRuns;
    process_.signal(SIGTERM);
    fixture.runUntil([&] { return (status = process_.wait(0)) != kRuns; });
    return status;
  }

 private:
  static constexpr int kRuns = -1000;  // as ChildProcess::wait says it

  std::vector<std::string> arguments(std::vector<std::string> environment) const {
    environment.push_back(folder_.program);
    environment.push_back("start");
    return environment;
  }

  ExampleFolder folder_;
  ChildProcess process_;
};

/// A client on the test's loop that notes what it is told.
class Peer {
 public:
  /// Sends `first`, unless it is empty, as soon as it can.
  explicit Peer(const std::string& address, const std::string& first = "")
      : connection_(std::make_shared<Workerman::Connection::AsyncTcpConnection>(address)) {
    if (!first.empty()) connection_->send(first);
    connection_->onMessage = [this](auto, auto data) { messages_.emplace_back(data); };
    connection_->onClose = [this] { isClosed_ = true; };
    connection_->connect();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { leave(); }

  void send(const std::string& text) { CHECK(connection_->send(text) != false); }
  void leave() {
    connection_->onMessage = nullptr;
    connection_->onClose = nullptr;
    connection_->close();
  }
  bool isClosed() const { return isClosed_; }
  const std::vector<std::string>& messages() const { return messages_; }
  /// All that came, put together.
  std::string text() const {
    std::string all;
    for (const auto& message : messages_) all += message;
    return all;
  }
  bool has(const std::string& part) const { return text().find(part) != std::string::npos; }
  Workerman::Connection::AsyncTcpConnection& connection() { return *connection_; }

 private:
  std::shared_ptr<Workerman::Connection::AsyncTcpConnection> connection_;
  std::vector<std::string> messages_;
  bool isClosed_ = false;
};

}  // namespace testing
