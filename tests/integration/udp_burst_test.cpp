// udp:// workers under many datagrams at once: batches, pausing and stopping in the middle of one.

#include <string>
#include <string_view>
#include <vector>

#include "support/loop_fixture.h"
#include "support/raw_datagrams.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::LoopFixture;
using testing::RawDatagrams;
using testing::Ticker;

namespace {

void sendNumbers(RawDatagrams& peer, int port, int from, int to) {
  for (int i = from; i < to; ++i) peer.send(port, std::to_string(i));
}

std::vector<std::string> numbers(int to) {
  std::vector<std::string> all;
  for (int i = 0; i < to; ++i) all.push_back(std::to_string(i));
  return all;
}

}  // namespace

TEST_CASE("udp burst: 500 datagrams arrive in order and are all answered") {
  LoopFixture fixture;
  Ticker ticker;
  const auto worker = testing::listenOn("udp");
  std::vector<std::string> got;
  worker->onMessage = [&](UdpConnectionPtr connection, std::string data) {
    got.push_back(data);
    CHECK(connection->send(data) == true);
  };
  RawDatagrams peer;
  sendNumbers(peer, worker->getListenPort(), 0, 500);
  fixture.runUntil([&] { return peer.collect(500); });
  CHECK(got == numbers(500));
  CHECK(peer.received == numbers(500));
}

TEST_CASE("udp burst: a flood leaves the other connections their turn") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  const auto text = testing::listenOn("text");
  int datagrams = 0, heardAt = -1;
  worker->onMessage = [&] { ++datagrams; };
  text->onMessage = [&] { heardAt = datagrams; };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*text, "text"));
  bool isConnected = false;
  client->onConnect = [&] { isConnected = true; };
  client->connect();
  fixture.runUntil([&] { return isConnected; });
  RawDatagrams peer;
  sendNumbers(peer, worker->getListenPort(), 0, 500);
  client->send("me, too");
  fixture.runUntil([&] { return datagrams == 500 && heardAt >= 0; });
  CHECK(heardAt < 500);
}

TEST_CASE("udp burst: a pause in the middle of a batch loses nothing and keeps the order") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  std::vector<std::string> got;
  worker->onMessage = [&](UdpConnectionPtr, std::string data) {
    got.push_back(data);
    if (got.size() % 3 == 0) worker->pauseAccept();
  };
  RawDatagrams peer;
  sendNumbers(peer, worker->getListenPort(), 0, 50);
  for (std::size_t wanted = 3; wanted <= 48; wanted += 3) {
    fixture.runUntil([&] { return got.size() == wanted; });
    fixture.turn(3);
    CHECK(got.size() == wanted);
    worker->resumeAccept();
  }
  fixture.runUntil([&] { return got.size() == 50; });
  CHECK(got == numbers(50));
}

TEST_CASE("udp burst: paused and resumed inside one callback goes on at once") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  std::vector<std::string> got;
  worker->onMessage = [&](UdpConnectionPtr, std::string data) {
    got.push_back(data);
    worker->pauseAccept();
    worker->resumeAccept();
  };
  RawDatagrams peer;
  sendNumbers(peer, worker->getListenPort(), 0, 20);
  fixture.runUntil([&] { return got.size() == 20; });
  CHECK(got == numbers(20));
}

TEST_CASE("udp burst: nothing is delivered before onWorkerStart returns; it waits in the socket") {
  Worker worker("udp://127.0.0.1:0");
  std::vector<std::string> journal;
  RawDatagrams peer;
  worker.onWorkerStart = [&](Worker* self) {
    peer.send(self->getListenPort(), "early");
    journal.push_back("started");
  };
  worker.onMessage = [&](UdpConnectionPtr, std::string data) { journal.push_back(data); };
  LoopFixture fixture;
  fixture.runUntil([&] { return journal.size() == 2; });
  CHECK(journal == std::vector<std::string>{"started", "early"});
}

TEST_CASE("udp burst: a worker stopped, unlistened or destroyed by its callback gets no more of the batch") {
  for (const std::string how : {"stop", "unlisten", "unlisten and listen", "destroy", "stopAll"}) {
    CAPTURE(how);
    LoopFixture fixture;
    auto worker = std::make_shared<Worker>("udp://127.0.0.1:0");
    worker->listen();
    int calls = 0, isDone = 0;
    worker->onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
      ++calls;
      if (how == "stop") worker->stop();
      if (how == "unlisten") worker->unlisten();
      if (how == "unlisten and listen") {
        worker->unlisten();
        worker->listen();
      }
      if (how == "destroy") {
        worker->unlisten();
        worker.reset();
      }
      if (how == "stopAll") Worker::stopAll();
      CHECK(data == "0");
      CHECK(connection->send("x") == false);
      CHECK(connection->getSocket() == -1);
      isDone = 1;
    };
    RawDatagrams peer;
    sendNumbers(peer, worker->getListenPort(), 0, 20);
    fixture.runUntil([&] { return isDone == 1; });
    fixture.turn(3);
    CHECK(calls == 1);
  }
}

TEST_CASE("udp burst: replacing onMessage inside itself concerns the datagrams that follow") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  std::string journal;
  worker->onMessage = [&](UdpConnectionPtr, std::string_view data) {
    worker->onMessage = [&](ConnectionPtr, std::string_view later) { journal += "b" + std::string(later); };
    journal += "a" + std::string(data);
  };
  RawDatagrams peer;
  sendNumbers(peer, worker->getListenPort(), 0, 3);
  fixture.runUntil([&] { return journal.size() == 6; });
  CHECK(journal == "a0b1b2");
}
