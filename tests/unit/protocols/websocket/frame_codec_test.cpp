#include "protocols/websocket/frame_codec.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "frame_fixture.h"

using namespace FrameTest;
using namespace std::string_literals;

namespace {

constexpr Role kRoles[] = {Role::Client, Role::Server};
constexpr std::size_t kLengths[] = {0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537};

ParseResult parse(std::string_view bytes, Role role, bool allowRsv1 = false, bool inFragments = false,
                  std::uint64_t maxPayload = UINT64_MAX) {
  FrameRules rules;
  rules.role = role;
  rules.allowRsv1 = allowRsv1;
  rules.inFragments = inFragments;
  rules.maxPayload = maxPayload;
  return parseFrameHeader(bytes, rules);
}

}  // namespace

// -- headers ------------------------------------------------------------------

TEST_CASE("frame: every first byte, with every flag and role (RFC 6455 section 5.2)") {
  for (const Role role : kRoles) {
    for (unsigned first = 0; first < 256; ++first) {
      for (const bool masked : {false, true}) {
        for (const bool allowRsv1 : {false, true}) {
          for (const bool inFragments : {false, true}) {
            const unsigned opcode = first & 15;
            const bool fin = (first & 0x80) != 0;
            const bool rsv1 = (first & 0x40) != 0;
            const bool control = opcode >= 8;
            const bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
            const bool legalRsv1 = !rsv1 || (allowRsv1 && (opcode == 1 || opcode == 2));
            const bool inTurn = control || (opcode == 0) == inFragments;
            const bool legal = known && (first & 0x30) == 0 && legalRsv1 && (fin || !control) && inTurn &&
                               masked == (role == Role::Server);
            const std::string bytes = frame("12345", {first, masked, -1});
            const ParseResult result = parse(bytes, role, allowRsv1, inFragments);
            CAPTURE(first);
            CAPTURE(masked);
            if (!legal) {
              REQUIRE(result.outcome == ParseResult::Outcome::Violation);
              REQUIRE(result.closeCode == 1002);
              REQUIRE(result.cause != nullptr);
              continue;
            }
            REQUIRE(result.outcome == ParseResult::Outcome::Header);
            REQUIRE(static_cast<unsigned>(result.header.opcode) == opcode);
            REQUIRE(result.header.fin == fin);
            REQUIRE(result.header.rsv1 == rsv1);
            REQUIRE(result.header.masked == masked);
            REQUIRE(result.header.payloadLength == 5);
            REQUIRE(result.header.headerSize == bytes.size() - 5);
            REQUIRE((std::memcmp(&result.header.mask, kKey, 4) == 0) == masked);
          }
        }
      }
    }
  }
}

TEST_CASE("frame: each violation has its own cause and is told at the first byte that shows it") {
  struct Case {
    std::string bytes;
    std::size_t enough;  // how many of them show it
    const char* cause;
    bool inFragments = false;
    bool allowRsv1 = false;
    Role role = Role::Server;
  };
  const Case cases[] = {
      {"\xA1\x80"s, 1, "reserved bit RSV2 is set"},
      {"\x91\x80"s, 1, "reserved bit RSV3 is set"},
      {"\xC1\x80"s, 1, "reserved bit RSV1 is set, and no extension that uses it was negotiated"},
      {"\xC9\x80"s, 1, "reserved bit RSV1 is set on a control frame", false, true},
      {"\xC0\x80"s, 1, "reserved bit RSV1 is set on a continuation frame", true, true},
      {"\x83\x80"s, 1, "reserved opcode"},
      {"\x8F\x80"s, 1, "reserved opcode"},
      {"\x09\x80"s, 1, "fragmented control frame"},
      {"\x80\x80"s, 1, "continuation frame without a message to continue"},
      {"\x81\x80"s, 1, "new message before the end of the fragmented one", true},
      {"\x81\x05"s, 2, "frame from a client is not masked"},
      {"\x81\x85"s, 2, "frame from a server is masked", false, false, Role::Client},
      {"\x89\xFE"s, 2, "control frame longer than 125 bytes"},
      {"\x88\xFF"s, 2, "control frame longer than 125 bytes"},
      {"\x81\xFE\x00\x7D"s, 4, "length is not in its shortest form"},
      {"\x81\xFE\x00\x00"s, 4, "length is not in its shortest form"},
      {"\x81\xFF\x80\x00"s, 3, "length has its highest bit set"},
      {"\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s, 3, "length has its highest bit set"},
      {"\x81\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF"s, 8, "length is not in its shortest form"},
      {"\x81\xFF\x00\x00\x00\x00\x00\x00\x00\x05"s, 8, "length is not in its shortest form"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.cause);
    for (std::size_t size = 0; size <= one.bytes.size(); ++size) {
      CAPTURE(size);
      const ParseResult result =
          parse(std::string_view(one.bytes).substr(0, size), one.role, one.allowRsv1, one.inFragments);
      if (size < one.enough) {
        REQUIRE(result.outcome == ParseResult::Outcome::NeedMore);
      } else {
        REQUIRE(result.outcome == ParseResult::Outcome::Violation);
        REQUIRE(result.closeCode == 1002);
        REQUIRE(result.cause == std::string_view(one.cause));
      }
    }
  }
}

TEST_CASE("frame: every length boundary in its shortest form, cut at every byte") {
  for (const Role role : kRoles) {
    for (const std::uint64_t length :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{125}, std::uint64_t{126}, std::uint64_t{127},
          std::uint64_t{65535}, std::uint64_t{65536}, std::uint64_t{1} << 32, std::uint64_t{INT64_MAX}}) {
      CAPTURE(length);
      const bool masked = role == Role::Server;
      std::string bytes = "\x82" + lengthField(length, masked, -1);
      if (masked) bytes += "\x01\x02\x03\x04";
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        REQUIRE(parse(std::string_view(bytes).substr(0, size), role).outcome ==
                ParseResult::Outcome::NeedMore);
      }
      const ParseResult result = parse(bytes, role);
      REQUIRE(result.outcome == ParseResult::Outcome::Header);
      CHECK(result.header.payloadLength == length);
      CHECK(result.header.headerSize == bytes.size());
    }
  }
}

TEST_CASE("frame: the limit is judged by the length alone, before mask or payload") {
  for (const std::size_t limit : {std::size_t{0}, std::size_t{100}, std::size_t{125}, std::size_t{126},
                                  std::size_t{1000}, std::size_t{65535}, std::size_t{65536}}) {
    CAPTURE(limit);
    const std::string fits = "\x82" + lengthField(limit, true, -1);
    const std::string beyond = "\x82" + lengthField(limit + 1, true, -1);
    CHECK(parse(fits, Role::Server, false, false, limit).outcome == ParseResult::Outcome::NeedMore);
    const ParseResult result = parse(beyond, Role::Server, false, false, limit);
    CHECK(result.outcome == ParseResult::Outcome::Violation);
    CHECK(result.closeCode == 1009);
  }
  // Control frames are small by themselves, and pass below any limit.
  CHECK(parse(frame("ping", {0x89, true, -1}), Role::Server, false, false, 1).outcome ==
        ParseResult::Outcome::Header);
}

TEST_CASE("frame: a length of 2^63 and of 2^62 are refused by their own causes") {
  const std::string top = "\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00"s;
  const std::string big = "\x82\xFF\x40\x00\x00\x00\x00\x00\x00\x00"s;
  CHECK(eventsOf(Role::Server, top) == std::vector{violation(1002, "length has its highest bit set")});
  CHECK(eventsOf(Role::Server, big) == std::vector{violation(1009, "message is longer than maxPackageSize")});
}

// -- encoder ------------------------------------------------------------------

TEST_CASE("frame: the encoder writes the shortest form, and 65,535 bytes in two (RFC 6455 section 5.2)") {
  MaskKey key;
  std::memcpy(&key, kKey, 4);
  for (const Role role : kRoles) {
    for (const std::uint64_t length : {0ull, 1ull, 125ull, 126ull, 127ull, 65535ull, 65536ull, 1ull << 40}) {
      for (const Opcode opcode : {Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Ping}) {
        for (unsigned flags = 0; flags < 4; ++flags) {
          char out[kMaxFrameHeader + 1];
          std::memset(out, '#', sizeof out);
          const bool fin = (flags & 1) != 0;
          const bool rsv1 = (flags & 2) != 0;
          const std::size_t size = encodeFrameHeader(out, opcode, fin, rsv1, length, role, key);
          std::string expected(
              1, static_cast<char>((fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | static_cast<int>(opcode)));
          expected += lengthField(length, role == Role::Client, -1);
          if (role == Role::Client) expected.append(reinterpret_cast<const char*>(kKey), 4);
          REQUIRE(std::string(out, size) == expected);
          REQUIRE(out[size] == '#');
        }
      }
    }
  }
}

TEST_CASE("frame: what one role appends the other reads") {
  for (const Role role : kRoles) {
    const Role peer = role == Role::Client ? Role::Server : Role::Client;
    for (const std::size_t length : kLengths) {
      const std::string payload(length, 'p');
      std::string bytes;
      appendFrame(bytes, Opcode::Binary, payload, role, 0x12345678);
      REQUIRE(eventsOf(peer, bytes) == std::vector{message(payload, false)});
    }
  }
}

TEST_CASE("frame: the examples of RFC 6455 section 5.7") {
  std::string bytes;
  MaskKey key;
  std::memcpy(&key, kKey, 4);
  appendFrame(bytes, Opcode::Text, "Hello", Role::Server, 0);
  CHECK(bytes == "\x81\x05\x48\x65\x6c\x6c\x6f"s);
  bytes.clear();
  appendFrame(bytes, Opcode::Text, "Hello", Role::Client, key);
  CHECK(bytes == "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
  CHECK(eventsOf(Role::Server, bytes) == std::vector{message("Hello")});
  CHECK(eventsOf(Role::Client, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"s) == std::vector{message("Hello")});
  CHECK(eventsOf(Role::Client, "\x89\x05\x48\x65\x6c\x6c\x6f"s) == std::vector{ping("Hello")});
  CHECK(eventsOf(Role::Server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s) ==
        std::vector{pong("Hello")});
}

// -- close --------------------------------------------------------------------

TEST_CASE("frame: close codes that may be sent and received (RFC 6455 section 7.4)") {
  std::set<long> valid = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
  for (long code = 3000; code <= 4999; ++code) valid.insert(code);
  for (long code = 0; code <= 65535; ++code) {
    if (isValidCloseCode(code) != valid.contains(code)) {
      CAPTURE(code);
      REQUIRE(isValidCloseCode(code) == valid.contains(code));
    }
  }
  CHECK_FALSE(isValidCloseCode(-1));
  CHECK_FALSE(isValidCloseCode(1000 + 65536));
}

TEST_CASE("frame: a close frame's payload (RFC 6455 section 5.5.1)") {
  struct Case {
    std::string payload;
    Event expected;
  };
  const std::string badCode = "close frame with a code that must not be sent";
  const Case cases[] = {
      {"", closed(1005)},
      {"\x03", violation(1002, "close frame with half a code")},
      {"\x03\xE8", closed(1000)},
      {"\x03\xE8"
       "bye",
       closed(1000, "bye")},
      {"\x0B\xB8"
       "mine",
       closed(3000, "mine")},
      {"\x13\x87", closed(4999)},
      {"\x03\xF6", closed(1014)},
      {"\x03\xEC", violation(1002, badCode)},  // 1004
      {"\x03\xED", violation(1002, badCode)},  // 1005
      {"\x03\xEE"
       "lost",
       violation(1002, badCode)},               // 1006
      {"\x03\xF7", violation(1002, badCode)},   // 1015
      {"\x03\xE7", violation(1002, badCode)},   // 999
      {"\x00\x00"s, violation(1002, badCode)},  // 0
      {"\x0B\xB7", violation(1002, badCode)},   // 2999
      {"\x13\x88", violation(1002, badCode)},   // 5000
      {"\xFF\xFF", violation(1002, badCode)},   // 65535
      {"\x03\xE8\xFF", violation(1007, "close reason is not valid UTF-8")},
      {"\x03\xE8"
       "cut \xC3",
       violation(1007, "close reason is not valid UTF-8")},
      {"\x03\xE8" + std::string(123, 'r'), closed(1000, std::string(123, 'r'))},
  };
  for (const Role role : kRoles) {
    for (const Case& one : cases) {
      CAPTURE(one.payload);
      CHECK(eventsOf(role, frameTo(role, 0x88, one.payload)) == std::vector{one.expected});
    }
  }
}

TEST_CASE("frame: the payload of our own close frame") {
  CHECK(closePayload(1000) == "\x03\xE8");
  CHECK(closePayload(1005, "dropped").empty());
  CHECK(closePayload(4000, "why") ==
        "\x0F\xA0"
        "why");
  CHECK(closePayload(1000, std::string(123, 'r')).size() == 125);
  CHECK(closePayload(1000, std::string(124, 'r')).size() == 125);
  // The 123rd byte is inside a character: it goes as a whole.
  CHECK(closePayload(1000, std::string(122, 'r') + "\xC3\xA9") == "\x03\xE8" + std::string(122, 'r'));
  CHECK(closePayload(1000, std::string(121, 'r') + "\xC3\xA9").size() == 125);
  CHECK(closePayload(1000, "ok\xFFno") == "\x03\xE8ok");
}

TEST_CASE("frame: after a close or a violation everything is swallowed") {
  const std::string text = frameTo(Role::Server, 0x81, "late");
  for (const std::string& last : {frameTo(Role::Server, 0x88, "\x03\xE8"), "\xF1\x80"s}) {
    Receiver receiver(Role::Server);
    CHECK_FALSE(receiver.feed(last + text));
    CHECK(receiver.events.size() == 1);
    CHECK_FALSE(receiver.feed(text));
    CHECK(receiver.events.size() == 1);
    CHECK(receiver.kept() == 0);
    CHECK(receiver.reader.finished());
  }
}
