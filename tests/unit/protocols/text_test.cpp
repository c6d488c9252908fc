#include "protocols/text.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <string_view>

using Workerman::Protocols::Text;
using namespace std::string_view_literals;

namespace {

struct FakeConnection {
  std::size_t maxPackageSize = 10;
};

}  // namespace

TEST_CASE("text: input is the position behind the first newline (Workerman manual: text protocol)") {
  const struct {
    std::string_view buffer;
    std::ptrdiff_t length;
  } cases[] = {
      {"", 0},    {"a", 0},      {"\n", 1},     {"a\n", 2},  {"a\r\n", 3},
      {"a\r", 0}, {"a\nb\n", 2}, {"\0\n"sv, 2}, {"\n\n", 1},
  };
  for (const auto& c : cases) {
    CAPTURE(c.buffer);
    CHECK(Text::input(c.buffer) == c.length);
  }
}

TEST_CASE("text: decode strips every CR and LF at the end, as PHP's rtrim") {
  const struct {
    std::string_view package, text;
  } cases[] = {
      {"a\n", "a"}, {"a\r\n", "a"},     {"a\r\r\n", "a"},     {"\n", ""},
      {"\r\n", ""}, {"a b \n", "a b "}, {"a\rb\r\n", "a\rb"}, {"a", "a"},
      {"", ""},     {"a\t\n", "a\t"},   {"\ra\n", "\ra"},     {"a\0\n"sv, "a\0"sv},
  };
  for (const auto& c : cases) {
    CAPTURE(c.package);
    CHECK(Text::decode(c.package) == c.text);
    // A view of the package, no copy.
    CHECK(Text::decode(c.package).data() == c.package.data());
  }
}

TEST_CASE("text: encode adds a newline") {
  CHECK(Text::encode("") == "\n");
  CHECK(Text::encode("hello") == "hello\n");
  CHECK(Text::decode(Text::encode("hello")) == "hello");
  CHECK(Text::terminator == "\n");
}

TEST_CASE("text: exactly maxPackageSize passes, one more does not (api.md)") {
  const FakeConnection real;
  const FakeConnection* connection = &real;
  const struct {
    std::string buffer;
    std::ptrdiff_t length;
  } cases[] = {
      {"123456789\n", 10},
      {"1234567890\n", -1},
      {"12345678", 0},
      {"123456789", 0},
      {"1234567890", -1},
      {std::string(1000, 'x'), -1},
      // What follows the first package does not count.
      {"a\n" + std::string(1000, 'x'), 2},
      {"", 0},
  };
  for (const auto& c : cases) {
    CAPTURE(c.buffer);
    CHECK(Text::input(c.buffer, connection) == c.length);
  }
}

TEST_CASE("text: a line in many pieces is scanned once") {
  std::string buffer;
  std::size_t scanned = 0;
  for (int i = 0; i < 100; ++i) {
    buffer += 'x';
    REQUIRE(Text::inputFrom(buffer, scanned, 1000) == 0);
    CHECK(scanned == buffer.size());
  }
  // A newline hidden in what was scanned stays unseen: nobody looks there again.
  buffer[50] = '\n';
  CHECK(Text::inputFrom(buffer, scanned, 1000) == 0);
  buffer[50] = 'x';
  buffer += "\nnext";
  CHECK(Text::inputFrom(buffer, scanned, 1000) == 101);
  CHECK(scanned == 0);
  buffer.erase(0, 101);
  CHECK(Text::inputFrom(buffer, scanned, 1000) == 0);
  CHECK(scanned == 4);
  scanned = 100;
  CHECK(Text::inputFrom(buffer, scanned, 1000) == 0);
  CHECK(scanned == 4);
  CHECK(Text::inputFrom(buffer, scanned, 4) == -1);
  CHECK(scanned == 0);
}

TEST_CASE("text: cut at every offset the packages are the same") {
  const std::string stream = "one\ntwo\r\n\nfour four\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    std::string packages;
    std::string buffer;
    std::size_t scanned = 0;
    for (const std::string& piece : {stream.substr(0, cut), stream.substr(cut)}) {
      buffer += piece;
      while (const auto length = Text::inputFrom(buffer, scanned, std::numeric_limits<std::size_t>::max())) {
        packages += "[" + std::string(Text::decode(std::string_view(buffer).substr(0, length))) + "]";
        buffer.erase(0, length);
      }
    }
    CAPTURE(cut);
    CHECK(packages == "[one][two][][four four]");
  }
}
