#include "connection/compact_text.h"

#include <doctest/doctest.h>

#include <cstring>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

using Workerman::Connection::CompactText;

static_assert(sizeof(CompactText) == sizeof(void*));

TEST_CASE("compact text: unset reads as the empty text and equals nullptr") {
  CompactText text;
  CHECK_FALSE(text.isSet());
  CHECK(text == nullptr);
  CHECK(nullptr == text);
  CHECK(text == "");
  CHECK(text.empty());
  CHECK(text.size() == 0);
  CHECK(std::strcmp(text.c_str(), "") == 0);
  CHECK_FALSE(static_cast<bool>(text));
  text = "";
  CHECK(text.isSet());
  CHECK(text != nullptr);
  CHECK_FALSE(static_cast<bool>(text));
  text = "x";
  text = nullptr;
  CHECK(text == nullptr);
  text = "x";
  text = static_cast<const char*>(nullptr);
  CHECK(text == nullptr);
  text = "x";
  text = {};
  CHECK(text == nullptr);
}

TEST_CASE("compact text: takes every kind of text and gives it back") {
  const std::string string = "a longer text than any small-string buffer holds";
  const std::string_view view = string;
  const char* pointer = string.c_str();
  const CompactText made[] = {CompactText(string), CompactText(view), CompactText(pointer),
                              "a longer text than any small-string buffer holds"};
  for (const CompactText& text : made) {
    CHECK(text == string);
    CHECK(view == text);
    CHECK(text == pointer);
    CHECK(text == made[0]);
    CHECK(text != "other");
    CHECK(text.size() == string.size());
    CHECK(std::strlen(text.c_str()) == string.size());
  }
  CompactText text;
  text = string;
  CHECK(text == string);
  text = view.substr(2, 6);
  CHECK(text == "longer");
  text = pointer;
  CHECK(text == pointer);
  text = std::string("with\0NUL", 8);
  CHECK(text.size() == 8);
  CHECK(text == std::string_view("with\0NUL", 8));
}

TEST_CASE("compact text: common expressions are not ambiguous") {
  CompactText text = "protocol";
  std::string copied = text;
  std::string constructed(text);
  std::string_view viewed = text;
  copied = text;
  viewed = text;
  constructed += text;
  const auto length = [](std::string_view part) { return part.size(); };
  const auto lengthOfString = [](const std::string& part) { return part.size(); };
  CHECK(copied == "protocol");
  CHECK(viewed == "protocol");
  CHECK(constructed == "protocolprotocol");
  CHECK(length(text) == 8);
  CHECK(lengthOfString(text) == 8);
  std::ostringstream out;
  out << text;
  CHECK(out.str() == "protocol");
}

TEST_CASE("compact text: copies are deep, a part of itself may be assigned") {
  CompactText first = "first";
  CompactText second = first;
  first = "changed";
  CHECK(second == "first");
  second = first;
  CHECK(second == "changed");
  second = second.view().substr(1, 3);
  CHECK(second == "han");
  CompactText& self = second;
  second = self;
  CHECK(second == "han");
  CompactText moved = std::move(second);
  CHECK(moved == "han");
  first = std::move(moved);
  CHECK(first == "han");
}

TEST_CASE("compact text: a literal in static storage is copied by its pointer and replaced safely") {
  CompactText text = CompactText::literal<"tcp">();
  const CompactText copy = text;
  CHECK(text == "tcp");
  CHECK(text.size() == 3);
  CHECK(copy.c_str() == text.c_str());
  text = "ssl";
  CHECK(text == "ssl");
  CHECK(copy == "tcp");
  text = copy;
  CHECK(text == CompactText::literal<"tcp">());
}
