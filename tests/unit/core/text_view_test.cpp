// What PHP's samples do with `$data`, in the words of C++: it compiles, and gives what is expected.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <variant>
#include <vector>

#include "callback_fakes.h"
#include "connection/compact_text.h"
#include "connection/protocol_registry.h"
#include "core/callback.h"
#include "core/text_view.h"

using namespace Workerman;
using namespace std::string_literals;
using nlohmann::json;
using std::string;
using std::string_view;

namespace {

string byReference(const string& text) {
  return "string: " + text;
}
[[maybe_unused]] string overloaded(const string&) {
  return "string";
}
string overloaded(string_view) {
  return "view";
}
string_view firstWord(string_view text) {
  return text.substr(0, text.find(' '));
}

const TextView data = "7 up";

}  // namespace

TEST_CASE("text: joins with + to a std::string, on either side") {
  const string text = "text";
  const string_view view = "view";
  struct Row {
    string got;
    string expected;
  };
  const Row rows[] = {
      {"hello " + data, "hello 7 up"},
      {data + " please", "7 up please"},
      {"recv: " + data + "\n" + text, "recv: 7 up\ntext"},
      {data + data, "7 up7 up"},
      {text + data, "text7 up"},
      {data + text, "7 uptext"},
      {view + data, "view7 up"},
      {data + view, "7 upview"},
      {'<' + data + '>', "<7 up>"},
      {"moved: "s + data, "moved: 7 up"},
      {"" + data.substr(2) + "!", "up!"},
      {data + "a\0b"s, "7 upa\0b"s},
      {TextView() + TextView(), ""},
  };
  for (const auto& row : rows) CHECK(row.got == row.expected);
  static_assert(std::is_same_v<decltype("hello " + data), string>);
  string sum = "a";
  sum += data;
  sum = sum + data;
  CHECK(sum == "a7 up7 up");
}

TEST_CASE("text: a connection's own properties join, too") {
  Connection::CompactText transport = "tcp";
  CHECK("by " + transport + "!" == "by tcp!");
  CHECK("by " + transport + data == "by tcp7 up");
  Connection::ProtocolName protocol;
  protocol = "text";
  CHECK(protocol + "://" == "text://");
  protocol = "\\Workerman\\Protocols\\Frame";
  CHECK(protocol == "frame");
  static_assert(sizeof(transport) == sizeof(void*) && sizeof(protocol) == sizeof(void*));
}

TEST_CASE("text: becomes a std::string where one is wanted") {
  const string copy = data;
  const string direct(data);
  const string braces{data};
  string assigned;
  assigned = data;
  for (const auto& made : {copy, direct, braces, assigned}) CHECK(made == "7 up");
  CHECK(byReference(data) == "string: 7 up");
  CHECK(overloaded(data) == "view");
  CHECK(std::stoi(data) == 7);
  CHECK(std::stod(data) == 7);
  CHECK([] { return std::runtime_error(data); }().what() == "7 up"s);

  std::map<string, string> map{{"key", data}};
  map[data] = data;
  CHECK(map.count(data) == 1);
  CHECK(map.find(data)->second == "7 up");
  CHECK(map.at(data) == "7 up");
  CHECK(map.erase(data) == 1);
  std::unordered_map<string, int> hashed;
  ++hashed[data];
  hashed.insert({data, 1});
  CHECK(hashed.at(data) == 1);
  std::set<string> set;
  set.insert(data);
  CHECK(set.contains(data));
  const std::vector<string> list = {data, data.substr(2)};
  CHECK(std::ranges::find(list, string(data)) == list.begin());

  std::optional<string> maybe = data;
  maybe = data;
  std::variant<int, string> either = data;
  CHECK(*maybe == std::get<string>(either));
  std::stringstream stream(data);
  stream << data << data.substr(1);
  CHECK(stream.str() == "7 up up");
  const std::filesystem::path path = data;
  CHECK((path / data).string() == "7 up/7 up");
  CHECK(!std::filesystem::exists(data));
  CHECK(!std::ifstream(data).is_open());
}

TEST_CASE("text: is a std::string_view in everything else") {
  static_assert(sizeof(TextView) == sizeof(string_view) && std::is_trivially_copyable_v<TextView>);
  string_view view = data;
  const string text = "7 up";
  CHECK((data == "7 up" && "7 up" == data && data == text && text == data && data == view && view == data));
  CHECK((data == data && data != "x" && data < "8" && text <= data));
  CHECK(data.starts_with("7"));
  CHECK((true ? data : "no") == "7 up");
  CHECK((true ? data : text) == "7 up");
  CHECK((false ? data : data.substr(2)) == "up");
  TextView changed = data;
  changed = firstWord(changed);
  CHECK(changed == "7");
  changed.remove_prefix(1);
  CHECK(changed.empty());
  CHECK(std::hash<TextView>()(data) == std::hash<string_view>()(data));
  CHECK(std::ranges::count(data, 'p') == 1);
  static_assert(std::ranges::view<TextView> && std::ranges::borrowed_range<TextView>);
}

TEST_CASE("text: json takes it as text") {
  json object = {{"type", "say"}, {"text", data}};
  object["more"] = data;
  object[data] = 1;
  CHECK(object.dump() == R"({"7 up":1,"more":"7 up","text":"7 up","type":"say"})");
  CHECK((object["more"] == data && object.contains(data) && object.value(data, 0) == 1));
  CHECK(json{data, data}.dump() == R"(["7 up","7 up"])");
  CHECK(json(data).is_string());
  CHECK(json::parse(TextView("[1]")).at(0) == 1);
}

TEST_CASE("text: substr gives what there is, as PHP's, and stays of its kind") {
  struct Row {
    std::size_t start, length;
    string_view expected;
  };
  const Row rows[] = {{0, 1, "7"}, {2, 9, "up"}, {4, 1, ""}, {5, 1, ""}, {string::npos, 1, ""}, {0, 0, ""}};
  for (const auto& [start, length, expected] : rows) CHECK(data.substr(start, length) == expected);
  CHECK(TextView().substr(0).empty());
  static_assert(std::is_same_v<decltype(data.substr()), TextView>);
  CHECK(data.substr(9).data() != nullptr);
}

TEST_CASE("text: auto in every callback that is given text") {
  const auto connection = std::make_shared<fakes::Async>();
  string seen;
  string_view message = "hi";
  fakes::OnMessage onMessage = [&](auto con, auto text) { seen = "hello " + text; };
  onMessage(connection, Message::of(message));
  CHECK(seen == "hello hi");
  onMessage = [&](auto con, auto& text) { seen = text + "&"; };
  onMessage(connection, Message::of(message));
  CHECK(seen == "hi&");
  onMessage = [&](auto con, TextView text) mutable { seen = text + "!"; };
  CHECK(onMessage.wants() == textTag());
  onMessage(connection, Message::of(message));
  CHECK(seen == "hi!");
  fakes::OnError onError = [&](auto con, auto code, auto why) { seen = "error: " + why; };
  onError(connection, 1, "refused");
  CHECK(seen == "error: refused");
  fakes::OnPing onPing = [&](auto con, const auto& payload) { seen = payload + '.'; };
  onPing(connection, "ping");
  CHECK(seen == "ping.");
}
