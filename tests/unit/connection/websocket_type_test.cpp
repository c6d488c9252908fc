#include "connection/websocket_type.h"

#include <doctest/doctest.h>

#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>

using Workerman::Connection::WebsocketType;

static_assert(sizeof(WebsocketType) == 1);
static_assert(WebsocketType() == WebsocketType::BINARY_TYPE_BLOB);
static_assert(WebsocketType("\x82") == WebsocketType::BINARY_TYPE_ARRAYBUFFER);
static_assert(!std::is_constructible_v<WebsocketType, int> && !std::is_convertible_v<int, WebsocketType>);
static_assert(!std::is_convertible_v<const char (&)[3], WebsocketType>, "one character, no more");

TEST_CASE("websocket type: PHP's constants and their one-character literals") {
  const struct {
    WebsocketType type;
    unsigned char byte;
    bool isBinary, isDeflate;
    std::string name;
  } cases[] = {
      {WebsocketType::BINARY_TYPE_BLOB, 0x81, false, false, "BINARY_TYPE_BLOB"},
      {WebsocketType::BINARY_TYPE_ARRAYBUFFER, 0x82, true, false, "BINARY_TYPE_ARRAYBUFFER"},
      {WebsocketType::BINARY_TYPE_BLOB_DEFLATE, 0xc1, false, true, "BINARY_TYPE_BLOB_DEFLATE"},
      {WebsocketType::BINARY_TYPE_ARRAYBUFFER_DEFLATE, 0xc2, true, true, "BINARY_TYPE_ARRAYBUFFER_DEFLATE"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.name);
    CHECK(c.type.byte() == c.byte);
    CHECK(c.type.isBinary() == c.isBinary);
    CHECK(c.type.isDeflate() == c.isDeflate);
    CHECK(c.type == WebsocketType::fromByte(c.byte));
    std::ostringstream out;
    out << c.type;
    CHECK(out.str() == c.name);
  }
  WebsocketType type;
  type = "\x82";
  CHECK(type == WebsocketType::BINARY_TYPE_ARRAYBUFFER);
  CHECK(type == "\x82");
  CHECK(type != "\x81");
  type = WebsocketType::BINARY_TYPE_BLOB;
  CHECK(type != WebsocketType::BINARY_TYPE_ARRAYBUFFER);
}

TEST_CASE("websocket type: any other byte is refused") {
  int accepted = 0;
  for (int byte = 0; byte < 256; ++byte) {
    try {
      static_cast<void>(WebsocketType::fromByte(static_cast<unsigned char>(byte)));
      ++accepted;
    } catch (const std::invalid_argument&) {
    }
  }
  CHECK(accepted == 4);
  WebsocketType type = WebsocketType::BINARY_TYPE_ARRAYBUFFER;
  CHECK_THROWS_AS(type = "x", std::invalid_argument);
  CHECK(type == WebsocketType::BINARY_TYPE_ARRAYBUFFER);
}
