// What a worker's process says to its master, and that no more than that can be made of it.

#include "core/process/worker_channel.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "core/event_loop.h"

using namespace Workerman::detail;
using Workerman::EventLoop;

namespace {

struct Heard {
  Answer kind;
  int number;
  bool isLast;
  std::string text;
};

/// Takes what has come; why the channel was closed.
std::string hear(ChannelToWorker& channel, std::vector<Heard>& all) {
  return channel.read([&](const Said& said) {
    all.push_back({said.kind, said.number, said.isLast, std::string(said.text)});
  });
}

}  // namespace

TEST_CASE("worker channel: orders and the number of the question reach the process, answers the master") {
  EventLoop loop;
  ChannelToWorker master;
  ChannelToMaster worker(master.open());
  CHECK(worker.ordered() == StopLevel::None);
  master.order(StopLevel::Ordinary);
  master.number(77);
  master.order(StopLevel::Graceful);
  worker.update();
  CHECK(worker.ordered() == StopLevel::Ordinary);
  worker.say(loop, Answer::Ready);
  worker.say(loop, Answer::Connections, "some", false);
  worker.say(loop, Answer::Connections, "", true);
  std::vector<Heard> all;
  CHECK(hear(master, all).empty());
  REQUIRE(all.size() == 3);
  CHECK(all[0].kind == Answer::Ready);
  CHECK(all[1].kind == Answer::Connections);
  CHECK(all[1].number == 77);
  CHECK(all[1].text == "some");
  CHECK_FALSE(all[1].isLast);
  CHECK(all[2].isLast);
  CHECK(worker.isFree());
}

TEST_CASE("worker channel: what the master does not take waits, in order, and holds nobody up") {
  EventLoop loop;
  ChannelToWorker master;
  ChannelToMaster worker(master.open());
  constexpr std::size_t kParts = 100;
  for (std::size_t i = 0; i < kParts; ++i) {
    worker.say(loop, Answer::Connections, std::string(30'000, static_cast<char>('a' + i % 26)),
               i + 1 == kParts);
  }
  CHECK_FALSE(worker.isFree());
  std::vector<Heard> all;
  loop.repeat(0, [&] {
    CHECK(hear(master, all).empty());
    if (all.size() == kParts) loop.stop();
  });
  loop.run();
  for (std::size_t i = 0; i < kParts; ++i) {
    CHECK(all[i].text == std::string(30'000, static_cast<char>('a' + i % 26)));
    CHECK(all[i].isLast == (i + 1 == kParts));
  }
  CHECK(worker.isFree());
}

TEST_CASE("worker channel: what is no answer, and what is too long, ends it and takes no memory") {
  ChannelToWorker master;
  const Descriptor rogue = master.open();
  std::vector<Heard> all;
  std::string bytes;
  SUBCASE("too long") {
    bytes = std::string("\xFF\xFF\xFF\x7F\x01\0\0\0", 8);
  }
  SUBCASE("no such kind") {
    bytes = std::string("\1\0\0\0\x09\0\0\0", 8);
  }
  REQUIRE(::send(rogue.get(), bytes.data(), bytes.size(), 0) == 8);
  CHECK(hear(master, all) == "says what is no answer");
  CHECK(master.descriptor() == -1);
  CHECK(all.empty());
}

TEST_CASE("worker channel: an end without a word is no fault; a process that takes nothing blocks nobody") {
  ChannelToWorker master;
  std::vector<Heard> all;
  {
    const Descriptor deaf = master.open();
    for (int i = 0; i < 10'000; ++i) master.number(static_cast<std::uint8_t>(i % 128));
  }
  CHECK(hear(master, all).empty());
  CHECK(master.descriptor() == -1);
  master.order(StopLevel::AtOnce);
  CHECK(all.empty());
}
