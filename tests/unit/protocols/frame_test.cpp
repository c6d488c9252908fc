#include "protocols/frame.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

using Workerman::Protocols::Frame;
using namespace std::string_literals;

TEST_CASE("frame: input is the big-endian length in front, 0 to 3 are a bad package (api.md)") {
  const struct {
    std::string buffer;
    std::ptrdiff_t length;
  } cases[] = {
      {"", 0},
      {"\0"s, 0},
      {"\0\0"s, 0},
      {"\0\0\0"s, 0},
      {"\0\0\0\0"s, -1},
      {"\0\0\0\1"s, -1},
      {"\0\0\0\2"s, -1},
      {"\0\0\0\3"s, -1},
      {"\0\0\0\4"s, 4},
      {"\0\0\0\5"s, 5},
      {"\0\0\0\5ab"s, 5},
      {"\0\0\1\0"s, 256},
      {"\x01\x02\x03\x04"s, 0x01020304},
      {"\x80\0\0\0"s, 0x80000000},
      {"\xff\xff\xff\xff"s, 0xffffffff},
  };
  for (const auto& c : cases) {
    CAPTURE(c.length);
    CHECK(Frame::input(c.buffer) == c.length);
  }
}

TEST_CASE("frame: encode puts the length in front, decode takes it away") {
  const struct {
    std::size_t size;
    std::string header;
  } cases[] = {
      {0, "\0\0\0\4"s}, {1, "\0\0\0\5"s}, {251, "\0\0\0\xff"s}, {252, "\0\0\1\0"s}, {65536, "\0\1\0\4"s},
  };
  for (const auto& c : cases) {
    CAPTURE(c.size);
    const std::string data(c.size, 'x');
    const std::string package = Frame::encode(data);
    CHECK(package == c.header + data);
    const auto header = Frame::encodeHeader(c.size);
    CHECK(std::string_view(header.data(), header.size()) == c.header);
    CHECK(Frame::input(package) == static_cast<std::ptrdiff_t>(package.size()));
    CHECK(Frame::decode(package) == data);
    CHECK(Frame::decode(package).data() == package.data() + 4);
  }
  CHECK(Frame::decode("abc").empty());
}

TEST_CASE("frame: the longest length is 2^32 - 1, more does not encode") {
  const auto header = Frame::encodeHeader(0xffffffff - 4);
  CHECK(std::string_view(header.data(), header.size()) == "\xff\xff\xff\xff");
  CHECK_THROWS_AS(Frame::encodeHeader(0xffffffff - 3), std::length_error);
  CHECK_THROWS_AS(Frame::encodeHeader(SIZE_MAX), std::length_error);
}

TEST_CASE("frame: cut at every offset the packages are the same") {
  const std::string stream = Frame::encode("one") + Frame::encode("") + Frame::encode("a longer third");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    std::string packages;
    std::string buffer;
    for (const std::string& piece : {stream.substr(0, cut), stream.substr(cut)}) {
      buffer += piece;
      std::ptrdiff_t length = Frame::input(buffer);
      while (length > 0 && buffer.size() >= static_cast<std::size_t>(length)) {
        packages += "[" + std::string(Frame::decode(std::string_view(buffer).substr(0, length))) + "]";
        buffer.erase(0, length);
        length = Frame::input(buffer);
      }
    }
    CAPTURE(cut);
    CHECK(packages == "[one][][a longer third]");
  }
}
