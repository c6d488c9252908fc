#include "core/post_queue.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/uv_handle.h"
#include "support/host_loop.h"

using testing::HostLoop;
using testing::IterationCounter;
using Workerman::EventLoop;
using Workerman::detail::post;
using Workerman::detail::PostQueue;

TEST_CASE("post: false while nobody would run it") {
  HostLoop host;
  int ran = 0;
  CHECK_FALSE(post(nullptr, [&] { ++ran; }));
  CHECK_FALSE(post(host.get(), [&] { ++ran; }));
  EventLoop loop(host.get());
  CHECK_FALSE(post(host.get(), [&] { ++ran; }));
  PostQueue::open(loop);
  CHECK(post(host.get(), [&] { ++ran; }));
  host.runUntil([&] { return ran == 1; });
  loop.close();
  CHECK_FALSE(post(host.get(), [&] { ++ran; }));
  host.iterate();
  CHECK(ran == 1);
}

TEST_CASE("post: in order, a move-only callable, arguments' results ignored") {
  HostLoop host;
  EventLoop loop(host.get());
  PostQueue::open(loop);
  PostQueue::open(loop);  // Again: nothing.
  std::string got;
  const auto named = [&] { got += "a"; };
  CHECK(post(host.get(), named));
  CHECK(post(host.get(), [&, text = std::make_unique<std::string>("b")] { got += *text; }));
  CHECK(post(host.get(), [&]() mutable { return got += "c"; }));
  CHECK(got.empty());
  host.runUntil([&] { return !got.empty(); });
  CHECK(got == "abc");
}

TEST_CASE("post: what is posted while posted work runs waits for the next round") {
  HostLoop host;
  EventLoop loop(host.get());
  PostQueue::open(loop);
  IterationCounter iterations(host.get());
  std::vector<int> ranIn;
  struct Again {
    uv_loop_t* loop;
    std::vector<int>& ranIn;
    IterationCounter& iterations;
    void operator()() const {
      ranIn.push_back(iterations.count);
      if (ranIn.size() < 3) post(loop, Again(*this));
    }
  };
  post(host.get(), Again{host.get(), ranIn, iterations});
  host.runUntil([&] { return ranIn.size() == 3; });
  CHECK(ranIn[0] < ranIn[1]);
  CHECK(ranIn[1] < ranIn[2]);
}

TEST_CASE("post: exceptions go to the loop's error handler, the others still run") {
  HostLoop host;
  EventLoop loop(host.get());
  PostQueue::open(loop);
  std::string got;
  loop.setErrorHandler([&](const std::exception& e) { got += e.what(); });
  post(host.get(), [] { throw std::runtime_error("one,"); });
  post(host.get(), [] { throw "two,"; });
  post(host.get(), [&] { got += "ran"; });
  host.runUntil([&] { return !got.empty(); });
  CHECK(got == "one,two,ran");
}

TEST_CASE("post: a host's loop is not kept running by it, one of our own is until stop()") {
  {
    HostLoop host;
    EventLoop loop(host.get());
    PostQueue::open(loop);
    CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);
  }
  EventLoop own;
  PostQueue::open(own);
  std::thread other([&, uv = own.uvLoop()] { CHECK(post(uv, [&] { own.stop(); })); });
  own.run();
  other.join();
}

TEST_CASE("post: what is left at close is destroyed, not run, on the loop's thread") {
  HostLoop host;
  auto loop = std::make_unique<EventLoop>(host.get());
  PostQueue::open(*loop);
  auto alive = std::make_shared<int>(1);
  SUBCASE("before any ran") {
    post(host.get(), [alive] { FAIL("not run"); });
    loop.reset();
  }
  SUBCASE("by one of them") {
    bool ran = false;
    post(host.get(), [&] {
      ran = true;
      CHECK(post(host.get(), [] { FAIL("not run"); }));
      loop->close();
      CHECK_FALSE(post(host.get(), [] { FAIL("not run"); }));
    });
    post(host.get(), [alive] { FAIL("not run"); });
    host.runUntil([&] { return ran; });
  }
  SUBCASE("by one of them that disposes of the loop") {
    post(host.get(), [&] { EventLoop::dispose(std::move(loop)); });
    post(host.get(), [&, alive] { CHECK_FALSE(loop); });
    host.runUntil([&] { return !loop; });
  }
  host.iterate();
  CHECK(alive.use_count() == 1);
}

TEST_CASE("post: one queue per uv loop") {
  HostLoop host;
  EventLoop first(host.get()), second(host.get());
  PostQueue::open(first);
  CHECK_THROWS_AS(PostQueue::open(second), std::logic_error);
  second.close();  // Not the queue's owner.
  CHECK(post(host.get(), [] {}));
  first.close();
}

TEST_CASE("post: from four threads, each thread's in its order") {
  HostLoop host;
  EventLoop loop(host.get());
  PostQueue::open(loop);
  constexpr int threads = 4, each = 2000;
  std::vector<int> last(threads, -1);
  int ran = 0;
  bool ordered = true;
  std::vector<std::thread> posters;
  for (int t = 0; t < threads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        post(host.get(), [&, t, i] {
          ordered = ordered && last[static_cast<std::size_t>(t)] == i - 1;
          last[static_cast<std::size_t>(t)] = i;
          ++ran;
        });
      }
    });
  }
  host.runUntil([&] { return ran == threads * each; });
  for (std::thread& poster : posters) poster.join();
  CHECK(ordered);
}

TEST_CASE("post: racing with close, each task either runs or is destroyed, and post tells the end") {
  for (int round = 0; round < 20; ++round) {
    HostLoop host;
    auto loop = std::make_unique<EventLoop>(host.get());
    PostQueue::open(*loop);
    std::atomic<int> alive{0};
    struct Counted {
      explicit Counted(std::atomic<int>& count) : alive(&count) { ++*alive; }
      Counted(Counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
      ~Counted() {
        if (alive) --*alive;
      }
      void operator()() const {}
      std::atomic<int>* alive;
    };
    std::vector<std::thread> posters;
    for (int t = 0; t < 4; ++t) {
      posters.emplace_back([&] {
        while (post(host.get(), Counted(alive))) {
        }
      });
    }
    for (int i = 0; i < round; ++i) host.iterate();
    loop.reset();
    for (std::thread& poster : posters) poster.join();
    CHECK(alive == 0);
  }
}
