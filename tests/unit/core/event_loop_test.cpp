#include "core/event_loop.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/post_queue.h"
#include "core/timer.h"
#include "core/uv_handle.h"
#include "support/host_loop.h"

using testing::HostLoop;
using testing::IterationCounter;
using Workerman::EventLoop;
using Workerman::detail::DispatchScope;
using Workerman::detail::post;
using Workerman::detail::PostQueue;

namespace {

/// Two connected descriptors.
struct Pair {
  enum Kind { pipes, stream };
  explicit Pair(Kind kind) {
    int fds[2];
    REQUIRE((kind == pipes ? ::pipe(fds) : ::socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) == 0);
    a = fds[0];
    b = fds[1];
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    closeA();
    closeB();
  }
  void closeA() { closeOne(a); }
  void closeB() { closeOne(b); }
  static void closeOne(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  int a = -1, b = -1;
};

void writeText(int fd, const std::string& text) {
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

std::string readText(int fd, std::size_t atMost = 100) {
  std::string text(atMost, '\0');
  const ssize_t got = ::read(fd, text.data(), text.size());
  return got < 0 ? "error " + std::to_string(errno) : text.substr(0, static_cast<std::size_t>(got));
}

struct LoopOnHost {
  HostLoop host;
  EventLoop loop{host.get()};
};

bool isIgnored(int signal) {
  struct sigaction current {};
  return sigaction(signal, nullptr, &current) == 0 && current.sa_handler == SIG_IGN;
}

}  // namespace

// ---- Life ------------------------------------------------------------------

TEST_CASE("event loop: our own runs until nothing is left, or until stop()") {
  EventLoop loop;
  CHECK(loop.ownsLoop());
  int runs = 0;
  loop.delay(0.001, [&] { ++runs; });
  loop.run();
  CHECK(runs == 1);

  loop.repeat(0.001, [&] {
    if (++runs == 3) loop.stop();
  });
  loop.run();
  CHECK(runs == 3);
  CHECK(loop.getTimerCount() == 1);

  loop.stop();  // Before run(): it returns at once.
  loop.run();
  CHECK(runs == 3);
}

TEST_CASE("event loop: our own closes with everything open, and a handle of the application's left on it") {
  Pair pair(Pair::stream);
  uv_timer_t stray;
  bool strayRan = false;
  auto captured = std::make_shared<int>(1);
  {
    EventLoop loop;
    PostQueue::open(loop);
    loop.repeat(5, [captured] {});
    loop.repeat(0, [captured] {});
    loop.onReadable(pair.a, [captured] {});
    loop.onWritable(pair.b, [captured] {});
    loop.onSignal(SIGUSR2, [captured] {});
    loop.defer([captured] {});
    post(loop.uvLoop(), [captured] {});
    uv_timer_init(loop.uvLoop(), &stray);
    stray.data = &strayRan;
    uv_timer_start(
        &stray, [](uv_timer_t* t) { *static_cast<bool*>(t->data) = true; }, 100'000, 0);
    loop.close();
    CHECK(captured.use_count() == 1);
    CHECK(loop.uvLoop() == nullptr);
    CHECK(loop.isClosed());
    loop.close();
    loop.run();
  }
  CHECK_FALSE(strayRan);
}

TEST_CASE("event loop: a host's loop is not run, stopped, walked or closed (api.md, Embedding)") {
  HostLoop host;
  uv_timer_t hosts;
  int hostRuns = 0;
  uv_timer_init(host.get(), &hosts);
  hosts.data = &hostRuns;
  uv_timer_start(
      &hosts,
      [](uv_timer_t* timer) {
        if (++*static_cast<int*>(timer->data) == 5) uv_close(reinterpret_cast<uv_handle_t*>(timer), nullptr);
      },
      1, 1);

  Pair pair(Pair::stream);
  auto captured = std::make_shared<int>(1);
  auto loop = std::make_unique<EventLoop>(host.get());
  CHECK_FALSE(loop->ownsLoop());
  CHECK(loop->uvLoop() == host.get());
  CHECK_THROWS_AS(loop->run(), std::logic_error);
  PostQueue::open(*loop);
  loop->repeat(0.001, [captured] {});
  loop->onReadable(pair.a, [captured] {});
  loop->onSignal(SIGUSR2, [captured] {});
  loop->defer([captured] {});
  host.iterate();

  SUBCASE("stop() forgets what is ours") {
    loop->stop();
    CHECK(captured.use_count() == 1);
    CHECK(loop->getTimerCount() == 0);
    CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);  // Returns when the host's own handle ends.
    CHECK(hostRuns == 5);
    loop.reset();
  }
  SUBCASE("destroyed before its handles have closed") {
    loop.reset();
    CHECK(captured.use_count() == 1);
    CHECK(hostRuns < 5);
    CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);
    CHECK(hostRuns == 5);
  }
}

TEST_CASE("event loop: disposed of inside each kind of its callbacks") {
  HostLoop host;
  Pair pair(Pair::stream);
  writeText(pair.b, "x");
  auto loop = std::make_unique<EventLoop>(host.get());
  PostQueue::open(*loop);
  int runs = 0;
  auto captured = std::make_shared<int>(1);
  const auto end = [&, captured] {
    ++runs;
    EventLoop::dispose(std::move(loop));
    CHECK(*captured == 1);
  };
  SUBCASE("timer") {
    loop->repeat(0.001, end);
  }
  SUBCASE("timer of 0 seconds") {
    loop->repeat(0, end);
  }
  SUBCASE("readable and writable") {
    loop->onReadable(pair.a, end);
    loop->onWritable(pair.a, [&] { FAIL("the loop has gone"); });
  }
  SUBCASE("deferred") {
    loop->defer(end);
    loop->defer(end);
  }
  SUBCASE("posted") {
    post(host.get(), end);
  }
  SUBCASE("signal") {
    loop->onSignal(SIGUSR2, end);
    ::raise(SIGUSR2);
  }
  SUBCASE("none") {
    runs = 1;
    EventLoop::dispose(std::move(loop));
  }
  host.runUntil([&] { return !loop; });
  CHECK(runs == 1);
}

// ---- Exceptions ------------------------------------------------------------

TEST_CASE_FIXTURE(LoopOnHost,
                  "event loop: whatever a callback throws reaches the error handler as std::exception") {
  struct Case {
    std::function<void()> throwIt;
    const char* text;
  };
  const Case cases[] = {
      {[] { throw std::runtime_error("runtime"); }, "runtime"},
      {[] { throw std::string("string"); }, "string"},
      {[] { throw "literal"; }, "literal"},
      {[] { throw 42; }, "something that is no std::exception"},
  };
  Pair pair(Pair::stream);
  writeText(pair.b, "x");
  for (const Case& c : cases) {
    CAPTURE(c.text);
    std::vector<std::string> errors;
    loop.setErrorHandler([&](const std::exception& e) { errors.emplace_back(e.what()); });
    loop.delay(0, c.throwIt);
    loop.defer(c.throwIt);
    loop.onReadable(pair.a, [&] {
      loop.offReadable(pair.a);
      c.throwIt();
    });
    loop.onSignal(SIGUSR2, c.throwIt);
    ::raise(SIGUSR2);
    host.runUntil([&] { return errors.size() >= 4; });
    CHECK(errors == std::vector<std::string>(4, c.text));
  }
  CHECK(loop.offSignal(SIGUSR2));
  std::signal(SIGUSR2, SIG_DFL);
}

TEST_CASE_FIXTURE(LoopOnHost, "event loop: an error handler may throw, replace itself or be none") {
  int handled = 0, ran = 0;
  loop.setErrorHandler([&](const std::exception&) {
    ++handled;
    loop.setErrorHandler([&] { handled += 10; });  // Takes nothing.
    throw std::runtime_error("(expected) thrown by the handler");
  });
  loop.delay(0, [] { throw 1; });
  loop.delay(0, [] { throw 2; });
  host.iterate();
  CHECK(handled == 11);
  loop.setErrorHandler(nullptr);
  loop.delay(0, [] { throw std::runtime_error("(expected) nobody handles this"); });
  loop.delay(0, [&] { ++ran; });
  host.iterate();
  CHECK(handled == 11);
  CHECK(ran == 1);
}

// ---- Flush and defer -------------------------------------------------------

TEST_CASE_FIXTURE(LoopOnHost, "event loop: the flush hook runs once, when the outermost callback returns") {
  struct Flushed {
    EventLoop& loop;
    int count = 0;
  } flushed{loop};
  const auto hook = [](void* context) noexcept {
    auto& f = *static_cast<Flushed*>(context);
    CHECK(f.loop.isDispatching());
    if (++f.count == 1) f.loop.requestFlush();  // What a flush calls back may send again.
  };
  loop.setFlushHook(hook, &flushed);
  {
    DispatchScope outer(loop);
    {
      DispatchScope inner(loop);
      loop.requestFlush();
      loop.requestFlush();
    }
    CHECK(flushed.count == 0);
  }
  CHECK(flushed.count == 2);
  CHECK_FALSE(loop.isDispatching());
  { DispatchScope nothingCorked(loop); }
  CHECK(flushed.count == 2);
  loop.setFlushHook(nullptr, nullptr);
  loop.requestFlush();
  { DispatchScope noHook(loop); }
  CHECK(flushed.count == 2);
}

TEST_CASE_FIXTURE(LoopOnHost, "event loop: each kind of callback is followed by a flush") {
  Pair pair(Pair::stream);
  writeText(pair.b, "x");
  PostQueue::open(loop);
  int callbacks = 0, flushes = 0;
  loop.setFlushHook([](void* count) noexcept { ++*static_cast<int*>(count); }, &flushes);
  const auto callback = [&] {
    CHECK(loop.isDispatching());
    CHECK(flushes == 0);
    ++callbacks;
    loop.requestFlush();
  };
  SUBCASE("timer") {
    loop.delay(0.001, callback);
  }
  SUBCASE("timer of 0 seconds") {
    loop.delay(0, callback);
  }
  SUBCASE("deferred") {
    loop.defer(callback);
  }
  SUBCASE("posted") {
    post(host.get(), callback);
  }
  SUBCASE("readable") {
    loop.onReadable(pair.a, [&] {
      loop.offReadable(pair.a);
      callback();
    });
  }
  SUBCASE("signal") {
    loop.onSignal(SIGUSR2, callback);
    ::raise(SIGUSR2);
  }
  host.runUntil([&] { return callbacks != 0; });
  CHECK(flushes == 1);
}

TEST_CASE_FIXTURE(LoopOnHost,
                  "event loop: deferred work runs in order in the next iteration, before it waits for I/O") {
  IterationCounter iterations(host.get());  // Counts just before the loop waits.
  std::vector<std::string> order;
  loop.defer([&] {
    order.push_back("a" + std::to_string(iterations.count));
    loop.defer([&] { order.push_back("c" + std::to_string(iterations.count)); });
  });
  loop.defer([&, text = std::make_unique<std::string>("b")] {
    order.push_back(*text + std::to_string(iterations.count));
  });
  CHECK(order.empty());
  CHECK(loop.getTimerCount() == 0);
  CHECK(uv_run(host.get(), UV_RUN_DEFAULT) == 0);  // Kept running by it alone.
  CHECK(order == std::vector<std::string>{"a0", "b0", "c1"});
}

// ---- Descriptors -----------------------------------------------------------

TEST_CASE_FIXTURE(
    LoopOnHost,
    "onReadable: called with the descriptor or nothing, until offReadable (manual: globalEvent)") {
  Pair pair(Pair::pipes);
  std::string got;
  int given = -1;
  loop.onReadable(pair.a, [&](int fd) {
    given = fd;
    got += readText(fd);
  });
  writeText(pair.b, "one");
  host.runUntil([&] { return got == "one"; });
  CHECK(given == pair.a);
  loop.onReadable(pair.a,
                  [&, text = std::make_unique<std::string>("+")] { got += *text + readText(pair.a); });
  writeText(pair.b, "two");
  host.runUntil([&] { return got == "one+two"; });
  CHECK(loop.offReadable(pair.a));
  CHECK_FALSE(loop.offReadable(pair.a));
  CHECK_FALSE(loop.offWritable(pair.a));
  writeText(pair.b, "three");
  CHECK(host.iterate() == 0);
  CHECK(got == "one+two");
}

TEST_CASE_FIXTURE(LoopOnHost, "onReadable: the end of the data is readable, too") {
  Pair pair(Pair::pipes);
  pair.closeB();
  bool ended = false;
  loop.onReadable(pair.a, [&](auto fd) {
    ended = readText(fd).empty();
    loop.offReadable(fd);
  });
  host.runUntil([&] { return ended; });
}

TEST_CASE_FIXTURE(LoopOnHost,
                  "onReadable and onWritable: both directions of one descriptor, each ended on its own") {
  Pair pair(Pair::stream);
  int reads = 0, writes = 0;
  loop.onReadable(pair.a, [&] {
    ++reads;
    readText(pair.a);
  });
  loop.onWritable(pair.a, [&] { ++writes; });
  CHECK(loop.life().open == 3);  // The loop's own two, and one for all descriptors, however many.
  writeText(pair.b, "x");
  host.runUntil([&] { return reads == 1 && writes > 3; });
  CHECK(loop.offWritable(pair.a));
  const int before = writes;
  writeText(pair.b, "x");
  host.runUntil([&] { return reads == 2; });
  CHECK(writes == before);
  loop.onWritable(pair.a, [&](int fd) {
    ++writes;
    loop.offReadable(fd);
    loop.offWritable(fd);
  });
  writeText(pair.b, "x");
  host.runUntil([&] { return writes == before + 1; });
  CHECK(reads <= 3);
  CHECK(loop.life().open == 3);
}

TEST_CASE_FIXTURE(LoopOnHost, "onReadable: ended and watched anew inside the callback") {
  Pair pair(Pair::stream);
  writeText(pair.b, "xy");
  std::string got;
  auto captured = std::make_shared<int>(1);
  loop.onWritable(pair.a, [&] { FAIL("ended before its turn"); });
  loop.onReadable(pair.a, [&, captured] {
    loop.offReadable(pair.a);
    loop.offWritable(pair.a);
    CHECK(captured.use_count() > 1);
    got += readText(pair.a, 1);
    loop.onReadable(pair.a, [&] {
      got += readText(pair.a, 1) + "!";
      loop.offReadable(pair.a);
    });
  });
  host.runUntil([&] { return got == "xy!"; });
  CHECK(captured.use_count() == 1);
  CHECK(loop.life().open == 3);
}

TEST_CASE_FIXTURE(LoopOnHost, "onReadable: what cannot be watched is refused clearly") {
  const int regular = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(regular >= 0);
  const std::string text = "cannot watch descriptor " + std::to_string(regular) +
                           ": it is of a kind (such as a regular file) that is always ready";
  CHECK_THROWS_WITH_AS(loop.onReadable(regular, [] {}), text.c_str(), std::runtime_error);
  CHECK_THROWS_AS(loop.onWritable(regular, [] {}), std::runtime_error);
  ::close(regular);
  CHECK_THROWS_AS(loop.onReadable(regular, [] {}), std::runtime_error);
  CHECK_THROWS_AS(loop.onReadable(-1, [] {}), std::runtime_error);
  CHECK_FALSE(loop.offReadable(regular));
  CHECK(loop.life().open == 3);
}

TEST_CASE_FIXTURE(LoopOnHost, "onWritable: an error is told once, and does not make the loop spin") {
  Pair pair(Pair::pipes);
  pair.closeA();  // Nobody reads: epoll reports EPOLLERR on the writing end, for ever.
  int told = 0;
  loop.onWritable(pair.b, [&] { ++told; });
  host.runUntil([&] { return told != 0; });
  for (int i = 0; i < 10; ++i) host.iterate();
  CHECK(told == 1);
  loop.onWritable(pair.b, [&] { ++told; });  // Asked again, told again.
  host.runUntil([&] { return told != 1; });
  CHECK(told == 2);
  CHECK(loop.offWritable(pair.b));
}

TEST_CASE_FIXTURE(LoopOnHost,
                  "onReadable: what arrived before an error is read to the end, and then the error") {
  Pair pair(Pair::stream);
  writeText(pair.b, "abc");
  writeText(pair.a, "unread");
  pair.closeB();  // With data unread: a reset for the other end.
  std::string got;
  loop.onReadable(pair.a, [&](int fd) {
    got += "[" + readText(fd, 1) + "]";
    if (got.ends_with("[]")) loop.offReadable(fd);
  });
  host.runUntil([&] { return got.ends_with("[]"); });
  CHECK(got == "[a][b][c][error " + std::to_string(ECONNRESET) + "][]");
}

TEST_CASE_FIXTURE(LoopOnHost, "onReadable: nullptr ends it") {
  Pair pair(Pair::pipes);
  loop.onReadable(pair.a, [] {});
  loop.onReadable(pair.a, nullptr);
  CHECK_FALSE(loop.offReadable(pair.a));
  host.iterate();
  CHECK(loop.life().open == 3);
}

// ---- Signals ---------------------------------------------------------------

TEST_CASE_FIXTURE(LoopOnHost,
                  "onSignal: called with the signal or nothing; offSignal leaves it ignored (api.md)") {
  int given = 0, runs = 0;
  loop.onSignal(SIGUSR1, [&](int signal) { given = signal; });
  CHECK(uv_run(host.get(), UV_RUN_NOWAIT) == 0);  // Does not keep the loop running.
  ::raise(SIGUSR1);
  host.runUntil([&] { return given == SIGUSR1; });
  loop.onSignal(SIGUSR1, [&] { ++runs; });
  ::raise(SIGUSR1);
  host.runUntil([&] { return runs == 1; });
  CHECK(loop.offSignal(SIGUSR1));
  CHECK(isIgnored(SIGUSR1));
  ::raise(SIGUSR1);  // Would end the process.
  CHECK_FALSE(loop.offSignal(SIGUSR1));
  CHECK(isIgnored(SIGUSR1));

  std::signal(SIGUSR1, SIG_DFL);
  CHECK_FALSE(loop.offSignal(SIGUSR1));
  CHECK(isIgnored(SIGUSR1));
  std::signal(SIGUSR1, SIG_DFL);
}

TEST_CASE_FIXTURE(LoopOnHost, "onSignal: may end itself, and refuses what cannot be caught") {
  int runs = 0;
  auto captured = std::make_shared<int>(1);
  loop.onSignal(SIGUSR1, [&, captured](int signal) {
    CHECK(loop.offSignal(signal));
    CHECK(captured.use_count() >= 2);
    ++runs;
  });
  ::raise(SIGUSR1);
  host.runUntil([&] { return runs == 1; });
  CHECK(captured.use_count() == 1);
  std::signal(SIGUSR1, SIG_DFL);
  CHECK_THROWS_AS(loop.onSignal(SIGKILL, [] {}), std::runtime_error);
  CHECK_THROWS_AS(loop.onSignal(-5, [] {}), std::runtime_error);
  CHECK(loop.life().open == 2 + 2);  // The refused ones' handles are closing.
}

TEST_CASE_FIXTURE(LoopOnHost, "offSignal: does not take a signal from the host's own handler") {
  uv_signal_t hosts;
  int hostRuns = 0, ours = 0;
  uv_signal_init(host.get(), &hosts);
  hosts.data = &hostRuns;
  uv_signal_start(
      &hosts, [](uv_signal_t* handle, int) { ++*static_cast<int*>(handle->data); }, SIGUSR1);
  loop.onSignal(SIGUSR1, [&] { ++ours; });
  CHECK(loop.offSignal(SIGUSR1));
  ::raise(SIGUSR1);
  host.runUntil([&] { return hostRuns == 1; });
  CHECK(ours == 0);
  uv_close(reinterpret_cast<uv_handle_t*>(&hosts), nullptr);
  host.iterate();
}
