#include "connection/send_result.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <type_traits>

using Workerman::Connection::SendResult;

namespace {

template <typename T>
concept ComparesWith = requires(SendResult result, T other) {
  result == other;
};

static_assert(sizeof(SendResult) == 1);
static_assert(ComparesWith<bool> && ComparesWith<std::nullptr_t>);
// With numbers it compares in overload resolution only, to refuse them with a sentence: compile_fail/api.txt.
static_assert(!ComparesWith<void*> && !ComparesWith<std::string>);
static_assert(!std::is_convertible_v<SendResult, bool> && std::is_constructible_v<bool, SendResult>);
static_assert(!std::is_convertible_v<SendResult, int>);
static_assert(SendResult::sent() == true && SendResult::buffered() == nullptr,
              "usable in constant expressions");

}  // namespace

TEST_CASE("send result: compares with exactly one of true, nullptr and false (api.md)") {
  const struct {
    SendResult result;
    bool isTrue, isNull, isFalse;
    std::string text;
  } cases[] = {
      {SendResult::sent(), true, false, false, "true"},
      {SendResult::buffered(), false, true, false, "null"},
      {SendResult::failed(), false, false, true, "false"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK((c.result == true) == c.isTrue);
    CHECK((true == c.result) == c.isTrue);
    CHECK((c.result != true) == !c.isTrue);
    CHECK((c.result == nullptr) == c.isNull);
    CHECK((nullptr == c.result) == c.isNull);
    CHECK((c.result == false) == c.isFalse);
    CHECK((false != c.result) == !c.isFalse);
    CHECK(static_cast<bool>(c.result) == c.isTrue);
    CHECK((c.result == SendResult::sent()) == c.isTrue);
    std::ostringstream out;
    out << c.result;
    CHECK(out.str() == c.text);
  }
}

TEST_CASE("send result: in a condition only what was sent is true, as in PHP") {
  int sent = 0;
  for (const SendResult result : {SendResult::sent(), SendResult::buffered(), SendResult::failed()}) {
    if (result) {
      ++sent;
    }
  }
  CHECK(sent == 1);
}
