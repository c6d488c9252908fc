#include "core/timer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/loop_timer.h"
#include "core/timer_queue.h"
#include "support/host_loop.h"

using testing::HostLoop;
using testing::IterationCounter;
using testing::workFor;
using Workerman::EventLoop;
using Workerman::Timer;
using Workerman::detail::LoopTimer;

namespace {

/// A host's loop with ours on it, and Timer working on that.
struct TimerFixture {
  TimerFixture() { Timer::init(&loop); }
  ~TimerFixture() { Timer::init(nullptr); }

  HostLoop host;
  EventLoop loop{host.get()};
};

/// When libuv wakes up next, on its own clock.
std::uint64_t nextWakeUp(uv_loop_t* loop) {
  return uv_now(loop) + static_cast<std::uint64_t>(uv_backend_timeout(loop));
}

int plainCalls = 0;
void plainFunction() {
  ++plainCalls;
}

struct Counting {
  static void method(int& counter) { ++counter; }
};

}  // namespace

TEST_CASE_FIXTURE(TimerFixture, "timer: runs once or again and again (manual: timer/add)") {
  int once = 0, again = 0;
  Timer::add(
      0.001, [&] { ++once; }, {}, false);
  const int id = Timer::add(0.001, [&] { ++again; });
  CHECK(loop.getTimerCount() == 2);
  host.runUntil([&] { return again >= 3; });
  CHECK(once == 1);
  CHECK(loop.getTimerCount() == 1);
  CHECK(Timer::del(id));
  CHECK_FALSE(Timer::del(id));
  CHECK(loop.getTimerCount() == 0);
}

TEST_CASE_FIXTURE(TimerFixture, "timer: the callback gets its arguments, and may leave out the last ones") {
  std::string got;
  auto unique = [&, text = std::make_unique<std::string>("e")] { got += *text; };
  std::tuple kept{std::string("f"), 6};
  Timer::add(
      0, [&](const std::string& a, int b) { got += a + std::to_string(b); }, std::tuple{std::string("a"), 1},
      false);
  Timer::add(
      0, [&](std::string a) { got += a; }, std::tuple{"b", 2, 3.0}, false);
  Timer::add(
      0, [&] { got += "c"; }, std::tuple{1}, false);
  Timer::add(
      0, [&](auto a) { got += a; }, std::make_tuple("d"), false);
  Timer::add(0, std::move(unique), nullptr, false);
  Timer::delay(
      0, [&](std::string& a, int b) { got += a + std::to_string(b); }, kept);
  Timer::add(0, std::function<void()>([&] { got += "g"; }), {}, false);
  host.iterate();
  CHECK(got == "a1bcdef6g");
  CHECK(std::get<0>(kept) == "f");
}

TEST_CASE_FIXTURE(TimerFixture, "timer: any callable, and arguments that are references") {
  int counter = 0;
  plainCalls = 0;
  Timer::add(0, plainFunction, {}, false);
  Timer::add(0, &Counting::method, std::tuple{std::ref(counter)}, false);
  Timer::add(0, std::bind_front(&Counting::method, std::ref(counter)), nullptr, false);
  host.iterate();
  CHECK(plainCalls == 1);
  CHECK(counter == 2);
}

TEST_CASE_FIXTURE(TimerFixture, "timer: without arguments, an int parameter is the timer's own id") {
  int runs = 0, given = 0;
  const int id = Timer::add(0.001, [&](int timerId) {
    given = timerId;
    if (++runs == 2) {
      CHECK(Timer::del(timerId));
    }
  });
  int sawAuto = 0;
  const int other = Timer::add(
      0.001, [&](auto timerId) { sawAuto = timerId; }, nullptr, false);
  host.runUntil([&] { return loop.getTimerCount() == 0; });
  CHECK(given == id);
  CHECK(runs == 2);
  CHECK(sawAuto == other);
}

TEST_CASE_FIXTURE(TimerFixture, "timer: refuses seconds below 0 and what is no number (Timer::add in PHP)") {
  const double bad[] = {-1, -0.001, -std::numeric_limits<double>::infinity(), std::nan("")};
  for (double seconds : bad) {
    CAPTURE(seconds);
    CHECK_THROWS_AS(Timer::add(seconds, [] {}), std::invalid_argument);
    CHECK_THROWS_AS(loop.delay(seconds, [] {}), std::invalid_argument);
    CHECK_THROWS_AS(Timer::sleep(seconds), std::invalid_argument);
  }
  CHECK(loop.getTimerCount() == 0);
}

TEST_CASE_FIXTURE(TimerFixture, "timer: infinite and huge seconds are never") {
  const double infinity = std::numeric_limits<double>::infinity();
  int runs = 0;
  for (const double seconds : {infinity, 1e300, 1e18, 1e10}) {
    CHECK(Timer::add(seconds, [&] { ++runs; }) > 0);
    CHECK(Timer::delay(seconds, [&] { ++runs; }) > 0);
    CHECK(loop.repeat(seconds, [&] { ++runs; }) > 0);
  }
  bool isOver = false;
  Timer::delay(0.01, [&] { isOver = true; });
  host.runUntil([&] { return isOver; });
  CHECK(runs == 0);
  CHECK(loop.getTimerCount() == 12);
  Timer::delAll();
  CHECK(loop.getTimerCount() == 0);
}

TEST_CASE("timer: the library's own take any number of seconds, negative ones as none") {
  HostLoop host;
  Workerman::EventLoop loop(host.get());
  Workerman::detail::LoopTimer timer(loop);
  const auto count = [](void* runs) noexcept { ++*static_cast<int*>(runs); };
  for (const double seconds : {std::numeric_limits<double>::infinity(), 1e300}) {
    int runs = 0;
    timer.start(seconds, count, &runs);
    CHECK(host.iterate() != 0);
    CHECK(timer.active());
    CHECK(runs == 0);
  }
  for (const double seconds : {-1.0, -std::numeric_limits<double>::infinity(), std::nan("")}) {
    int runs = 0;
    timer.start(seconds, count, &runs);
    host.runUntil([&] { return runs == 1; });
    CHECK_FALSE(timer.active());
  }
}

TEST_CASE("timer: seconds become milliseconds, rounded up, at least one, saturating") {
  struct Case {
    double seconds;
    std::uint64_t milliseconds;
  };
  const Case cases[] = {{0, 0},
                        {-0.0, 0},
                        {1e-9, 1},
                        {0.001, 1},
                        {0.0011, 2},
                        {0.29, 290},
                        {1.1, 1100},
                        {0.1, 100},
                        {2.5, 2500},
                        {86400, 86400000},
                        {1e12, 1000000000000000},
                        {1e300, 9000000000000000},
                        {std::numeric_limits<double>::infinity(), 9000000000000000}};
  for (const Case& c : cases) {
    CAPTURE(c.seconds);
    CHECK(Workerman::detail::TimerQueue::milliseconds(c.seconds) == c.milliseconds);
  }
}

TEST_CASE_FIXTURE(TimerFixture, "timer: a very long one waits and can be deleted") {
  const int id = Timer::add(1e300, [] { FAIL("not in this life"); });
  host.iterate();
  CHECK(loop.getTimerCount() == 1);
  CHECK(Timer::del(id));
}

TEST_CASE_FIXTURE(TimerFixture, "timer: never early, also when added after long synchronous work") {
  uv_update_time(host.get());
  workFor(20);  // The loop's cached time is old now.
  const std::uint64_t added = uv_hrtime();
  std::uint64_t ran = 0;
  Timer::add(
      0.010, [&] { ran = uv_hrtime(); }, {}, false);
  host.runUntil([&] { return ran != 0; });
  CHECK(ran - added >= 10'000'000);
}

TEST_CASE_FIXTURE(TimerFixture,
                  "timer: a late run does not shift the later ones, and missed ones are left out") {
  int runs = 0;
  Timer::add(0.020, [&] { ++runs; });
  host.iterate();  // Before its first run, a loop does not tell when it would wake up.
  const std::uint64_t first = nextWakeUp(host.get());
  for (int late : {30, 70, 25}) {
    CAPTURE(late);
    runs = 0;
    workFor(late);
    host.iterate();
    CHECK(runs == 1);
    CHECK((nextWakeUp(host.get()) - first) % 20 == 0);
    CHECK(nextWakeUp(host.get()) > uv_now(host.get()));
  }
  Timer::delAll();
}

TEST_CASE_FIXTURE(TimerFixture, "timer: equal times run in the order of adding") {
  std::vector<int> order;
  for (int i = 0; i < 50; ++i) {
    Timer::add(
        0.002, [&, i] { order.push_back(i); }, {}, false);
  }
  host.runUntil([&] { return order.size() == 50; });
  // A millisecond may have passed while adding; within one, order is kept, and so over all.
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE_FIXTURE(TimerFixture, "timer: persistent with 0 seconds runs once in every iteration (api.md)") {
  IterationCounter iterations(host.get());
  int first = 0, second = 0;
  Timer::add(0, [&] { ++first; });
  Timer::add(0, [&](int id) {
    if (++second == 5) Timer::del(id);
  });
  for (int i = 1; i <= 10; ++i) {
    host.iterate();
    CHECK(first == i);
    CHECK(iterations.count == i);
  }
  CHECK(second == 5);
  Timer::delAll();
}

TEST_CASE_FIXTURE(TimerFixture,
                  "timer: one of 0 seconds added in one of 0 seconds waits for the next iteration") {
  int depth = 0;
  std::function<void()> next = [&] {
    if (++depth < 100) Timer::add(0, next, {}, false);
  };
  next();
  for (int i = 1; i < 100; ++i) {
    CHECK(depth == i);
    host.iterate();
  }
  CHECK(depth == 100);
  CHECK(loop.getTimerCount() == 0);
}

TEST_CASE_FIXTURE(TimerFixture, "timer: adding and deleting inside callbacks is safe") {
  SUBCASE("itself, keeping its captures until it returns") {
    auto alive = std::make_shared<int>(7);
    std::weak_ptr<int> watch = alive;
    bool ran = false;
    Timer::add(0.001, [&, alive = std::move(alive)](int id) {
      CHECK(Timer::del(id));
      CHECK(watch.lock());
      CHECK(*alive == 7);
      ran = true;
    });
    host.runUntil([&] { return ran; });
    CHECK(watch.expired());
  }
  SUBCASE("others that are due in the same iteration") {
    for (double seconds : {0.0, 0.001}) {
      CAPTURE(seconds);
      int ran = 0;
      std::vector<int> ids;
      for (int i = 0; i < 20; ++i) {
        ids.push_back(Timer::add(seconds, [&] {
          ++ran;
          for (int id : ids) Timer::del(id);
        }));
      }
      workFor(2);
      host.runUntil([&] { return ran != 0; });
      CHECK(ran == 1);
      CHECK(loop.getTimerCount() == 0);
    }
  }
  SUBCASE("all of them, then new ones") {
    for (double seconds : {0.0, 0.001}) {
      CAPTURE(seconds);
      int added = 0, ran = 0;
      for (int i = 0; i < 20; ++i) {
        Timer::add(seconds, [&, seconds] {
          ++ran;
          Timer::delAll();
          CHECK(loop.getTimerCount() == 0);
          for (int j = 0; j < 100; ++j)
            Timer::add(
                seconds, [&] { ++added; }, {}, false);
        });
      }
      workFor(2);
      host.runUntil([&] { return added == 100; });
      CHECK(ran == 1);
    }
  }
  SUBCASE("from the destructor of a callback's captures") {
    struct Deleter {
      ~Deleter() {
        if (id != 0) Timer::del(id);
      }
      int id = 0;
    };
    const int other = Timer::add(5, [] {});
    auto deleter = std::make_shared<Deleter>();
    deleter->id = other;
    Timer::add(5, [deleter] {});
    deleter.reset();
    Timer::delAll();
    CHECK(loop.getTimerCount() == 0);
  }
  SUBCASE("closing the loop") {
    int ran = 0;
    for (int i = 0; i < 3; ++i) {
      Timer::add(0.001, [&] {
        ++ran;
        loop.close();
      });
    }
    workFor(2);
    host.runUntil([&] { return ran != 0; });
    CHECK(ran == 1);
    CHECK(loop.getTimerCount() == 0);
    CHECK_THROWS_AS(loop.delay(1, [] {}), std::logic_error);
  }
}

TEST_CASE_FIXTURE(TimerFixture, "timer: an exception goes to the error handler and the timer lives on") {
  std::vector<std::string> errors;
  loop.setErrorHandler([&](const std::exception& e) { errors.emplace_back(e.what()); });
  int runs = 0;
  Timer::add(0.001, [&] {
    if (++runs == 1) throw std::runtime_error("first");
    if (runs == 2) throw std::string("second");
    throw 3;
  });
  host.runUntil([&] { return runs >= 3; });
  REQUIRE(errors.size() >= 3);
  CHECK(errors[0] == "first");
  CHECK(errors[1] == "second");
  Timer::delAll();
}

TEST_CASE_FIXTURE(TimerFixture, "timer: ids are positive and not used again") {
  std::set<int> seen;
  for (int i = 0; i < 1000; ++i) {
    const int id = Timer::add(i % 2, [] {});
    CHECK(id > 0);
    CHECK(seen.insert(id).second);
    if (i % 3) Timer::del(id);
  }
  Timer::delAll();
  CHECK(seen.insert(Timer::add(1, [] {})).second);
  CHECK_FALSE(Timer::del(*seen.begin()));
  CHECK_FALSE(Timer::del(0));
  CHECK_FALSE(Timer::del(-1));
  CHECK_FALSE(Timer::del(std::numeric_limits<int>::max()));
  Timer::delAll();
}

TEST_CASE(
    "timer: a million pairs of add and del keep no memory, a hundred thousand pending ones give it back") {
  HostLoop host;
  EventLoop loop(host.get());
  Workerman::detail::TimerQueue queue(loop);
  const auto add = [&](double seconds) {
    const int id = Workerman::detail::TimerQueue::nextId();
    queue.add(
        id, seconds, [] {}, true);
    return id;
  };
  for (double seconds : {0.0, 1.0}) {
    for (int i = 0; i < 1'000'000; ++i) {
      if (!queue.remove(add(seconds))) FAIL("lost a timer");
    }
  }
  CHECK(queue.slotCount() == 1);

  std::vector<int> ids;
  for (int i = 0; i < 100'000; ++i) {
    ids.push_back(add(10 + (i * 7919) % 1000));
  }
  CHECK(queue.count() == 100'000);
  CHECK(queue.slotCount() == 100'001 - 1);
  for (int i = 0; i < 1'000'000; ++i) {
    queue.remove(add(i % 5000));
  }
  CHECK(queue.slotCount() == 100'001);
  // Every second one, then the rest backwards: each is found whatever moved.
  for (std::size_t i = 0; i < ids.size(); i += 2) {
    if (!queue.remove(ids[i])) FAIL("lost a timer");
  }
  for (std::size_t i = ids.size() - 1; i < ids.size(); i -= 2) {
    if (!queue.remove(ids[i])) FAIL("lost a timer");
  }
  CHECK(queue.count() == 0);
  CHECK(queue.slotCount() <= 1024);
  CHECK(loop.life().open ==
        3);  // One uv timer whatever the number of timers, and the loop's own two handles.
  queue.close();
}

TEST_CASE_FIXTURE(TimerFixture, "timer: a hundred thousand pending ones run in the order of their times") {
  std::deque<std::uint64_t> dues;
  std::uint64_t runs = 0, latest = 0;
  bool ordered = true;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::uint64_t milliseconds = 1 + i * 7919 % 16;
    const std::uint64_t notBefore = uv_hrtime() + milliseconds * 1'000'000;
    std::uint64_t* const due = &dues.emplace_back();
    Timer::add(
        static_cast<double>(milliseconds) / 1000,
        [&, due, notBefore] {
          ++runs;
          ordered = ordered && *due >= latest && uv_hrtime() >= notBefore;
          latest = std::max(latest, notBefore);
        },
        {}, false);
    *due = uv_hrtime() + (milliseconds + 1) * 1'000'000;  // The latest time that it can have been given.
  }
  host.runUntil([&] { return runs == 100'000; });
  CHECK(ordered);
  CHECK(loop.getTimerCount() == 0);
}

TEST_CASE("timer: before there is a loop it waits for one, if there is a worker (Timer::add in PHP)") {
  CHECK_THROWS_AS(Timer::add(-1, [] {}), std::invalid_argument);
  CHECK_THROWS_WITH_AS(Timer::add(1, [] {}), "Timer can only be used in workerman running environment",
                       std::runtime_error);
  CHECK_FALSE(Timer::del(1));

  Workerman::detail::timersAllowedBeforeLoop = 1;
  CHECK_THROWS_AS(Timer::add(-1, [] {}), std::invalid_argument);
  Timer::add(0, [] { FAIL("all of them were deleted"); });
  Timer::delAll();
  int once = 0, again = 0;
  const int deleted = Timer::add(0, [] { FAIL("was deleted"); });
  Timer::add(
      0, [&] { ++once; }, {}, false);
  const int id = Timer::add(0, [&] { ++again; });
  CHECK(Timer::del(deleted));
  CHECK_FALSE(Timer::del(deleted));

  HostLoop host;
  EventLoop loop(host.get());
  Timer::init(&loop);
  CHECK(loop.getTimerCount() == 2);
  host.iterate();
  host.iterate();
  CHECK(once == 1);
  CHECK(again == 2);
  CHECK(Timer::del(id));
  Workerman::detail::timersAllowedBeforeLoop = 0;
  loop.close();
  CHECK_THROWS_AS(Timer::add(1, [] {}), std::runtime_error);  // A closed loop is none.
}

TEST_CASE("timer: sleep blocks for the time, fractions included") {
  const std::uint64_t before = uv_hrtime();
  Timer::sleep(0.002);
  CHECK(uv_hrtime() - before >= 2'000'000);
  Timer::sleep(0);
}

TEST_CASE_FIXTURE(TimerFixture, "loop timer: neither counted nor deleted with the application's") {
  int runs = 0;
  LoopTimer timer(loop);
  CHECK_FALSE(timer.active());
  timer.start(
      0.001, [](void* context) noexcept { ++*static_cast<int*>(context); }, &runs, true);
  CHECK(timer.active());
  CHECK(loop.getTimerCount() == 0);
  Timer::delAll();
  for (int id = 1; id < 100; ++id) Timer::del(id);
  host.runUntil([&] { return runs >= 2; });
  timer.stop();
  CHECK_FALSE(timer.active());
  CHECK(host.iterate() == 0);
  static_assert(sizeof(LoopTimer) == sizeof(void*));
}

TEST_CASE_FIXTURE(TimerFixture, "loop timer: restarted, stopped and destroyed at any time") {
  struct Context {
    std::unique_ptr<LoopTimer> timer;
    int runs = 0;
    bool wasActive = true;
  } context;
  context.timer = std::make_unique<LoopTimer>(loop);

  SUBCASE("destroyed inside its own callback") {
    for (bool repeat : {false, true}) {
      for (double seconds : {0.0, 0.001}) {
        context.timer = std::make_unique<LoopTimer>(loop);
        context.runs = 0;
        context.timer->start(
            seconds,
            [](void* p) noexcept {
              auto& c = *static_cast<Context*>(p);
              c.wasActive = c.timer->active();
              c.timer.reset();
              ++c.runs;
            },
            &context, repeat);
        host.runUntil([&] { return context.runs == 1; });
        CHECK(context.wasActive == repeat);
      }
    }
  }
  SUBCASE("restarted inside its own callback") {
    context.timer->start(
        0,
        [](void* p) noexcept {
          auto& c = *static_cast<Context*>(p);
          ++c.runs;
          c.timer->start(
              0.001, [](void* q) noexcept { static_cast<Context*>(q)->runs += 10; }, p);
        },
        &context);
    host.runUntil([&] { return context.runs == 11; });
    CHECK_FALSE(context.timer->active());
  }
  SUBCASE("started again, the earlier start is forgotten") {
    context.timer->start(
        0.001, [](void*) noexcept { FAIL("forgotten"); }, nullptr);
    context.timer->start(
        -1, [](void* p) noexcept { ++static_cast<Context*>(p)->runs; }, &context);
    workFor(2);
    host.iterate();
    CHECK(context.runs == 1);
  }
  SUBCASE("after the loop was closed") {
    context.timer->start(
        5, [](void*) noexcept { FAIL("closed"); }, nullptr, true);
    loop.close();
    CHECK_FALSE(context.timer->active());
    context.timer->start(
        0, [](void*) noexcept { FAIL("closed"); }, nullptr);
    CHECK_FALSE(context.timer->active());
    context.timer->stop();
  }
}

TEST_CASE("loop timer: outlives the EventLoop") {
  HostLoop host;
  auto loop = std::make_unique<EventLoop>(host.get());
  LoopTimer waiting(*loop), idle(*loop);
  waiting.start(
      1, [](void*) noexcept {}, nullptr);
  loop.reset();
  CHECK_FALSE(waiting.active());
  waiting.start(
      0, [](void*) noexcept { FAIL("no loop"); }, nullptr);
  host.iterate();
}
