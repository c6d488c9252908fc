#include "protocols/json_codec.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "core/text_view.h"

using nlohmann::json;
using Workerman::jsonDecode;
using Workerman::jsonEncode;

TEST_CASE("jsonDecode: what is no JSON is null, and nothing throws") {
  for (const char* bad :
       {"", " ", "{", "tom", "{'a':1}", "[1,]", "\"\xff\"", "1e999", "[1] x", "\"\\ud800\""}) {
    CAPTURE(bad);
    CHECK(jsonDecode(bad) == nullptr);
  }
  CHECK(jsonDecode(Workerman::TextView(R"({"a":[1,"x"]})"))["a"][1] == "x");
  CHECK(jsonDecode("null") == nullptr);
  CHECK(jsonDecode(" 5 ") == 5);
}

TEST_CASE("jsonDecode: 512 levels are the most, as in PHP; brackets in strings do not count") {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  CHECK(jsonDecode(nested(512)).is_array());
  CHECK(jsonDecode(nested(513)) == nullptr);
  CHECK(jsonDecode(std::string(1000000, '[')) == nullptr);
  const std::string text = R"(\")" + std::string(600, '[');
  CHECK(jsonDecode("\"" + text + "\"") == "\"" + std::string(600, '['));
}

TEST_CASE("jsonEncode: one line, and bytes that are no UTF-8 do not throw") {
  CHECK(jsonEncode({{"a", 1}, {"b", {"x", nullptr}}}) == R"({"a":1,"b":["x",null]})");
  CHECK(jsonEncode("\xff") == "\"\xef\xbf\xbd\"");
}
