#include "core/process/text_column.h"

#include <doctest/doctest.h>

#include <string>

namespace detail = Workerman::detail;

TEST_CASE("text column: UTF-8 is as wide as a terminal shows it") {
  struct Case {
    std::string text;
    std::size_t width;
  };
  for (const Case& c :
       {Case{"", 0}, Case{"abc", 3}, Case{"\xC3\xA9t\xC3\xA9", 3}, Case{"\xE8\x81\x8A\xE5\xA4\xA9", 4},
        Case{"\xF0\x9F\x98\x80", 2}, Case{"\xE8\x81", 2}, Case{"\xFF\x80", 2}, Case{"\xC3", 1}}) {
    CAPTURE(c.text);
    CHECK(detail::displayWidth(c.text) == c.width);
    CHECK(detail::padded(c.text, 6) == c.text + std::string(6 - c.width, ' '));
  }
}

TEST_CASE("text column: what is too wide stays whole, control characters cannot move the cursor") {
  CHECK(detail::padded("abcdef", 3) == "abcdef");
  CHECK(detail::padded("a\n\033[2J\x7F", 8) == "a??[2J? ");
}

TEST_CASE("text column: a shortened text ends in two dots, and no character is cut") {
  CHECK(detail::shortened("fourteen chars", 14) == "fourteen chars");
  CHECK(detail::shortened("fifteen charsss", 14) == "fifteen char..");
  CHECK(detail::shortened("\xE8\x81\x8A\xE5\xA4\xA9\xE8\x81\x8A", 5) == "\xE8\x81\x8A..");
}

TEST_CASE("text column: numbers are rounded and have no zeros at their end") {
  CHECK(detail::rounded(1.0, 1) == "1");
  CHECK(detail::rounded(1.25, 2) == "1.25");
  CHECK(detail::rounded(1.999, 2) == "2");
  CHECK(detail::rounded(100, 0) == "100");
  CHECK(detail::rounded(0, 2) == "0");
}
