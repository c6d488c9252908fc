// What PHP's samples do with a dynamic property, done to context["name"].

#include <doctest/doctest.h>

#include <array>
#include <compare>
#include <cstdint>
#include <ctime>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connection/compact_text.h"
#include "connection/context.h"
#include "core/text_view.h"

using Workerman::TextView;
using Workerman::Connection::CompactText;
using Workerman::Connection::Context;
using namespace std::string_literals;

namespace {

struct Point {
  int x = 0;
  bool operator==(const Point&) const = default;
};
enum Level { LOW, HIGH };
enum class Color { RED };

std::string printed(const auto& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

template <typename T>
concept Storable = requires(Context context, T value) {
  context["x"] = value;
};

}  // namespace

TEST_CASE("context: in a condition PHP's truth, and missing is false") {
  Context context;
  CHECK_FALSE(context["gone"]);
  context["true"] = true;
  context["one"] = 1;
  context["half"] = 0.5;
  context["text"] = "no";
  context["space"] = " ";
  context["list"] = std::vector<int>{0};
  context["pointer"] = std::make_shared<int>(0);
  context["object"] = Point{};
  context["color"] = Color::RED;
  context["level"] = HIGH;
  for (const auto name :
       {"true", "one", "half", "text", "space", "list", "pointer", "object", "color", "level"}) {
    CAPTURE(name);
    bool taken = false;
    if (context[name]) taken = true;
    CHECK(taken);
    CHECK_FALSE(!context[name]);
    const bool known = context[name];
    CHECK(known);
  }
  context["false"] = false;
  context["zero"] = 0;
  context["zero.0"] = 0.0;
  context["empty"] = "";
  context["0"] = "0";
  context["array"] = std::vector<int>{};
  context["null"] = std::shared_ptr<int>();
  context["low"] = LOW;
  for (const auto name : {"false", "zero", "zero.0", "empty", "0", "array", "null", "low", "gone"}) {
    CAPTURE(name);
    CHECK(!context[name]);
    const bool known = context[name];
    CHECK_FALSE(known);
    CHECK((context[name] || context["one"]));
  }
}

TEST_CASE("context: numbers convert to every type that has room for the value") {
  Context context;
  context["t"] = 0;
  const long t = context["t"];
  const double d = context["t"];
  CHECK((t == 0 && d == 0));
  context["big"] = std::int64_t{1} << 40;
  const double exact = context["big"];
  CHECK(exact == 1099511627776.0);
  CHECK_THROWS_AS([&] { [[maybe_unused]] const int x = context["big"]; }(), std::runtime_error);
  context["minus"] = -1;
  CHECK_THROWS_AS([&] { [[maybe_unused]] const unsigned x = context["minus"]; }(), std::runtime_error);
  context["half"] = 0.5;
  CHECK_THROWS_AS([&] { [[maybe_unused]] const int x = context["half"]; }(), std::runtime_error);
  context["whole"] = 3.0;
  const int whole = context["whole"];
  CHECK(whole == 3);
  context["max"] = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t max = context["max"];
  CHECK(max == std::numeric_limits<std::uint64_t>::max());
  CHECK_THROWS([&] { [[maybe_unused]] const std::int64_t x = context["max"]; }());
  CHECK((context["max"] > std::numeric_limits<std::int64_t>::max()));
  CHECK((context["max"] != max - 1));
  for (const double limit : {9223372036854775808.0, 1e30, std::numeric_limits<double>::quiet_NaN()}) {
    context["limit"] = limit;
    CHECK_THROWS([&] { [[maybe_unused]] const std::int64_t x = context["limit"]; }());
  }
  // get() as well; the value becomes what it was asked for as.
  CHECK(context.get<long>("t") == 0);
  ++context.get<int>("t");
  CHECK(context.get<double>("t") == 1);
  CHECK(context.get<int>("half", 5) == 5);
  CHECK(context.get<int>("whole", 5) == 3);
  CHECK_THROWS(context.get<int>("half"));
  CHECK_THROWS(context.get<int>("gone"));
  const Context copy = context;
  CHECK(copy.get<long>("whole") == 3);
}

TEST_CASE("context: ++, += and the like count missing ones as 0 or \"\"") {
  Context context;
  ++context["n"];
  context["n"]++;
  CHECK(context.get<int>("n") == 2);
  CHECK(context["n"]++ == 2);
  CHECK(context["n"]-- == 3);
  --context["n"];
  CHECK((context["n"] == 1));
  context["n"] += 4;
  context["n"] -= 1;
  context["n"] *= 3;
  CHECK((context["n"] == 12));
  context["n"] /= 8;
  CHECK((context["n"] == 1.5));
  context["bytes"] += std::size_t{5};
  context["bytes"] += context["bytes"];
  CHECK((context["bytes"] == 10));
  context["text"] += "ab";
  context["text"] += TextView("c");
  context["text"] += 'd';
  context["text"] += context["text"];
  CHECK((context["text"] == "abcdabcd"));
  context["most"] = std::numeric_limits<int>::max();
  ++context["most"];
  CHECK((context["most"] == 2147483648));
  context["most"] = std::numeric_limits<std::int64_t>::max();
  ++context["most"];
  CHECK((context["most"] == 9223372036854775808.0));
  context["short"] = short{1};
  ++context["short"];
  CHECK(context.get<short>("short") == 2);
  context["digits"] = " 5 ";
  context["sum"] = context["digits"] + 1;
  CHECK((context["sum"] == 6));
  CHECK_THROWS_AS(++context["text"], std::runtime_error);
  CHECK_THROWS_AS(context["n"] /= 0, std::runtime_error);
}

TEST_CASE("context: text joins with it, numbers add to it") {
  Context context;
  context["uid"] = 7;
  context["name"] = "tom";
  context["t"] = 1764340000.25;
  context["yes"] = true;
  struct Row {
    std::string got;
    std::string expected;
  };
  const Row rows[] = {
      {"uid: " + context["uid"], "uid: 7"},
      {context["name"] + " says", "tom says"},
      {"user " + context["uid"] + " " + context["name"] + "\n", "user 7 tom\n"},
      {context["name"] + TextView(" hi"), "tom hi"},
      {TextView("hi ") + context["name"], "hi tom"},
      {"a"s + context["gone"] + "b", "ab"},
      {'<' + context["name"] + '>', "<tom>"},
      {"at " + context["t"], "at 1764340000.25"},
      {"yes " + context["yes"], "yes 1"},
      {"idle " + (1764340002 - context["t"]), "idle 1.75"},
      {printed(context["t"]), "1764340000.25"},
  };
  for (const auto& row : rows) CHECK(row.got == row.expected);

  const std::time_t now = 1764340055;
  context["last"] = now - 5;
  CHECK((now - context["last"] == 5));
  CHECK((now - context["last"] > 4));
  const long idle = now - context["last"];
  CHECK(idle == 5);
  const double seconds = 1764340001.5 - context["t"];
  CHECK(seconds == 1.25);
  static_assert(std::is_same_v<decltype(1.5 - context["t"]), double>);
  CHECK((context["uid"] + context["uid"] == 14));
  CHECK((context["uid"] * 2 + 1 == 15));
  CHECK((context["uid"] / 2 == 3.5));
  CHECK((context["uid"] % 2 == 1));
  CHECK((context["gone"] + 1 == 1));
  CHECK_THROWS_AS(context["name"] + 1, std::runtime_error);
}

TEST_CASE("context: compares with numbers and text of every type; another kind is false") {
  Context context;
  context["uid"] = 7;
  context["name"] = "tom";
  context["flag"] = 1;
  context["point"] = Point{1};
  context["same"] = 7.0;
  CHECK((context["uid"] == 7 && context["uid"] == 7L && context["uid"] == 7u && 7.0 == context["uid"]));
  CHECK((context["uid"] > 5 && context["uid"] < 7.5 && 8 > context["uid"] && context["uid"] >= 7));
  CHECK((context["uid"] != 8 && context["uid"] == context["same"] && context["name"] != context["uid"]));
  CHECK((context["name"] == "tom" && context["name"] == "tom"s && context["name"] == TextView("tom")));
  CHECK((context["name"] < "zoe" && "ann" < context["name"]));
  CHECK((context["flag"] == true && context["gone"] == false && context["point"] == Point{1}));
  CHECK_FALSE((context["uid"] == "7" || context["name"] == 7 || context["name"] == true));
  CHECK_FALSE((context["gone"] == 0 || context["gone"] == "" || context["gone"] == Point{}));
  CHECK_FALSE((context["gone"] < 1 || context["gone"] > -1 || context["name"] > 5 || context["name"] <= 5));
  CHECK_FALSE((context["point"] == 1 || context["point"] < 1 || context["uid"] == Point{7}));
}

TEST_CASE("context: is a key of maps, and an argument") {
  Context context;
  context["uid"] = 7;
  context["name"] = "tom";
  std::map<int, std::string> users{{7, "tom"}, {8, "ann"}};
  std::unordered_map<std::string, int> ids{{"tom", 7}, {"ann", 8}};
  std::map<std::string, int, std::less<>> open{{"tom", 7}};
  std::set<int> set{7};
  CHECK(users[context["uid"]] == "tom");
  CHECK(ids[context["name"]] == 7);
  CHECK(users.count(context["uid"]) == 1);
  CHECK(ids.find(context["name"]) != ids.end());
  CHECK(users.erase(context["uid"]) == 1);
  CHECK(ids.erase(context["name"]) == 1);
  CHECK(open.erase(context["name"]) == 1);
  CHECK(set.erase(context["uid"]) == 1);
  CHECK((users.size() == 1 && ids.size() == 1 && open.empty() && set.empty()));
}

TEST_CASE("context: text of any kind is stored as text; an empty optional erases; views do not compile") {
  Context context;
  std::string buffer = "127.0.0.1";
  context["view"] = std::optional<std::string_view>(buffer);
  context["text"] = std::optional<TextView>(buffer);
  context["string"] = std::optional<std::string>(buffer);
  context["data"] = TextView(buffer);
  context["compact"] = CompactText(buffer);
  context["pointer"] = std::optional<const char*>(buffer.c_str());
  context["number"] = std::optional<int>(5);
  buffer.assign(buffer.size(), '#');
  for (const auto name : {"view", "text", "string", "data", "compact", "pointer"}) {
    CAPTURE(name);
    CHECK(context.get<std::string>(name) == "127.0.0.1");
    context[name] = std::optional<std::string_view>();
    CHECK_FALSE(context.has(name));
  }
  CHECK((context["number"] == 5));
  context["number"] = std::nullopt;
  CHECK_FALSE(context.has("number"));
  context["text"] = static_cast<const char*>(nullptr);
  CHECK_FALSE(context.has("text"));

  static_assert(Storable<int> && Storable<std::string_view> && Storable<std::vector<std::string>> &&
                Storable<std::map<std::string, int>> && Storable<std::shared_ptr<int>> && Storable<Point*>);
}

TEST_CASE("context: a number prints as in PHP") {
  Context context;
  struct Row {
    double value;
    std::string expected;
  };
  const Row rows[] = {{0.1 + 0.2, "0.3"},
                      {1.0, "1"},
                      {-0.5, "-0.5"},
                      {1e25, "1.0E+25"},
                      {1.5e-7, "1.5E-7"},
                      {123456789012345.0, "1.2345678901234E+14"},
                      {1.0 / 3, "0.33333333333333"},
                      {std::numeric_limits<double>::infinity(), "INF"}};
  for (const auto& [value, expected] : rows) {
    context["x"] = value;
    CHECK("" + context["x"] == expected);
  }
  context["x"] = std::numeric_limits<std::uint64_t>::max();
  CHECK(printed(context["x"]) == "18446744073709551615");
  context["x"] = false;
  CHECK(printed(context["x"]).empty());
}
