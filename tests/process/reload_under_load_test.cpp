// Reload under load: clients that connect, talk and leave without pause notice nothing of fifty reloads.

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "support/line_client.h"
#include "support/service.h"
#include "support/websocket_client.h"

using testing::becomesTrue;
using testing::LineClient;
using testing::runs;
using testing::Service;
using testing::WebsocketClient;

namespace {

constexpr int kExchanges = 5;

/// What the clients of a test have seen.
struct Seen {
  std::atomic<int> answered{0}, refused{0}, cut{0}, told{0};
};

/// One connection that asks a few times.
void talkInLines(int port, Seen& seen) {
  LineClient client(port);
  if (!client.connected()) {
    ++seen.refused;
    return;
  }
  for (int i = 0; i < kExchanges; ++i) {
    if (client.ask(i % 2 == 0 ? "who" : "later").empty()) {
      ++seen.cut;
      return;
    }
    ++seen.answered;
  }
}

/// The same. Being told to go is in order, but only after an answer.
void talkInFrames(int port, Seen& seen) {
  WebsocketClient client(port);
  if (!client.connected()) {
    ++seen.refused;
    return;
  }
  if (!client.isOpen()) {
    ++seen.cut;
    return;
  }
  for (int i = 0; i < kExchanges && !client.isToldToClose(); ++i) {
    client.send(i % 2 == 0 ? "who" : "later");
    if (client.receive().empty()) {
      ++seen.cut;
      return;
    }
    ++seen.answered;
  }
  const bool isTold = client.isToldToClose();
  client.sendClose(1000);
  client.receive();
  if (!isTold) return;
  ++(client.closeCode() == 1001 ? seen.told : seen.cut);
}

/// Does that again and again, in threads, until it goes out of scope.
class RestlessClients {
 public:
  RestlessClients(int linePort, int framePort) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([this, linePort] { repeat([&] { talkInLines(linePort, lines); }); });
      threads_.emplace_back([this, framePort] { repeat([&] { talkInFrames(framePort, frames); }); });
    }
  }
  ~RestlessClients() {
    isOver_ = true;
    for (auto& thread : threads_) thread.join();
  }

  Seen lines, frames;

 private:
  template <class Fn>
  void repeat(const Fn& talk) {
    while (!isOver_) talk();
  }

  std::atomic<bool> isOver_{false};
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("reload: fifty times under load, plain and graceful, with not one connection refused or cut") {
  for (const char* const reusePort : {"reuse-port=0", "reuse-port=1"}) {
    CAPTURE(std::string(reusePort));
    Service service(
        {"count=2", "stop-timeout=3600", reusePort, "other=websocket://127.0.0.1:0", "other-count=2"});
    const int linePort = service.started(2)[0].port;
    service.sees("other 1 ");
    const int framePort = service.port("other 0 ");
    {
      RestlessClients clients(linePort, framePort);
      for (std::size_t times = 1; times <= 50; ++times) {
        service.process().signal(times % 2 == 0 ? SIGUSR2 : SIGUSR1);
        service.started(2 + 2 * times);
        service.sees("\nother ", 2 + 2 * static_cast<int>(times));
        const int answered = clients.lines.answered + clients.frames.answered;
        CHECK(becomesTrue([&] { return clients.lines.answered + clients.frames.answered > answered; }));
      }
      CHECK(clients.lines.refused + clients.frames.refused == 0);
      CHECK(clients.lines.cut == 0);
      CHECK(clients.frames.cut == 0);
      CHECK(clients.frames.told > 0);
    }
    CHECK_FALSE(service.has("have not finished"));
    CHECK_FALSE(service.has("SIGKILL"));
    CHECK(service.stop() == 0);
  }
}
