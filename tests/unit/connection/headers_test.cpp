#include "connection/headers.h"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace Workerman::Connection;
using Pairs = std::vector<std::pair<std::string, std::string>>;

namespace {

Pairs pairsOf(const HeaderList& headers) {
  return {headers.begin(), headers.end()};
}

struct Holder {
  HeaderList headers;
};

}  // namespace

TEST_CASE("headers: braces mean pairs, one or more (api.md: arrays of headers)") {
  Holder con;
  con.headers = {{"Cookie", "a=b"}, {"OtherKey", "values"}};
  CHECK(pairsOf(con.headers) == Pairs{{"Cookie", "a=b"}, {"OtherKey", "values"}});
  con.headers = {{"A", "b"}};
  CHECK(pairsOf(con.headers) == Pairs{{"A", "b"}});
  con.headers = {{"A", "b"}, {"C", "d"}, {"E", "f"}};
  CHECK(con.headers.size() == 3);
  con.headers = {};
  CHECK(con.headers.empty());
}

TEST_CASE("headers: braces take every kind of text") {
  const std::string text = "string";
  const std::string_view view = "view";
  const char* const pointer = "pointer";
  const std::pair<std::string, std::string> pair = {"Pair", "value"};
  const HeaderList headers = {{"A", text}, {text, view}, {pointer, pointer}, {"B", text + "!"}, pair};
  CHECK(
      pairsOf(headers) ==
      Pairs{
          {"A", "string"}, {"string", "view"}, {"pointer", "pointer"}, {"B", "string!"}, {"Pair", "value"}});
  const HeaderList one = {{text, text}};
  CHECK(pairsOf(one) == Pairs{{"string", "string"}});
}

TEST_CASE("headers: eight bytes while empty") {
  CHECK(sizeof(HeaderList) == sizeof(void*));
  CHECK(std::is_nothrow_move_constructible_v<HeaderList>);
  const HeaderList headers;
  CHECK(headers.empty());
  CHECK(headers.begin() == headers.end());
  CHECK_FALSE(headers.get("A"));
}

TEST_CASE("headers: names are compared without case, values exactly, and kept as given") {
  HeaderList headers = {{"Content-Type", "Text/HTML"}};
  for (const char* name : {"Content-Type", "content-type", "CONTENT-TYPE"}) {
    CHECK(headers.get(name) == "Text/HTML");
    CHECK(headers.has(name));
  }
  CHECK_FALSE(headers.has("Content-Typ"));
  CHECK_FALSE(headers.has("Content-Type2"));
  CHECK(headers == HeaderList{{"content-type", "Text/HTML"}});
  CHECK_FALSE(headers == HeaderList{{"content-type", "text/html"}});
  CHECK(headers.begin()->first == "Content-Type");
}

TEST_CASE("headers: add repeats, set replaces all at the place of the first") {
  HeaderList headers;
  headers.add("A", "1");
  headers.add("B", "2");
  headers.add("a", "3");
  headers.add("C", "4");
  headers.add("A", "5");
  CHECK(headers.count("A") == 3);
  CHECK(headers.get("A") == "1");
  headers.set("a", "6");
  CHECK(pairsOf(headers) == Pairs{{"A", "6"}, {"B", "2"}, {"C", "4"}});
  headers.set("D", "7");
  CHECK(headers.size() == 4);
  CHECK(headers.get("D") == "7");
}

TEST_CASE("headers: a value or name may come from the list itself") {
  HeaderList headers = {{"A", "first value, long enough not to be stored inside"}, {"a", "second"}};
  headers.set(headers.begin()->first, *headers.get("A"));
  CHECK(pairsOf(headers) == Pairs{{"A", "first value, long enough not to be stored inside"}});
  for (int i = 0; i < 10; ++i) headers.add("A", *headers.get("A"));
  CHECK(headers.size() == 11);
  CHECK(headers.erase(headers.begin()->first) == 11);
}

TEST_CASE("headers: erase removes all of a name and frees an empty list") {
  HeaderList headers = {{"A", "1"}, {"B", "2"}, {"a", "3"}};
  CHECK(headers.erase("A") == 2);
  CHECK(pairsOf(headers) == Pairs{{"B", "2"}});
  CHECK(headers.erase("A") == 0);
  CHECK(headers.erase("b") == 1);
  CHECK(headers.empty());
  CHECK(headers.erase("b") == 0);
  headers.add("C", "4");
  headers.clear();
  CHECK(headers.empty());
}

TEST_CASE("headers: the index operator reads, writes and appends") {
  HeaderList headers;
  headers["X"] = "y";
  headers["x"] += "z";
  headers["Other"] = std::string("w");
  CHECK(pairsOf(headers) == Pairs{{"X", "yz"}, {"Other", "w"}});
}

TEST_CASE("headers: iteration binds name and value, which may be changed") {
  HeaderList headers = {{"A", "1"}, {"B", "2"}};
  for (auto& [name, value] : headers) value += name;
  std::string seen;
  for (const auto& [name, value] : std::as_const(headers)) seen += name + "=" + value + ";";
  CHECK(seen == "A=1A;B=2B;");
}

TEST_CASE("headers: copies are independent, moves leave nothing behind") {
  HeaderList headers = {{"A", "1"}};
  HeaderList copy = headers;
  copy["A"] = "2";
  CHECK(headers.get("A") == "1");
  HeaderList& self = headers;
  headers = self;
  CHECK(headers.get("A") == "1");
  headers = copy;
  CHECK(headers.get("A") == "2");
  const HeaderList moved = std::move(headers);
  CHECK(moved.get("A") == "2");
  CHECK(headers.empty());  // NOLINT(bugprone-use-after-move): the point of the check
  copy = HeaderList();
  CHECK(copy.empty());
}

TEST_CASE("headers: what may be sent as name and value (RFC 9110 section 5)") {
  for (const char* name : {"A", "X-Token", "x_y", "!#$%&'*+-.^_`|~", "0"}) CHECK(isSafeHeaderName(name));
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a:"), std::string("a\r\nB"), std::string("a\n"),
        std::string("a\0b", 3), std::string(" a"), std::string("a\t"), std::string("h\xC3\xA9"),
        std::string("(a)"), std::string("\"a\"")}) {
    CAPTURE(name);
    CHECK_FALSE(isSafeHeaderName(name));
  }
  for (const char* value : {"", "a b", "a\tb", "h\xC3\xA9", ":;,\"()"}) CHECK(isSafeHeaderValue(value));
  for (const std::string& value :
       {std::string("a\r"), std::string("\n"), std::string("a\r\nB: c"), std::string("\0", 1),
        std::string("a\x01"), std::string("\x1B[0m"), std::string("\x7F")}) {
    CHECK_FALSE(isSafeHeaderValue(value));
  }
}
