#include "core/random.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string>
#include <thread>

using namespace Workerman::detail;

namespace {

std::string bytes(std::size_t size) {
  std::string out(size, '\0');
  fillRandom(out.data(), out.size());
  return out;
}

/// What a forked child draws next.
std::string drawnByChild() {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const std::string drawn = bytes(32);
    _exit(write(ends[1], drawn.data(), drawn.size()) == 32 ? 0 : 1);
  }
  close(ends[1]);
  std::string drawn(32, '\0');
  const ssize_t got = read(ends[0], drawn.data(), drawn.size());
  close(ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  return got == 32 && status == 0 ? drawn : "child failed";
}

}  // namespace

TEST_CASE("random: every size is filled, around the buffer's sizes too") {
  for (const std::size_t size : {1, 3, 4, 16, 255, 256, 257, 4095, 4096, 4097, 100000}) {
    CAPTURE(size);
    // Twenty draws that all end in the same byte would be one in 256^19.
    std::set<char> lasts;
    for (int i = 0; i < 20; ++i) lasts.insert(bytes(size).back());
    CHECK(lasts.size() > 1);
  }
  CHECK(bytes(0).empty());
}

TEST_CASE("random: no draw repeats another, over many refills of the buffer") {
  std::set<std::string> drawn;
  for (int i = 0; i < 2000; ++i) drawn.insert(bytes(16));
  CHECK(drawn.size() == 2000);
}

TEST_CASE("random: bytes beside the range stay untouched") {
  for (std::size_t size = 0; size < 40; ++size) {
    std::string framed(size + 2, '#');
    for (int i = 0; i < 20; ++i) fillRandom(framed.data() + 1, size);
    REQUIRE(framed.front() == '#');
    REQUIRE(framed.back() == '#');
  }
}

TEST_CASE("random: masks are fresh for each frame (RFC 6455 section 5.3)") {
  std::set<std::uint32_t> masks;
  for (int i = 0; i < 5000; ++i) masks.insert(randomMask());
  CHECK(masks.size() > 4990);  // a repetition or two among 5,000 of 2^32 is possible
  std::array<int, 32> ones = {};
  for (const std::uint32_t mask : masks) {
    for (std::size_t bit = 0; bit < 32; ++bit) ones[bit] += mask >> bit & 1;
  }
  for (const int count : ones) CHECK((count > 2000 && count < 3000));
}

TEST_CASE("random: a forked child draws neither its parent's bytes nor its sibling's") {
  // The buffer is certainly part full: the child inherits the rest.
  static_cast<void>(randomMask());
  const std::string first = drawnByChild();
  const std::string second = drawnByChild();
  const std::string own = bytes(32);
  CHECK(first.size() == 32);
  CHECK(second.size() == 32);
  CHECK(first != own);
  CHECK(second != own);
  CHECK(first != second);
}

TEST_CASE("random: a dropped buffer is not used again") {
  const std::string before = bytes(16);
  dropRandomBuffer();
  const std::string after = bytes(16);
  CHECK(before != after);
  CHECK(after != std::string(16, '\0'));
}

TEST_CASE("random: threads have buffers of their own") {
  std::string here = bytes(32);
  std::string there;
  std::thread([&there] { there = bytes(32); }).join();
  CHECK(there.size() == 32);
  CHECK(here != there);
}
