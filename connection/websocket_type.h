#pragma once

#include <ostream>
#include <stdexcept>

namespace Workerman::Connection {

/// What kind of websocket message is sent, or was received: the first byte of its frame.
///
/// One byte. Takes PHP's one-character literals as well: `connection->websocketType = "\x82";`
/// @see Workerman manual: the constants of `Protocols\Ws` and `Protocols\Websocket`
class WebsocketType {
 public:
  /// Text.
  static const WebsocketType BINARY_TYPE_BLOB;
  /// Binary.
  static const WebsocketType BINARY_TYPE_ARRAYBUFFER;
  /// Text, compressed where RFC 7692 was negotiated.
  static const WebsocketType BINARY_TYPE_BLOB_DEFLATE;
  /// Binary, compressed where RFC 7692 was negotiated.
  static const WebsocketType BINARY_TYPE_ARRAYBUFFER_DEFLATE;

  /// Text, as PHP's default.
  constexpr WebsocketType() noexcept = default;

  /// @throws std::invalid_argument unless it is one of the four constants' character;
  ///         a literal of another length does not compile.
  constexpr WebsocketType(const char (&literal)[2])
      : WebsocketType(fromByte(static_cast<unsigned char>(literal[0]))) {}

  /// @throws std::invalid_argument unless it is 0x81, 0x82, 0xc1 or 0xc2.
  static constexpr WebsocketType fromByte(unsigned char byte) {
    if (byte != 0x81 && byte != 0x82 && byte != 0xc1 && byte != 0xc2) {
      throw std::invalid_argument(
          "Bad websocketType: use BINARY_TYPE_BLOB or BINARY_TYPE_ARRAYBUFFER, or their _DEFLATE kinds");
    }
    return WebsocketType(byte, Checked{});
  }

  /// The first byte of an unfragmented frame of this kind.
  constexpr unsigned char byte() const noexcept { return byte_; }
  constexpr bool isBinary() const noexcept { return (byte_ & 0x0f) == 0x02; }
  constexpr bool isDeflate() const noexcept { return (byte_ & 0x40) != 0; }

  friend constexpr bool operator==(WebsocketType, WebsocketType) noexcept = default;

  /// Prints the constant's name. Differs from Workerman: PHP would print the bare byte.
  friend std::ostream& operator<<(std::ostream& out, WebsocketType type) {
    return out << (type.isBinary() ? "BINARY_TYPE_ARRAYBUFFER" : "BINARY_TYPE_BLOB")
               << (type.isDeflate() ? "_DEFLATE" : "");
  }

 private:
  struct Checked {};
  constexpr WebsocketType(unsigned char byte, Checked) noexcept : byte_(byte) {}

  unsigned char byte_ = 0x81;
};

inline constexpr WebsocketType WebsocketType::BINARY_TYPE_BLOB{"\x81"};
inline constexpr WebsocketType WebsocketType::BINARY_TYPE_ARRAYBUFFER{"\x82"};
inline constexpr WebsocketType WebsocketType::BINARY_TYPE_BLOB_DEFLATE{"\xc1"};
inline constexpr WebsocketType WebsocketType::BINARY_TYPE_ARRAYBUFFER_DEFLATE{"\xc2"};

}  // namespace Workerman::Connection
