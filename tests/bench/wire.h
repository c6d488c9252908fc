#pragma once

/// The bytes of a websocket as the generator and the bare clients need them: prebuilt frames, the opening
/// handshake, and a counter of whole answers. No validation, on purpose: this is the yardstick.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "report.h"

namespace bench {

enum Opcode : uint8_t { kContinuation = 0, kText = 1, kClose = 8, kPing = 9, kPong = 10 };

/// Bytes of an unmasked frame header whose second byte is `lengthByte`: 2, 4 or 10.
constexpr size_t headerSize(uint8_t lengthByte) {
  const uint8_t length = lengthByte & 127;
  return length == 126 ? 4 : length == 127 ? 10 : 2;
}
/// Payload bytes announced by the whole header at `header`.
inline uint64_t payloadSize(const uint8_t* header) {
  const size_t size = headerSize(header[1]);
  if (size == 2) return header[1] & 127;
  uint64_t length = 0;
  for (size_t i = 2; i < size; ++i) length = length << 8 | header[i];
  return length;
}
/// Writes an unmasked header with the shortest length form. @return its bytes: 2, 4 or 10.
size_t putHeader(uint8_t* out, uint8_t first, uint64_t size);

/// A frame as a client sends it, masked with a fixed key; `first` is its first byte.
std::string maskedFrame(uint8_t first, std::string_view payload);
/// A final text frame.
std::string maskedTextFrame(std::string_view payload);
/// A client's request for an upgrade, with a fixed key; `headers` are more lines of it.
std::string upgradeRequest(uint16_t port, std::string_view path, std::string_view headers = {});
/// Whether `head` accepts upgradeRequest().
bool acceptsUpgrade(std::string_view head);
/// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string acceptKey(std::string_view key);

/// Counts the messages in the bytes that a websocket server sends, however they are cut.
/// Ends the process if one has another length than was sent, or if the server closes.
class FrameCounter {
 public:
  explicit FrameCounter(size_t expected) : expected_(expected) {}

  /// @return how many messages these bytes complete.
  unsigned feed(const uint8_t* bytes, size_t size) {
    unsigned messages = 0;
    while (size > 0) {
      size_t used = 1;
      if (payloadLeft_ > 0) {
        used = std::min<uint64_t>(size, payloadLeft_);
        payloadLeft_ -= used;
        if (payloadLeft_ == 0) messages += endFrame();
      } else if (headerUsed_ == 0 && size >= 2 && bytes[1] < 126 && size >= 2u + bytes[1]) {
        used = 2u + bytes[1];  // all of a small frame, the usual case
        header_[0] = bytes[0];
        frameSize_ = bytes[1];
        messages += endFrame();
      } else {
        header_[headerUsed_++] = *bytes;
        if (headerUsed_ >= 2 && headerUsed_ == headerSize(header_[1])) messages += beginFrame();
      }
      bytes += used;
      size -= used;
    }
    return messages;
  }

 private:
  unsigned beginFrame() {
    payloadLeft_ = frameSize_ = payloadSize(header_);
    return frameSize_ == 0 ? endFrame() : 0;
  }
  unsigned endFrame() {
    headerUsed_ = 0;
    const uint8_t opcode = header_[0] & 15;
    if (opcode == kClose) fail("the server sent a close frame");
    if (opcode > kClose) return 0;
    messageSize_ += frameSize_;
    if ((header_[0] & 0x80) == 0) return 0;
    if (messageSize_ != expected_) fail("an answer has another length than the message");
    messageSize_ = 0;
    return 1;
  }

  size_t expected_;
  uint64_t payloadLeft_ = 0;
  uint64_t frameSize_ = 0;
  uint64_t messageSize_ = 0;
  uint8_t header_[10] = {};
  uint8_t headerUsed_ = 0;
};

/// The same for answers of a fixed length without framing.
class ByteCounter {
 public:
  explicit ByteCounter(size_t expected) : expected_(expected) {}
  unsigned feed(const uint8_t*, size_t size) {
    have_ += size;
    const size_t messages = have_ / expected_;
    have_ -= messages * expected_;
    return static_cast<unsigned>(messages);
  }

 private:
  size_t expected_;
  size_t have_ = 0;
};

}  // namespace bench
