#pragma once

/// Frames written by hand for the tests, so that the encoder is not judged by itself,
/// and a driver that keeps a receive buffer the way a connection does.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/websocket/frame_codec.h"

namespace FrameTest {

using namespace Workerman::Protocols::detail;

constexpr unsigned char kKey[4] = {0x37, 0xFA, 0x21, 0x3D};  // RFC 6455 section 5.7

struct Shape {
  unsigned first = 0x81;  // FIN, RSV bits and opcode
  bool masked = true;
  int lengthBytes = -1;  // 0, 2 or 8; -1 for the shortest
};

inline std::string lengthField(std::uint64_t length, bool masked, int bytes) {
  if (bytes < 0) bytes = length < 126 ? 0 : length <= 0xFFFF ? 2 : 8;
  std::string out;
  const unsigned value = bytes == 0 ? static_cast<unsigned>(length) : bytes == 2 ? 126 : 127;
  out += static_cast<char>(value | (masked ? 0x80 : 0));
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(length >> (8 * i));
  return out;
}

inline std::string frame(std::string_view payload, Shape shape = {}) {
  std::string out(1, static_cast<char>(shape.first));
  out += lengthField(payload.size(), shape.masked, shape.lengthBytes);
  if (shape.masked) out.append(reinterpret_cast<const char*>(kKey), 4);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    out += static_cast<char>(payload[i] ^ (shape.masked ? kKey[i % 4] : 0));
  }
  return out;
}

/// A frame as the peer of `role` sends it.
inline std::string frameTo(Role role, unsigned first, std::string_view payload) {
  return frame(payload, {first, role == Role::Server, -1});
}

struct Event {
  Step::Kind kind;
  std::string payload;
  bool text = false;
  bool compressed = false;
  std::uint16_t code = 0;

  bool operator==(const Event&) const = default;
};

/// A connection's receive side: keeps what was not consumed, at another address for every call.
class Receiver {
 public:
  explicit Receiver(Role role, std::size_t limit = 1 << 20, bool allowCompressed = false)
      : reader(role, allowCompressed), limit_(limit) {}

  /// Hands over more bytes; returns false after a close or a violation.
  bool feed(std::string_view bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    std::size_t at = 0;
    for (;;) {
      // Exactly the bytes there are, freshly allocated: a read beyond them is seen by ASan.
      std::vector<char> exact(buffer_.begin() + static_cast<std::ptrdiff_t>(at), buffer_.end());
      const Step step = reader.next(exact.data(), exact.size(), limit_);
      const bool more = step.kind == Step::Kind::NeedMore;
      // A fragment is only a chance to let others have their turn.
      if (!more && step.kind != Step::Kind::Fragment)
        events.push_back({step.kind, std::string(step.payload), step.text, step.compressed, step.code});
      // What was unmasked stays unmasked.
      std::copy(exact.begin(), exact.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
      at += step.consumed;
      wanted = step.wanted;
      if (more || step.kind == Step::Kind::Close || step.kind == Step::Kind::Violation) break;
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
    return !reader.finished();
  }

  std::size_t kept() const { return buffer_.size(); }

  FrameReader reader;
  std::vector<Event> events;
  std::size_t wanted = 0;

 private:
  std::vector<char> buffer_;
  std::size_t limit_;
};

/// The events of `bytes` arriving as one piece.
inline std::vector<Event> eventsOf(Role role, std::string_view bytes, std::size_t limit = 1 << 20) {
  Receiver receiver(role, limit);
  receiver.feed(bytes);
  return receiver.events;
}

inline Event message(std::string payload, bool text = true) {
  return {Step::Kind::Message, std::move(payload), text, false, 0};
}
inline Event ping(std::string payload) {
  return {Step::Kind::Ping, std::move(payload), false, false, 0};
}
inline Event pong(std::string payload) {
  return {Step::Kind::Pong, std::move(payload), false, false, 0};
}
inline Event closed(std::uint16_t code, std::string reason = "") {
  return {Step::Kind::Close, std::move(reason), false, false, code};
}
inline Event violation(std::uint16_t code, std::string cause) {
  return {Step::Kind::Violation, std::move(cause), false, false, code};
}

}  // namespace FrameTest
