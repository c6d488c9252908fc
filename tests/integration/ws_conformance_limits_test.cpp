#include <string>
#include <vector>

#include "support/wire_echo.h"

/// Large messages, many fragments, small pieces: one table for both roles.

using namespace testing;

namespace {

/// A message of `size` bytes in fragments of `piece` bytes.
std::vector<Frame> inFragments(unsigned opcode, std::size_t size, std::size_t piece) {
  std::vector<Frame> frames;
  const std::string part(piece, '*');
  for (std::size_t at = 0; at < size; at += piece) {
    const unsigned fin = at + piece >= size ? 0x80 : 0;
    frames.push_back(wireFrame(fin | (at == 0 ? opcode : 0u), std::string_view(part).substr(0, size - at)));
  }
  return frames;
}

}  // namespace

TEST_CASE("ws conformance: 9 messages up to the limit, in one frame") {
  std::vector<WireCase> cases;
  for (const std::size_t size : {64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20}) {
    const std::string id = "9." + std::to_string(size);
    cases.push_back({id, "text", {text(std::string(size, '*'))}, {text(std::string(size, '*'))}, 0});
    cases.push_back(
        {id, "binary", {binary(std::string(size, '\xfe'))}, {binary(std::string(size, '\xfe'))}, 0});
  }
  runCases(cases, {0});
}

TEST_CASE("ws conformance: 9 4 MiB in fragments of 64 bytes and more") {
  constexpr std::size_t size = 4 << 20;
  const std::string whole(size, '*');
  std::vector<WireCase> cases;
  for (const std::size_t piece : {64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304}) {
    const std::string id = "9.3." + std::to_string(piece);
    cases.push_back({id, "text", inFragments(1, size, piece), {text(whole)}, 0});
    if (piece >= 1024) cases.push_back({id, "binary", inFragments(2, size, piece), {binary(whole)}, 0});
  }
  runCases(cases, {0});
}

TEST_CASE("ws conformance: 9 1 MiB that arrives in small pieces") {
  const std::string whole(1 << 20, '*');
  const WireCase asText{"9.5", "text", {text(whole)}, {text(whole)}, 0};
  const WireCase asBinary{"9.6", "binary", {binary(whole)}, {binary(whole)}, 0};
  runCases({asText}, {512, 2048});
  runCases({asBinary}, {1024});
}

TEST_CASE("ws conformance: 9 a message one byte over the limit is 1009, at the header that shows it") {
  constexpr std::size_t limit = EchoUnderTest::kLongest;
  Frame tooLong = text(std::string(limit + 1, '*'));
  tooLong.missing = limit;  // one byte of it comes
  auto overFragments = inFragments(2, limit + 1, limit / 2);
  REQUIRE(overFragments.size() == 3);
  overFragments.back().missing = 0;
  runCases({{"9.x", "one frame", {tooLong}, {}, 1009}, {"9.x", "fragments", overFragments, {}, 1009}}, {0});
}

TEST_CASE("ws conformance: 9 a thousand round trips of each size") {
  for (const Role role : {Role::Server, Role::Client}) {
    for (const std::size_t size : {0, 16, 64, 256, 1024, 4096}) {
      CAPTURE(size);
      LoopFixture fixture;
      EchoUnderTest echo(fixture, role);
      echo.open();
      const Frame each = size % 256 == 0 ? binary(std::string(size, '\xfe')) : text(std::string(size, '*'));
      const std::string bytes = each.bytes(echo.peerRole());
      std::size_t wrong = 0;
      for (std::size_t i = 1; i <= 300; ++i) {
        echo.send(bytes);
        REQUIRE(echo.until([&] { return echo.peer.words.size() >= i; }));
        wrong += echo.peer.words.back() != wordFor(each);
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("ws conformance: 10 a message that its sender fragments by itself") {
  const std::string whole(65536, '*');
  runCases({{"10.1.1", "65536 bytes by 1300", inFragments(1, 65536, 1300), {text(whole)}, 0}}, {0, 1000});
}
