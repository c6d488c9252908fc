#include "protocols/websocket/utf8.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace Workerman::Protocols::detail;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

const std::string_view kValid[] = {
    ""sv,
    "\0"sv,
    "hello"sv,
    "\x7F"sv,
    "\xC2\x80"sv,          // U+0080, the first of two bytes
    "\xDF\xBF"sv,          // U+07FF
    "\xE0\xA0\x80"sv,      // U+0800
    "\xED\x9F\xBF"sv,      // U+D7FF, just below the surrogates
    "\xEE\x80\x80"sv,      // U+E000, just above them
    "\xEF\xBF\xBD"sv,      // U+FFFD
    "\xEF\xBF\xBF"sv,      // U+FFFF, a noncharacter and valid
    "\xF0\x90\x80\x80"sv,  // U+10000
    "\xF4\x8F\xBF\xBF"sv,  // U+10FFFF
    "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"sv,
    "na\xC3\xAFve caf\xC3\xA9, sixteen and more \xF0\x9F\x98\x80 bytes of text"sv,
    "\xE6\xB1\x89\xE5\xAD\x97\xE6\xB1\x89\xE5\xAD\x97\xE6\xB1\x89\xE5\xAD\x97\xE6\xB1\x89\xE5\xAD\x97"sv,
};

struct Invalid {
  std::string_view text;
  std::size_t bad;  // the first byte that no valid text could have there
};

const Invalid kInvalid[] = {
    {"\x80"sv, 0},              // a continuation byte by itself
    {"\xBF"sv, 0},              //
    {"a\x80"sv, 1},             //
    {"\xC0\xAF"sv, 0},          // overlong in two bytes
    {"\xC1\xBF"sv, 0},          //
    {"\xE0\x80\xAF"sv, 1},      // overlong in three
    {"\xE0\x9F\xBF"sv, 1},      //
    {"\xF0\x80\x80\xAF"sv, 1},  // overlong in four
    {"\xF0\x8F\xBF\xBF"sv, 1},  //
    {"\xED\xA0\x80"sv, 1},      // U+D800, a surrogate
    {"\xED\xBF\xBF"sv, 1},      // U+DFFF
    {"\xF4\x90\x80\x80"sv, 1},  // U+110000
    {"\xF5\x80\x80\x80"sv, 0},  //
    {"\xF8\x88\x80\x80\x80"sv, 0},
    {"\xFC\x84\x80\x80\x80\x80"sv, 0},
    {"\xFE"sv, 0},
    {"\xFF"sv, 0},
    {"\xC3("sv, 1},             // cut off by another character
    {"\xE2\x82("sv, 2},         //
    {"\xE2(\xA1"sv, 1},         //
    {"\xF0\x9F\x98z"sv, 3},     //
    {"\xF0\x9F\xC3\xA9"sv, 2},  //
    {"\xC3\xC3"sv, 1},          //
    {"0123456789abcdef0123456789abcdef\xFFtail that is long enough for a vector"sv, 32},
    {"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80"
     "edited"sv,
     12},
};

}  // namespace

TEST_CASE("utf8: valid texts, whole and cut at every offset (RFC 3629)") {
  for (const std::string_view text : kValid) {
    CAPTURE(std::string(text));
    CHECK(isValidUtf8(text.data(), text.size()));
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      Utf8State state;
      REQUIRE(state.feed(text.data(), cut));
      REQUIRE(state.feed(text.data() + cut, text.size() - cut));
      REQUIRE(state.complete());
    }
  }
}

TEST_CASE("utf8: wrong texts fail at their first bad byte, however they are cut") {
  for (const Invalid& one : kInvalid) {
    CAPTURE(one.bad);
    CAPTURE(std::string(one.text));
    CHECK_FALSE(isValidUtf8(one.text.data(), one.text.size()));
    Utf8State whole;
    CHECK_FALSE(whole.feed(one.text.data(), one.text.size()));
    CHECK_FALSE(whole.complete());

    Utf8State bytewise;
    for (std::size_t i = 0; i < one.text.size(); ++i)
      REQUIRE(bytewise.feed(one.text.data() + i, 1) == (i < one.bad));

    for (std::size_t cut = 0; cut <= one.text.size(); ++cut) {
      Utf8State state;
      REQUIRE(state.feed(one.text.data(), cut) == (cut <= one.bad));
      REQUIRE_FALSE(state.feed(one.text.data() + cut, one.text.size() - cut));
    }
  }
}

TEST_CASE("utf8: the same at every distance from the start of a vector") {
  for (std::size_t before = 0; before < 140; ++before) {
    const std::string lead(before, 'x');
    for (const std::string_view text : kValid) {
      const std::string padded = lead + std::string(text) + lead;
      REQUIRE(isValidUtf8(padded.data(), padded.size()));
    }
    for (const Invalid& one : kInvalid) {
      const std::string padded = lead + std::string(one.text) + lead;
      REQUIRE_FALSE(isValidUtf8(padded.data(), padded.size()));
      REQUIRE(validUtf8Prefix(padded, padded.size()) <= before + one.bad);
    }
  }
}

TEST_CASE("utf8: a text that ends inside a character is a legal beginning and not complete") {
  for (const std::string_view text :
       {"\xC3\xA9"sv, "\xE2\x82\xAC"sv, "\xF0\x9F\x98\x80"sv, "\xF4\x8F\xBF\xBF"sv}) {
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      const std::string part = "abc" + std::string(text.substr(0, cut));
      Utf8State state;
      CHECK(state.feed(part.data(), part.size()));
      CHECK_FALSE(state.complete());
      CHECK_FALSE(isValidUtf8(part.data(), part.size()));
    }
  }
}

TEST_CASE("utf8: long texts of neighbouring characters agree with the same byte by byte") {
  // Every ordered pair of these, repeated over several vectors, valid or not: the wide check and the
  // bytewise one are written apart.
  const std::string_view parts[] = {"a"sv,
                                    "\x7F"sv,
                                    "\x80"sv,
                                    "\xBF"sv,
                                    "\xC0"sv,
                                    "\xC1\xBF"sv,
                                    "\xC2"sv,
                                    "\xC2\x80"sv,
                                    "\xDF\xBF"sv,
                                    "\xE0\x9F\xBF"sv,
                                    "\xE0"sv,
                                    "\xE0\xA0\x80"sv,
                                    "\xED\x9F\xBF"sv,
                                    "\xED\xA0\x80"sv,
                                    "\xEF\xBF"sv,
                                    "\xF0\x8F\xBF\xBF"sv,
                                    "\xF0\x90\x80\x80"sv,
                                    "\xF4\x8F\xBF\xBF"sv,
                                    "\xF4\x90\x80\x80"sv,
                                    "\xF5\x80\x80\x80"sv,
                                    "\xF8"sv,
                                    "\xFF"sv,
                                    "\xF1\x80\x80"sv};
  for (const std::string_view filler : {"z"sv, "\xC3\xA9"sv, "\xE6\xB1\x89"sv, "\xF0\x9F\x98\x80"sv}) {
    for (const std::string_view first : parts) {
      for (const std::string_view second : parts) {
        for (std::size_t before = 60; before < 100; ++before) {
          std::string text;
          while (text.size() + filler.size() <= before) text += filler;
          text.append(first).append(second);
          while (text.size() < 200) text += filler;
          Utf8State bytewise;
          bool valid = true;
          for (const char& byte : text) valid = bytewise.feed(&byte, 1);
          Utf8State whole;
          if (whole.feed(text.data(), text.size()) != valid || whole.complete() != bytewise.complete()) {
            CAPTURE(before);
            CAPTURE(text);
            REQUIRE(whole.feed(text.data(), text.size()) == valid);
            REQUIRE(whole.complete() == bytewise.complete());
          }
        }
      }
    }
  }
  CHECK(isValidUtf8("z", 1));
}

TEST_CASE("utf8: every code point, and every sequence of two bytes, by the definition") {
  for (unsigned point = 0; point < 0x110000; ++point) {
    if (point > 0x10800 && point % 97 != 0 && point < 0x10FF00) continue;  // the planes are alike
    std::string text;
    if (point < 0x80) {
      text = {static_cast<char>(point)};
    } else if (point < 0x800) {
      text = {static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 63))};
    } else if (point < 0x10000) {
      text = {static_cast<char>(0xE0 | point >> 12), static_cast<char>(0x80 | (point >> 6 & 63)),
              static_cast<char>(0x80 | (point & 63))};
    } else {
      text = {static_cast<char>(0xF0 | point >> 18), static_cast<char>(0x80 | (point >> 12 & 63)),
              static_cast<char>(0x80 | (point >> 6 & 63)), static_cast<char>(0x80 | (point & 63))};
    }
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (isValidUtf8(text.data(), text.size()) == surrogate) {
      CAPTURE(point);
      REQUIRE(isValidUtf8(text.data(), text.size()) != surrogate);
    }
  }
  std::size_t valid = 0;
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      const char pair[] = {static_cast<char>(a), static_cast<char>(b)};
      valid += isValidUtf8(pair, 2);
    }
  }
  CHECK(valid == 128 * 128 + 30 * 64);
}

TEST_CASE("utf8: a failure stays until reset") {
  Utf8State state;
  CHECK_FALSE(state.feed("\xFF", 1));
  CHECK_FALSE(state.feed("a", 1));
  CHECK_FALSE(state.feed("", 0));
  state.reset();
  CHECK(state.feed("a", 1));
  CHECK(state.complete());
}

TEST_CASE("utf8: the longest valid prefix ends at a character") {
  CHECK(validUtf8Prefix("hello", 3) == 3);
  CHECK(validUtf8Prefix("hello", 9) == 5);
  CHECK(validUtf8Prefix("", 9) == 0);
  CHECK(validUtf8Prefix("caf\xC3\xA9", 4) == 3);
  CHECK(validUtf8Prefix("caf\xC3\xA9", 5) == 5);
  CHECK(validUtf8Prefix("\xF0\x9F\x98\x80", 3) == 0);
  CHECK(validUtf8Prefix("ok\xFFno", 9) == 2);
}
