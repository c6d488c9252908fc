#pragma once

/// A host's libuv loop with our workers and connections on it, for tests that
/// run both ends in one thread.

#include <uv.h>

#include <doctest/doctest.h>

#include <workerman/workerman.h>
#include <functional>
#include <string>

#include "deadline.h"

namespace testing {

/// Embeds on a loop of its own; at the end everything of ours is stopped and
/// the loop must close clean.
class LoopFixture {
 public:
  LoopFixture() {
    REQUIRE(uv_loop_init(&loop_) == 0);
    Workerman::Worker::embed(&loop_);
  }
  LoopFixture(const LoopFixture&) = delete;
  LoopFixture& operator=(const LoopFixture&) = delete;
  ~LoopFixture() {
    Workerman::Worker::stopAll();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
    CHECK(Workerman::Connection::TcpConnection::connections.size() == 0);
  }

  uv_loop_t* loop() { return &loop_; }

  /// Runs the loop until `done()`; false (and a failed check that says so) if
  /// that never comes. Not a sleep: it returns at once.
  bool runUntil(const std::function<bool()>& done) {
    uv_timer_t* deadline = new uv_timer_t;
    bool isOver = false;
    uv_timer_init(&loop_, deadline);
    deadline->data = &isOver;
    uv_timer_start(
        deadline, [](uv_timer_t* timer) { *static_cast<bool*>(timer->data) = true; },
        static_cast<std::uint64_t>(kHangSeconds * 1000), 0);
    while (!done() && !isOver) uv_run(&loop_, UV_RUN_ONCE);
    const bool isDone = done();
    uv_close(reinterpret_cast<uv_handle_t*>(deadline),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
    CHECK_MESSAGE(isDone, "the deadline came first");
    return isDone;
  }

  /// Runs `times` iterations of the loop without waiting for anything.
  void turn(int times = 1) {
    for (int i = 0; i < times; ++i) uv_run(&loop_, UV_RUN_NOWAIT);
  }

 private:
  uv_loop_t loop_{};
};

/// A worker on a free port of this machine that listens at once; its callbacks
/// are set afterwards, before the loop runs.
inline std::shared_ptr<Workerman::Worker> listenOn(const std::string& scheme) {
  auto worker = std::make_shared<Workerman::Worker>(scheme + "://127.0.0.1:0");
  worker->listen();
  return worker;
}

/// "scheme://127.0.0.1:port/path" of a listening worker.
inline std::string addressOf(const Workerman::Worker& worker, const std::string& scheme,
                             const std::string& path = "") {
  return scheme + "://127.0.0.1:" + std::to_string(worker.getListenPort()) + path;
}

}  // namespace testing
