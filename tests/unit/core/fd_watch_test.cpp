// What becomes of descriptors that their owner closes while the loop watches them.

#include "core/fd_watch.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/event_loop.h"
#include "core/log.h"
#include "support/captured_stderr.h"
#include "support/host_loop.h"

using testing::CapturedStderr;
using testing::HostLoop;
using Workerman::EventLoop;

namespace {

/// A loop whose log goes to stderr, and what is written there.
struct Watched {
  HostLoop host;
  EventLoop loop{host.get()};
  bool wasEmbedded = std::exchange(Workerman::detail::logConfig().embedded, true);
  CapturedStderr log;

  ~Watched() { Workerman::detail::logConfig().embedded = wasEmbedded; }
  bool logged(int fd, const std::string& what) const {
    return log.text().find("descriptor " + std::to_string(fd) + " " + what) != std::string::npos;
  }
  bool isQuiet() const { return log.text().empty(); }
};

std::array<int, 2> pipeEnds() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return ends;
}

void writeText(int fd, const std::string& text) {
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE_FIXTURE(Watched,
                  "watch: a descriptor that is closed before the next turn loses its watch, with a line") {
  const auto [reading, writing] = pipeEnds();
  const auto captured = std::make_shared<int>(1);
  loop.onReadable(reading, [captured] { FAIL("it is closed"); });
  ::close(reading);
  host.runUntil([&] { return captured.use_count() == 1; });
  CHECK(logged(reading, "was closed while onReadable watched it: the watch is ended"));
  CHECK_FALSE(loop.offReadable(reading));
  CHECK(host.iterate() == 0);  // nothing is left to wait for
  ::close(writing);
}

TEST_CASE_FIXTURE(Watched,
                  "watch: closed much later, in its own callback or in another's: the watch ends as well") {
  for (const bool inOwn : {true, false}) {
    CAPTURE(inOwn);
    const auto [reading, writing] = pipeEnds();
    const auto captured = std::make_shared<int>(1);
    int calls = 0;
    const int fd = reading;
    loop.onReadable(reading, [&, fd, captured] {
      char byte = 0;
      ++calls;
      CHECK(::read(fd, &byte, 1) == 1);
      if (byte == 'x' && inOwn) ::close(fd);
    });
    writeText(writing, "a");
    host.runUntil([&] { return calls == 1; });
    if (inOwn) {
      writeText(writing, "xy");
    } else {
      loop.delay(0, [fd] { ::close(fd); });
    }
    host.runUntil([&] { return captured.use_count() == 1; });
    CHECK(calls == (inOwn ? 2 : 1));
    CHECK(logged(fd, "was closed"));
    ::close(writing);
  }
}

TEST_CASE_FIXTURE(Watched, "watch: the number that another file gets at once does not get the old callback") {
  const auto [reading, writing] = pipeEnds();
  const auto captured = std::make_shared<int>(1);
  loop.onReadable(reading, [captured] { FAIL("it is another file's now"); });
  loop.onWritable(reading, [captured] { FAIL("it is another file's now"); });
  // The file lives on under another number, and reports what comes.
  const int other = ::dup(reading);
  ::close(reading);
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  REQUIRE(pair[0] == reading);
  writeText(writing, "for the old one");
  writeText(pair[1], "for the new one");
  host.runUntil([&] { return captured.use_count() == 1; });
  CHECK(logged(reading, "was closed while onReadable and onWritable watched it"));
  for (const int fd : {other, writing, pair[0], pair[1]}) ::close(fd);
}

TEST_CASE_FIXTURE(
    Watched, "watch: the number watched anew by its new owner works, and the old one's callbacks are gone") {
  for (const bool otherDirection : {false, true}) {
    CAPTURE(otherDirection);
    const auto [reading, writing] = pipeEnds();
    const auto captured = std::make_shared<int>(1);
    loop.onReadable(reading, [captured] { FAIL("it is another file's now"); });
    const int other = ::dup(reading);
    ::close(reading);
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE(pair[0] == reading);
    int calls = 0;
    const auto count = [&] {
      ++calls;
      loop.offReadable(pair[0]);
      loop.offWritable(pair[0]);
    };
    if (otherDirection) {
      loop.onWritable(pair[0], count);
    } else {
      loop.onReadable(pair[0], count);
      CHECK(isQuiet());  // replaced, as by any second onReadable()
    }
    CHECK(captured.use_count() == 1);
    writeText(writing, "for the old one");
    writeText(pair[1], "for the new one");
    host.runUntil([&] { return calls == 1; });
    for (int i = 0; i < 10; ++i) CHECK(host.iterate() == 0);
    CHECK(calls == 1);
    CHECK(logged(reading, "was closed") == otherDirection);
    for (const int fd : {other, writing, pair[0], pair[1]}) ::close(fd);
  }
}

TEST_CASE_FIXTURE(Watched, "watch: of many, one after the other closed, each is named once") {
  std::vector<std::array<int, 2>> all;
  const auto captured = std::make_shared<int>(1);
  for (int i = 0; i < 400; ++i) {
    all.push_back(pipeEnds());
    loop.onReadable(all.back()[0], [captured] { FAIL("nothing is written"); });
  }
  host.iterate();
  for (const auto& ends : all) ::close(ends[0]);
  host.runUntil([&] { return captured.use_count() == 1; });
  const std::string text = log.text();
  for (const auto& ends : all) {
    const std::string name = "descriptor " + std::to_string(ends[0]) + " was closed";
    const std::size_t at = text.find(name);
    REQUIRE(at != std::string::npos);
    CHECK(text.find(name, at + 1) == std::string::npos);
    ::close(ends[1]);
  }
}

TEST_CASE_FIXTURE(Watched, "watch: off and close in the right order says nothing, however often") {
  for (int i = 0; i < 50; ++i) {
    const auto [reading, writing] = pipeEnds();
    int calls = 0;
    loop.onReadable(reading, [&](int fd) {
      ++calls;
      loop.offReadable(fd);
      ::close(fd);
    });
    writeText(writing, "x");
    host.runUntil([&] { return calls == 1; });
    ::close(writing);
  }
  CHECK(isQuiet());
}

TEST_CASE_FIXTURE(Watched, "watch: an error, and the descriptor closed in the callback that is told of it") {
  const auto [reading, writing] = pipeEnds();
  ::close(reading);
  int told = 0;
  const int fd = writing;
  loop.onWritable(writing, [&, fd] {
    ++told;
    ::close(fd);
  });
  host.runUntil([&] { return logged(fd, "was closed while onWritable watched it"); });
  CHECK(told == 1);
  CHECK(host.iterate() == 0);
}
