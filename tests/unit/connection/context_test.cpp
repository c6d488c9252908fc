#include "connection/context.h"

#include <doctest/doctest.h>

#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connection/compact_text.h"

using Workerman::Connection::CompactText;
using Workerman::Connection::Context;

static_assert(sizeof(Context) == sizeof(void*));

namespace {

struct Session {
  int visits = 1;
  std::unique_ptr<int> notCopyable = std::make_unique<int>(5);
};
struct Point {
  int x = 0;
  bool operator==(const Point&) const = default;
};

/// What an exception says, or "" when none is thrown.
template <typename Function>
std::string thrownBy(Function function) {
  try {
    function();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

std::string printed(const auto& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

TEST_CASE("context: stores any copyable type under a name (api.md)") {
  Context context;
  CHECK(context.empty());
  context["uid"] = 7;
  context["ratio"] = 0.5;
  context["point"] = Point{3};
  context["list"] = std::vector<int>{1, 2};
  CHECK(context.get<int>("uid") == 7);
  CHECK(context.get<double>("ratio") == 0.5);
  CHECK(context.get<Point>("point").x == 3);
  CHECK(context.get<std::vector<int>>("list").size() == 2);
  CHECK(context.size() == 4);
  context["uid"] = 8;
  CHECK(context.get<int>("uid") == 8);
  context["uid"] = "eight";
  CHECK(context.get<std::string>("uid") == "eight");
  ++context.get<double>("ratio");
  CHECK(context.get<double>("ratio") == 1.5);
}

TEST_CASE("context: every kind of text is stored as std::string") {
  Context context;
  char array[] = "array";
  char* pointer = array;
  const std::string string = "string";
  context["literal"] = "literal";
  context["view"] = std::string_view("view");
  context["string"] = string;
  context["array"] = array;
  context["pointer"] = pointer;
  context["compact"] = CompactText("compact");
  for (const std::string name : {"literal", "view", "string", "compact"}) {
    CHECK(context.get<std::string>(name) == name);
    CHECK(context.get<std::string_view>(name) == name);
  }
  array[0] = 'A';
  CHECK(context.get<std::string>("array") == "array");
  CHECK(context.get<std::string>("pointer") == "array");
}

TEST_CASE("context: missing or of another type throws and names key and types") {
  Context context;
  context["uid"] = 7;
  context["name"] = "tom";
  CHECK(thrownBy([&] { context.get<int>("gone"); }) == "context[\"gone\"] is not set; asked for as int");
  CHECK(
      thrownBy([&] { context.get<Point>("uid"); }).starts_with("context[\"uid\"] is of type int; asked for"));
  CHECK(thrownBy([&] { context.get<int>("name"); }) ==
        "context[\"name\"] is of type std::string; asked for as int");
  CHECK(thrownBy([&] { context.get<std::string>("uid"); }) ==
        "context[\"uid\"] is of type int; asked for as std::string");
  CHECK(thrownBy([&] { [[maybe_unused]] const int gone = context["gone"]; }) ==
        "context[\"gone\"] is not set; asked for as int");
  CHECK(thrownBy([&] { [[maybe_unused]] const int name = context["name"]; }) ==
        "context[\"name\"] is of type std::string; asked for as int");
  CHECK_FALSE(context.has("gone"));
}

TEST_CASE("context: with a default nothing throws") {
  Context context;
  CHECK(context.get<int>("uid", 3) == 3);
  CHECK(context.get<std::string>("name", "tom") == "tom");
  CHECK(context.get<std::string_view>("name", "tom") == "tom");
  context["uid"] = 7;
  context["name"] = "ann";
  CHECK(context.get<int>("uid", 0) == 7);
  CHECK(context.get<Point>("uid", Point{5}).x == 5);
  CHECK(context.get("uid", 0) == 7);
  CHECK(context.get("name", "tom") == "ann");
  CHECK(context.get("gone", "tom") == "tom");
  CHECK(context.get<std::string>("name", "tom") == "ann");
  CHECK(context.get<std::string_view>("name", "tom") == "ann");
  CHECK(context.get<int>("name", -1) == -1);
  CHECK(context.size() == 2);
}

TEST_CASE("context: has, erase, clear, and nullptr as PHP's null") {
  Context context;
  CHECK_FALSE(context.has("uid"));
  CHECK_FALSE(context.erase("uid"));
  context["uid"] = 7;
  CHECK(context.has("uid"));
  CHECK(context["uid"].has());
  CHECK(context.erase("uid"));
  CHECK_FALSE(context.erase("uid"));
  CHECK_FALSE(context.has("uid"));
  context["uid"] = 7;
  context["uid"] = nullptr;
  CHECK_FALSE(context.has("uid"));
  CHECK(context["uid"] == nullptr);
  context["uid"] = 7;
  CHECK(context["uid"] != nullptr);
  context.clear();
  CHECK(context.empty());
  CHECK_FALSE(context.has("uid"));
}

TEST_CASE("context: converts to what the place asks for, without .template in a generic lambda") {
  Context real;
  const auto use = [](auto& context) {
    context["uid"] = 7;
    context["name"] = "tom";
    context["flag"] = true;
    context["shared"] = std::make_shared<Point>(Point{4});
    int uid = context["uid"];
    uid = context["uid"];
    std::string name = context["name"];
    const std::string direct(context["name"]);
    name = context["name"];
    std::string_view view = context["name"];
    view = context["name"];
    std::shared_ptr<Point> shared = context["shared"];
    shared = context["shared"];
    bool taken = false;
    if (context["flag"]) {
      taken = true;
    }
    CHECK(uid == 7);
    CHECK(name == "tom");
    CHECK(direct == "tom");
    CHECK(view == "tom");
    CHECK(shared->x == 4);
    CHECK(taken);
  };
  use(real);
}

TEST_CASE("context: compares and prints as the value does; missing equals nothing and prints nothing") {
  Context context;
  context["uid"] = 7;
  context["name"] = "tom";
  context["point"] = Point{1};
  CHECK((context["uid"] == 7));
  CHECK((7 == context["uid"]));
  CHECK((context["uid"] != 8));
  CHECK((context["name"] == "tom"));
  CHECK((context["name"] == std::string("tom")));
  CHECK((std::string_view("tom") == context["name"]));
  CHECK((context["point"] == Point{1}));
  CHECK_FALSE((context["gone"] == 7));
  CHECK_FALSE((context["gone"] == ""));
  CHECK(printed(context["uid"]) == "7");
  CHECK(printed(context["name"]) == "tom");
  CHECK(printed(context["gone"]) == "");
  CHECK(printed(context["point"]) == "(a value that cannot be printed)");
}

TEST_CASE("context: a handle kept in an auto still names its key; names are copied between") {
  Context context;
  auto handle = context[std::string("a name made ") + "for this expression only"];
  handle = 5;
  CHECK(context.get<int>("a name made for this expression only") == 5);
  context["from"] = "text";
  context["to"] = context["from"];
  CHECK(context.get<std::string>("to") == "text");
  context["to"] = context["gone"];
  CHECK_FALSE(context.has("to"));
  context["from"] = context.get<std::string>("from").substr(1);
  CHECK(context["from"].get<std::string>() == "ext");
  context["from"] = context.get<std::string_view>("from").substr(1);
  CHECK((context["from"] == "xt"));
}

TEST_CASE("context: a const one is read, a copy is its own") {
  Context context;
  context["uid"] = 7;
  const Context copy = context;
  context["uid"] = 8;
  const int uid = copy["uid"];
  CHECK(uid == 7);
  CHECK(copy.get<int>("uid") == 7);
  Context moved = std::move(context);
  CHECK(moved.get<int>("uid") == 8);
  moved = copy;
  CHECK(moved.get<int>("uid") == 7);
  Context& self = moved;
  moved = self;
  CHECK(moved.get<int>("uid") == 7);
  moved = Context();
  CHECK(moved.empty());
}

TEST_CASE("context: userData is one typed object, made when first asked for (api.md)") {
  Context context;
  context.userData<Session>().visits += 1;
  CHECK(context.userData<Session>().visits == 2);
  CHECK(*context.userData<Session>().notCopyable == 5);
  CHECK(context.empty());
  const std::string message = thrownBy([&] { context.userData<Point>(); });
  CHECK(message.find("Session") != std::string::npos);
  CHECK(message.find("Point") != std::string::npos);
  context["uid"] = 7;
  const Context copy = context;
  CHECK(copy.get<int>("uid") == 7);
  CHECK(Context(copy).userData<Point>().x == 0);
  context.clear();
  CHECK(context.userData<Point>().x == 0);
}
