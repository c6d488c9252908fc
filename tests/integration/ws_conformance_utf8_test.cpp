#include <string>
#include <vector>

#include "support/wire_echo.h"

/// Text is UTF-8, and what is not fails at the first byte that shows it: one
/// table for both roles (RFC 6455 section 8.1, RFC 3629).

using namespace testing;

namespace {

const std::vector<std::string>& validTexts() {
  static const std::vector<std::string> all{
      "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",  // κόσμε
      std::string("\0", 1),
      "\xc2\x80",
      "\xe0\xa0\x80",
      "\xf0\x90\x80\x80",
      "\x7f",
      "\xdf\xbf",
      "\xef\xbf\xbf",
      "\xf4\x8f\xbf\xbf",
      "\xed\x9f\xbf",
      "\xee\x80\x80",
      "\xef\xbf\xbd",
      // Noncharacters are characters enough.
      "\xef\xbf\xbe",
      "\xf0\x9f\xbf\xbe",
      "\xf0\x9f\xbf\xbf",
      "\xf3\xbf\xbf\xbe",
      "\xf4\x8f\xbf\xbe",
      "\xef\xb7\x90",
      // A byte order mark is no error, nor is it taken away.
      "\xef\xbb\xbfmark",
  };
  return all;
}

const std::vector<std::string>& invalidTexts() {
  static const std::vector<std::string> all{
      // continuation bytes on their own
      "\x80",
      "\xbf",
      "\x80\xbf",
      "\x80\xbf\x80",
      "\x80\xbf\x80\xbf\x80\xbf",
      // beginnings without a continuation
      "\xc2 ",
      "\xdf ",
      "\xe0 ",
      "\xef ",
      "\xf0 ",
      "\xf4 ",
      "\xc2",
      "\xe0\xa0",
      "\xef\xbf",
      "\xf0\x90\x80",
      "\xf4\x8f\xbf",
      "\xf0\x90\x80 ",
      "\xe1\x80 ",
      "\xe1\x80\xe1\x80",
      "\xf1\x80\x80\xc2\x80",
      // bytes that are never used
      "\xfe",
      "\xff",
      "\xfe\xfe\xff\xff",
      "\xf5\x80\x80\x80",
      "\xf8\x88\x80\x80\x80",
      "\xfc\x84\x80\x80\x80\x80",
      "\xf7\xbf\xbf\xbf",
      "\xfb\xbf\xbf\xbf\xbf",
      "\xfd\xbf\xbf\xbf\xbf\xbf",
      // longer than needed
      "\xc0\xaf",
      "\xe0\x80\xaf",
      "\xf0\x80\x80\xaf",
      "\xc1\xbf",
      "\xe0\x9f\xbf",
      "\xf0\x8f\xbf\xbf",
      std::string("\xc0\x80", 2),
      std::string("\xe0\x80\x80", 3),
      std::string("\xf0\x80\x80\x80", 4),
      // beyond the last character
      "\xf4\x90\x80\x80",
      "\xf4\x9f\xbf\xbf",
      // surrogates
      "\xed\xa0\x80",
      "\xed\xad\xbf",
      "\xed\xae\x80",
      "\xed\xaf\xbf",
      "\xed\xb0\x80",
      "\xed\xbe\x80",
      "\xed\xbf\xbf",
      "\xed\xa0\x80\xed\xb0\x80",
      "\xed\xaf\xbf\xed\xbf\xbf",
  };
  return all;
}

/// Where ASCII around it puts a bad byte: short, and past several vectors' widths.
const std::vector<std::string>& paddings() {
  static const std::vector<std::string> all{"", "x", std::string(15, 'x'), std::string(70, 'x')};
  return all;
}

/// In pieces of `size` each.
std::vector<Frame> fragments(const std::string& whole, std::size_t size) {
  std::vector<Frame> frames;
  for (std::size_t at = 0; at < whole.size() || at == 0; at += size) {
    const unsigned fin = at + size >= whole.size() ? 0x80 : 0;
    frames.push_back(wireFrame(fin | (at == 0 ? 1u : 0u), std::string_view(whole).substr(at, size)));
  }
  return frames;
}

}  // namespace

TEST_CASE("ws conformance: 6 valid text is taken, however it is cut (RFC 6455 section 8.1)") {
  std::vector<WireCase> cases{
      {"6.1.1", "nothing", {text("")}, {text("")}, 0},
      {"6.1.2", "fragments of nothing", {textStart(""), more(""), last("")}, {text("")}, 0},
      {"6.1.3", "middle", {textStart(""), more("middle"), last("")}, {text("middle")}, 0}};
  for (const auto& valid : validTexts()) {
    for (const auto& padding : paddings()) {
      const std::string whole = padding + valid + padding;
      cases.push_back({"6.2", "one frame", {text(whole)}, {text(whole)}, 0});
      cases.push_back({"6.2", "a fragment per byte", fragments(whole, 1), {text(whole)}, 0});
    }
  }
  runCases(cases, {0});
  cases.resize(40);
  runCases(cases, {1});
}

TEST_CASE("ws conformance: 6 what is no UTF-8 is 1007, however it is cut (RFC 6455 section 8.1)") {
  std::vector<WireCase> cases;
  for (const auto& invalid : invalidTexts()) {
    for (const auto& padding : paddings()) {
      const std::string whole = padding + invalid;
      cases.push_back({"6.3", "at the end", {text("ok"), text(whole), ping("")}, {text("ok")}, 1007});
      cases.push_back({"6.3", "in the middle", {text(whole + " behind")}, {}, 1007});
      cases.push_back({"6.3", "a fragment per byte", fragments(whole + padding, 1), {}, 1007});
    }
  }
  runCases(cases, {0});
  std::vector<WireCase> some;
  for (std::size_t i = 0; i < cases.size(); i += 5) some.push_back(cases[i]);
  runCases(some, {1});
}

TEST_CASE(
    "ws conformance: 6.4 the first bad byte fails, without waiting for the rest (RFC 6455 section 8.1)") {
  const std::string good = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
  std::vector<WireCase> cases;
  for (const std::string bad :
       {"\xf4\x90", "\xed\xa0", "\xc0", "\xff", "\xe0\x80", "\xf0\x80", "\xf5", "\xc2\x20"}) {
    for (const auto& padding : paddings()) {
      // The message would go on; nothing more comes.
      cases.push_back({"6.4.1", "in a middle fragment", {textStart(good), more(padding + bad)}, {}, 1007});
      Frame open = text(padding + good + bad + std::string(1000, 'x'));
      open.missing = 1000;
      cases.push_back({"6.4.3", "inside one frame, of which the rest never comes", {open}, {}, 1007});
    }
  }
  runCases(cases, {0, 1});
}

TEST_CASE("ws conformance: 6 binary messages are not text, also between fragments") {
  std::vector<WireCase> cases;
  for (const auto& invalid : invalidTexts()) {
    cases.push_back({"6.b",
                     "binary",
                     {binary(invalid), binaryStart(invalid), last(invalid)},
                     {binary(invalid), binary(invalid + invalid)},
                     0});
    cases.push_back({"6.p",
                     "a ping between two halves of a character",
                     {textStart("\xe2\x82"), ping(invalid), last("\xac")},
                     {pong(invalid), text("\xe2\x82\xac")},
                     0});
  }
  runCases(cases, {0});
}
