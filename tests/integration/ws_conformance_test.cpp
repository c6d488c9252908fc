#include <string>
#include <vector>

#include "support/wire_echo.h"

/// RFC 6455 to the letter, our server and our client as echoes of a peer that
/// we write byte by byte: one table for both roles, each case whole and dripped.
/// Framing, pings and pongs, reserved bits, opcodes, fragmentation.

using namespace testing;

namespace {

const std::string kText = "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!";
const std::string kBytes = std::string("\0\xff\xfe\xfd\xfc\xfb\0\xff", 8);

}  // namespace

TEST_CASE("ws conformance: 1 messages of every form of length, text and binary (RFC 6455 section 5.2)") {
  std::vector<WireCase> cases;
  for (const std::size_t size :
       {0,   1,   2,   3,   4,   7,   8,   15,   16,   17,   31,    32,    33,    124,
        125, 126, 127, 128, 129, 255, 256, 4095, 4096, 4097, 65534, 65535, 65536, 65537}) {
    const std::string id = "1." + std::to_string(size);
    cases.push_back({id, "text", {text(std::string(size, '*'))}, {text(std::string(size, '*'))}, 0});
    cases.push_back(
        {id, "binary", {binary(std::string(size, '\xfe'))}, {binary(std::string(size, '\xfe'))}, 0});
  }
  runCases(cases, {0, 997});
  cases.erase(cases.begin() + 38, cases.end());
  runCases(cases, {1});
}

TEST_CASE("ws conformance: 1 many messages in one write come back in order") {
  WireCase each{"1.x", "a burst", {}, {}, 0};
  for (int i = 0; i < 200; ++i) {
    each.sent.push_back(i % 3 == 0 ? binary(std::string(static_cast<std::size_t>(i), '\x80'))
                                   : text(std::to_string(i)));
  }
  each.answers = each.sent;
  runCases({each}, {0, 13, 1000});
}

TEST_CASE("ws conformance: 2 pings and pongs (RFC 6455 sections 5.5.2 and 5.5.3)") {
  const std::string longest(125, '\xfe');
  std::vector<Frame> tenPings, tenPongs;
  for (int i = 0; i < 10; ++i) {
    tenPings.push_back(ping("payload-" + std::to_string(i)));
    tenPongs.push_back(pong("payload-" + std::to_string(i)));
  }
  runCases(
      {
          {"2.1", "an empty ping", {ping("")}, {pong("")}, 0},
          {"2.2", "a ping's text comes back", {ping("Hello, world!")}, {pong("Hello, world!")}, 0},
          {"2.3", "a ping's bytes come back", {ping(kBytes)}, {pong(kBytes)}, 0},
          {"2.4", "125 bytes", {ping(longest)}, {pong(longest)}, 0},
          {"2.5", "126 bytes are too many", {ping(longest + "x")}, {}, 1002},
          {"2.7", "a pong that nobody asked for", {pong("")}, {}, 0},
          {"2.8", "the same with bytes", {pong("unsolicited")}, {}, 0},
          {"2.9", "and a ping behind it", {pong("unsolicited"), ping("asked")}, {pong("asked")}, 0},
          {"2.10", "ten pings", tenPings, tenPongs, 0},
          {"2.12", "a pong of 126 bytes", {pong(longest + "x")}, {}, 1002},
      },
      {0, 1, 3});
}

TEST_CASE("ws conformance: 3 reserved bits (RFC 6455 section 5.2)") {
  std::vector<WireCase> cases;
  for (unsigned rsv = 1; rsv <= 7; ++rsv) {
    for (const unsigned opcode : {1u, 2u, 8u, 9u, 10u}) {
      const std::string id = "3." + std::to_string(rsv) + "." + std::to_string(opcode);
      const Frame bad = wireFrame(0x80 | rsv << 4 | opcode, opcode == 8 ? "\x03\xe8" : "payload");
      cases.push_back({id, "alone", {bad}, {}, 1002});
      cases.push_back(
          {id, "behind a message, before a ping", {text(kText), bad, ping("")}, {text(kText)}, 1002});
    }
    const unsigned bits = rsv << 4;
    cases.push_back({"3.x", "on a first fragment", {wireFrame(0x01 | bits, "a"), last("b")}, {}, 1002});
    cases.push_back({"3.x", "on a continuation", {textStart("a"), wireFrame(0x80 | bits, "b")}, {}, 1002});
  }
  runCases(cases, {0, 1});
}

TEST_CASE("ws conformance: 4 reserved opcodes (RFC 6455 section 5.2)") {
  std::vector<WireCase> cases;
  for (const unsigned opcode : {3u, 4u, 5u, 6u, 7u, 11u, 12u, 13u, 14u, 15u}) {
    const std::string id = "4." + std::to_string(opcode);
    cases.push_back({id, "empty", {wireFrame(0x80 | opcode)}, {}, 1002});
    cases.push_back({id, "with bytes", {wireFrame(0x80 | opcode, "reserved")}, {}, 1002});
    cases.push_back({id, "no FIN", {wireFrame(opcode, "reserved")}, {}, 1002});
    cases.push_back({id,
                     "between messages",
                     {text(kText), wireFrame(0x80 | opcode, "x"), ping("")},
                     {text(kText)},
                     1002});
  }
  runCases(cases, {0, 1});
}

TEST_CASE("ws conformance: 5 fragmentation (RFC 6455 section 5.4)") {
  const Frame a = textStart("fragment1"), b = more("fragment2"), z = last("fragment3");
  const Frame whole = text("fragment1fragment2fragment3");
  runCases(
      {
          {"5.1", "a fragmented ping", {wireFrame(0x09, "a"), last("b")}, {}, 1002},
          {"5.2", "a fragmented pong", {wireFrame(0x0A, "a"), last("b")}, {}, 1002},
          {"5.2c", "a fragmented close", {wireFrame(0x08, "\x03\xe8"), last("b")}, {}, 1002},
          {"5.3", "two fragments", {textStart("a"), last("b")}, {text("ab")}, 0},
          {"5.3b", "two binary fragments", {binaryStart(kBytes), last(kBytes)}, {binary(kBytes + kBytes)}, 0},
          {"5.4", "three", {a, b, z}, {whole}, 0},
          {"5.6", "a ping between", {a, ping("p"), z}, {pong("p"), text("fragment1fragment3")}, 0},
          {"5.7", "a pong between", {a, pong("p"), z}, {text("fragment1fragment3")}, 0},
          {"5.8",
           "pings everywhere",
           {ping("1"), a, ping("2"), b, ping("3"), z, ping("4")},
           {pong("1"), pong("2"), pong("3"), whole, pong("4")},
           0},
          {"5.9", "a last fragment of nothing", {last("x"), text("y")}, {}, 1002},
          {"5.10", "a continuation of nothing", {more("x"), text("y")}, {}, 1002},
          {"5.11", "the same behind a message", {text("ok"), last("x")}, {text("ok")}, 1002},
          {"5.12",
           "a continuation behind the last",
           {textStart("a"), last("b"), last("c")},
           {text("ab")},
           1002},
          {"5.15",
           "then another message",
           {textStart("a"), last("b"), more("c"), textStart("d")},
           {text("ab")},
           1002},
          {"5.18", "two messages at once", {a, text("x")}, {}, 1002},
          {"5.18b", "two fragmented ones at once", {a, textStart("x"), last("y")}, {}, 1002},
          {"5.18c", "binary inside text", {a, binaryStart("x")}, {}, 1002},
          {"5.19",
           "five with pings",
           {a, b, ping("1"), b, b, ping("2"), z},
           {pong("1"), pong("2"), text("fragment1fragment2fragment2fragment2fragment3")},
           0},
          {"5.20", "empty fragments", {textStart(""), more(""), more(""), last("")}, {text("")}, 0},
          {"5.21", "empty but the middle", {binaryStart(""), more("m"), last("")}, {binary("m")}, 0},
          {"5.22",
           "one after the other",
           {a, z, binaryStart("x"), last("y"), text("t")},
           {text("fragment1fragment3"), binary("xy"), text("t")},
           0},
      },
      {0, 1, 2, 5});
}

TEST_CASE("ws conformance: masks and lengths as they must not be (RFC 6455 sections 5.1 and 5.2)") {
  std::vector<WireCase> cases;
  for (Frame bad : {text("x"), text(""), binary(std::string(200, 'x')), ping("x"), pong(""), goodbye(1000)}) {
    bad.wrongMask = true;
    cases.push_back({"m", "the wrong side's mask", {text(kText), bad}, {text(kText)}, 1002});
  }
  const auto withForm = [](Frame frame, int bits) {
    frame.lengthForm = bits;
    return frame;
  };
  for (const unsigned first : {0x81u, 0x82u, 0x01u}) {
    cases.push_back({"l", "16 bits for 0", {withForm(wireFrame(first), 16)}, {}, 1002});
    cases.push_back(
        {"l", "16 bits for 125", {withForm(wireFrame(first, std::string(125, 'x')), 16)}, {}, 1002});
    cases.push_back(
        {"l", "64 bits for 125", {withForm(wireFrame(first, std::string(125, 'x')), 64)}, {}, 1002});
    cases.push_back(
        {"l", "64 bits for 65535", {withForm(wireFrame(first, std::string(65535, 'x')), 64)}, {}, 1002});
  }
  for (const unsigned first : {0x88u, 0x89u, 0x8Au}) {
    cases.push_back(
        {"l", "16 bits on a control frame", {withForm(wireFrame(first, "\x03\xe8"), 16)}, {}, 1002});
    cases.push_back({"l", "64 bits on a control frame", {withForm(wireFrame(first), 64)}, {}, 1002});
  }
  runCases(cases, {0, 1});
}
