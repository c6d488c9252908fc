// Which signatures onMessage accepts, and what the callable is then given.

#include <doctest/doctest.h>

#include <any>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "callback_fakes.h"
#include "core/callback.h"

using namespace Workerman;
using namespace fakes;
using nlohmann::json;
using std::string;
using std::string_view;

namespace {

/// What a custom protocol's decode() may return: can be made from text, and cannot be copied.
struct Package {
  explicit Package(int start) : number(start) {}
  Package(const Package&) = delete;
  Package& operator=(const Package&) = delete;
  int number;
};
struct FromText {
  FromText(string_view from) : text(from) {}
  string text;
};
struct Overloaded {
  string* seen;
  void operator()(const TcpPtr& con, string_view data) const { *seen = string(data); }
  void operator()(int, int, int) const { *seen = "wrong one"; }
};
struct OnlyFunctor {
  string* seen;
  template <class C, class D>
  void operator()(C con, D data) {
    *seen = string(data) + std::to_string(con->tcp);
  }
};
struct Game {
  string seen;
  void onText(TcpPtr con, string_view data) { seen = data; }
  void onJson(TcpPtr con, const json& data) { seen = data.dump(); }
  void onRequest(const TcpPtr& con, Request& request) const {}
};

template <class Data>
struct Row {
  const char* name;
  OnMessage callback;
  const TypeTag* wants;
  string expected;
};

string seen;

/// Calls each row's callback with `value` and compares what it saw.
template <class T, std::size_t N>
void check(Row<T> (&rows)[N], T& value) {
  TcpPtr connection = std::make_shared<Async>();
  for (auto& row : rows) {
    CAPTURE(row.name);
    CHECK(row.callback.wants() == row.wants);
    seen.clear();
    row.callback(connection, Message::of(value));
    CHECK(seen == row.expected);
  }
}

#define ROW(wants, expected, ...) \
  { #__VA_ARGS__, __VA_ARGS__, wants, expected }

}  // namespace

TEST_CASE("onMessage: text by every declared type, and with fewer parameters") {
  const TypeTag* text = textTag();
  string_view value = "text";
  Row<string_view> rows[] = {
      ROW(nullptr, "none", [] { seen = "none"; }),
      ROW(nullptr, "2", [](auto con) { seen = std::to_string(con->tcp); }),
      ROW(nullptr, "2", [](auto& con) { seen = std::to_string(con->tcp); }),
      ROW(nullptr, "2", [](auto&& con) { seen = std::to_string(con->tcp); }),
      ROW(nullptr, "2", [](TcpPtr con) { seen = std::to_string(con->tcp); }),
      ROW(nullptr, "2", [](const TcpPtr& con) { seen = std::to_string(con->tcp); }),
      ROW(nullptr, "1", [](BasePtr con) { seen = std::to_string(con->base); }),
      ROW(nullptr, "1", [](const BasePtr& con) { seen = std::to_string(con->base); }),
      ROW(text, "text2",
          [](auto con, auto data) { seen = string(data.substr(0)) + std::to_string(con->tcp); }),
      ROW(text, "text2", [](auto con, auto data) mutable { seen = string(data) + std::to_string(con->tcp); }),
      ROW(text, "text", [](auto& con, auto& data) { seen = string(data) + (con->tcp ? "" : "!"); }),
      ROW(text, "text", [](auto&& con, auto&& data) { seen = string(data) + (con->tcp ? "" : "!"); }),
      ROW(text, "text",
          [](const auto& con, const auto& data) { seen = string(data) + (con->tcp ? "" : "!"); }),
      ROW(text, "text", [](auto con, string_view data) { seen = string(data) + (con->tcp ? "" : "!"); }),
      ROW(text, "text",
          [](auto con, const string_view& data) { seen = string(data) + (con->tcp ? "" : "!"); }),
      ROW(text, "text!", [](auto con, string data) { seen = std::move(data += con->tcp ? "!" : ""); }),
      ROW(text, "text", [](auto con, const string& data) { seen = data + (con->tcp ? "" : "!"); }),
      ROW(text, "text", [](auto con, string data) mutable { seen = data + (con->tcp ? "" : "!"); }),
      ROW(text, "text", [](TcpPtr con, auto data) { seen = string(data); }),
      ROW(text, "text", [](TcpPtr con, auto data) mutable { seen = string(data); }),
      ROW(text, "text", [](const TcpPtr& con, const auto& data) { seen = string(data); }),
      ROW(text, "text1", [](BasePtr con, auto data) { seen = string(data) + std::to_string(con->base); }),
      ROW(text, "text", [](TcpPtr con, string_view data) { seen = string(data); }),
      ROW(text, "text", [](const TcpPtr& con, const string& data) noexcept { seen = data; }),
      ROW(text, "text", [](BasePtr con, string data) mutable { seen = data; }),
      ROW(text, "", [](TcpPtr con, string data) { return data; }),
      ROW(text, "2", [](auto... all) { seen = std::to_string(sizeof...(all)); }),
      ROW(text, "2", [](auto&&... all) { seen = std::to_string(sizeof...(all)); }),
      ROW(text, "text",
          [](auto con, auto... rest) { seen = (string(con->tcp ? "" : "!") + ... + string(rest)); }),
      ROW(text, "text",
          []<class T>(const std::shared_ptr<T>& con, auto data) {
            seen = string(data) + (con->tcp ? "" : "!");
          }),
      ROW(text, "text",
          []<class T>(std::shared_ptr<T> con, string data) { seen = data + (con->tcp ? "" : "!"); }),
      ROW(text, "text",
          [](auto con, auto data) -> decltype(data.size()) {
            seen = data;
            return con->tcp;
          }),
      ROW(text, "text",
          [](auto con, std::convertible_to<string_view> auto data) {
            seen = data;
            return con->tcp;
          }),
      ROW(text, "text", Overloaded{&seen}),
      ROW(text, "text2", OnlyFunctor{&seen}),
      ROW(text, "text", std::function<void(TcpPtr, string)>([](auto con, string data) { seen = data; })),
      ROW(text, "text",
          std::function<void(const TcpPtr&, string_view)>([](auto con, auto data) { seen = data; })),
      ROW(text, "text7",
          std::bind_front([](int n, TcpPtr, string_view d) { seen = string(d) + std::to_string(n); }, 7)),
      ROW(text, "text72",
          std::bind_front(
              [](int n, auto con, auto data) {
                seen = string(data) + std::to_string(n) + std::to_string(con->tcp);
              },
              7)),
      ROW(text, "text",
          std::bind([](auto con, auto data) { seen = string(data) + (con->tcp ? "" : "!"); },
                    std::placeholders::_1, std::placeholders::_2)),
      ROW(nullptr, "7", std::bind_front([](int n) { seen = std::to_string(n); }, 7)),
      ROW(nullptr, "whole",
          [](auto con, Message data) { seen = data.type == textTag() && con->tcp ? "whole" : "?"; }),
  };
  check(rows, value);
}

TEST_CASE("onMessage: a declared type decides, not what it could be converted from") {
  struct Case {
    const char* name;
    OnMessage callback;
    const TypeTag* wants;
  };
  const TypeTag* jsonTag = typeTag<json>();
  Case cases[] = {
      {"(auto, json)", [](auto con, json data) { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"(auto, json&)", [](auto con, json& data) { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"(auto, const json&)",
       [](auto con, const json& data) { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"(const auto&, json)",
       [](const auto& con, json data) { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"(Tcp, json)", [](TcpPtr con, json data) { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"(Tcp, json) mutable",
       [](TcpPtr con, json data) mutable { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"(auto, json&) mutable",
       [](auto con, json& data) mutable { seen = data.dump() + std::to_string(con->tcp); }, jsonTag},
      {"function<(Tcp, json)>", std::function<void(TcpPtr, json)>([](auto con, json data) {
         seen = data.dump() + std::to_string(con->tcp);
       }),
       jsonTag},
  };
  json value = {1, "a"};
  TcpPtr connection = std::make_shared<Tcp>();
  for (auto& row : cases) {
    CAPTURE(row.name);
    CHECK(row.callback.wants() == row.wants);
    row.callback(connection, Message::of(value));
    CHECK(seen == "[1,\"a\"]2");
  }
}

TEST_CASE("onMessage: the connection may be declared auto& and auto&&, whatever the data is declared as") {
  string_view text = "hello";
  Row<string_view> texts[] = {
      ROW(textTag(), "hello2",
          [](auto& con, const auto& data) { seen = string(data) + std::to_string(con->tcp); }),
      ROW(textTag(), "hello2",
          [](auto&& con, auto&& data) { seen = string(data) + std::to_string(con->tcp); }),
      ROW(textTag(), "hello2", [](const auto& con, string data) { seen = data + std::to_string(con->tcp); }),
  };
  check(texts, text);
  json value = {1, 2};
  Row<json> values[] = {
      ROW(typeTag<json>(), "[1,2]2",
          [](auto& con, json& data) { seen = data.dump() + std::to_string(con->tcp); }),
      ROW(typeTag<json>(), "[1,2]2",
          [](const auto& con, const json& data) { seen = data.dump() + std::to_string(con->tcp); }),
  };
  check(values, value);
}

TEST_CASE("onMessage: types that text converts to are themselves") {
  CHECK(OnMessage([](auto con, FromText data) { seen = data.text; }).wants() == typeTag<FromText>());
  CHECK(OnMessage([](auto con, std::any data) { data.reset(); }).wants() == typeTag<std::any>());
  CHECK(OnMessage([](auto con, const std::any& data) { (void)data.type(); }).wants() == typeTag<std::any>());
  CHECK(OnMessage([](auto con, std::optional<string_view> data) { seen = *data; }).wants() ==
        typeTag<std::optional<string_view>>());
  CHECK(OnMessage([](auto con, std::variant<string_view, int> data) { data = 1; }).wants() ==
        typeTag<std::variant<string_view, int>>());
  CHECK(OnMessage([](auto con, std::vector<int> data) { data.clear(); }).wants() ==
        typeTag<std::vector<int>>());
  CHECK(OnMessage([](auto con, int data) { seen = std::to_string(data); }).wants() == typeTag<int>());
  CHECK(OnMessage([](auto con, Request request) {}).wants() == typeTag<Request>());
  CHECK(OnMessage([](auto con, Protocols::Http::Request& request) {}).wants() ==
        typeTag<Protocols::Http::Request>());
  CHECK(OnMessage(std::bind_front(&Game::onJson, static_cast<Game*>(nullptr))).wants() == typeTag<json>());
  CHECK(OnMessage(std::bind_front(&Game::onText, static_cast<Game*>(nullptr))).wants() == textTag());
  CHECK(OnMessage(std::bind_front(&Game::onRequest, static_cast<Game*>(nullptr))).wants() ==
        typeTag<Request>());
}

TEST_CASE("onMessage: a decoded value is passed by reference and may be changed") {
  TcpPtr connection = std::make_shared<Tcp>();
  Package package(1);
  OnMessage callback = [](auto con, Package& p) { p.number += con->tcp; };
  callback(connection, Message::of(package));
  CHECK(package.number == 3);
  callback = [](TcpPtr con, Package& p) { p.number += con->tcp; };
  callback(connection, Message::of(package));
  CHECK(package.number == 5);
  int copied = 0;
  callback = [&](auto con, const Package& p) { copied = p.number; };
  callback(connection, Message::of(package));
  CHECK(copied == 5);
}

TEST_CASE("onMessage: another type than the declared one is one clear error, and the body does not run") {
  bool ran = false;
  TcpPtr connection = std::make_shared<Tcp>();
  string_view text = "text";
  Protocols::Http::Request* request = nullptr;
  json value;
  struct Case {
    OnMessage callback;
    Message message;
    const char* what;
  };
  Case cases[] = {
      {[&](auto con, json data) { ran = con->tcp != 0; }, Message::of(text),
       "the callback declares its data as nlohmann::json, but the protocol of this connection gives "
       "std::string_view: declare std::string_view (or auto)"},
      {[&](auto con, auto data) { ran = con->tcp != 0; },
       Message{typeTag<Protocols::Http::Request>(), request},
       "the callback declares its data as std::string_view, but the protocol of this connection gives "
       "Http::Request: declare Http::Request& (or const Http::Request&)"},
      {[&](auto con, string data) { ran = con->tcp != 0; }, Message::of(value),
       "the callback declares its data as std::string_view, but the protocol of this connection gives "
       "nlohmann::json: declare nlohmann::json& (or const nlohmann::json&)"},
      // A mutable generic lambda cannot be asked what it declares, so it is taken for text.
      {[&](auto con, json data) mutable { ran = con->tcp != 0; }, Message::of(value),
       "the callback declares its data as std::string_view, but the protocol of this connection gives "
       "nlohmann::json: declare nlohmann::json& (or const nlohmann::json&)"},
  };
  for (auto& row : cases) {
    CHECK_THROWS_WITH_AS(row.callback(connection, row.message), row.what, std::runtime_error);
    CHECK(row.callback);
  }
  CHECK_FALSE(ran);
}
