#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "line_client.h"

namespace testing {

/// Connects, asks and leaves without pause until it goes out of scope.
class RestlessClient {
 public:
  /// `hears` is given each answer, in the thread of this client.
  explicit RestlessClient(int port, std::function<void(const std::string&)> hears = nullptr)
      : hears_(std::move(hears)), thread_([this, port] {
          while (!isOver_) {
            LineClient client(port);
            const bool isRefused = !client.connected();
            const std::string answer = client.ask("who");
            if (hears_) hears_(answer);
            ++(isRefused ? refused : answer != "" ? answered : cut);
          }
        }) {}
  ~RestlessClient() {
    isOver_ = true;
    thread_.join();
  }

  std::atomic<int> answered{0}, refused{0}, cut{0};

 private:
  std::atomic<bool> isOver_{false};
  std::function<void(const std::string&)> hears_;
  std::thread thread_;
};

}  // namespace testing
