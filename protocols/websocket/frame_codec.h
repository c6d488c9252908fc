#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "mask.h"
#include "utf8.h"

/// The frames of RFC 6455 section 5, for both roles. Pure: bytes in, values out.

namespace Workerman::Protocols::detail {

/// Which side of the connection we are. A server receives masked frames and sends bare ones;
/// for a client it is the other way round.
enum class Role : std::uint8_t { Client = 0, Server = 1 };

/// @see RFC 6455 section 5.2
enum class Opcode : std::uint8_t { Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10 };

/// Close codes that the codec itself speaks of. @see RFC 6455 section 7.4.1
namespace CloseCode {
constexpr std::uint16_t kNormal = 1000;
constexpr std::uint16_t kGoingAway = 1001;
constexpr std::uint16_t kProtocolError = 1002;
constexpr std::uint16_t kNone = 1005;      ///< the close frame had no code; never on the wire
constexpr std::uint16_t kAbnormal = 1006;  ///< lost without a close frame; never on the wire
constexpr std::uint16_t kBadPayload = 1007;
constexpr std::uint16_t kTooBig = 1009;
constexpr std::uint16_t kInternalError = 1011;
}  // namespace CloseCode

/// Whether a close frame may carry this code: 1000-1003, 1007-1014 and 3000-4999.
/// The same for codes received and for codes that the application wants to send.
[[nodiscard]] constexpr bool isValidCloseCode(long code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

// -- reading ------------------------------------------------------------------

struct FrameHeader {
  std::uint64_t payloadLength = 0;
  MaskKey mask = 0;             ///< 0 when the frame is not masked
  std::uint8_t headerSize = 0;  ///< bytes before the payload, the mask included
  Opcode opcode = Opcode::Continuation;
  bool fin = false;
  bool rsv1 = false;
  bool masked = false;
};

/// What a frame header is judged by.
struct FrameRules {
  Role role = Role::Server;
  bool allowRsv1 = false;                    ///< an extension that uses RSV1 was negotiated
  bool inFragments = false;                  ///< a fragmented message is open: data must be a continuation
  std::uint64_t maxPayload = UINT64_MAX;     ///< of a data frame; one byte more is 1009
  std::uint64_t maxCompressed = UINT64_MAX;  ///< the same for a frame with RSV1
};

struct ParseResult {
  enum class Outcome : std::uint8_t { NeedMore, Header, Violation };
  Outcome outcome = Outcome::NeedMore;
  std::uint16_t closeCode = 0;  ///< of a violation: 1002 or 1009
  FrameHeader header;           ///< set when outcome is Header
  const char* cause = nullptr;  ///< of a violation: static text
};

/// Reads the header at the front of `bytes`. A violation is told at the first byte that shows it,
/// also when the header is not whole; NeedMore means that the bytes so far are a legal beginning.
[[nodiscard]] ParseResult parseFrameHeader(std::string_view bytes, const FrameRules& rules) noexcept;

/// One event of a FrameReader.
struct Step {
  /// Fragment: a frame that does not complete its message was taken; nothing is handed out.
  enum class Kind : std::uint8_t { NeedMore, Message, Fragment, Ping, Pong, Close, Violation };

  Kind kind = Kind::NeedMore;
  bool text = false;         ///< Message: text, else binary
  bool compressed = false;   ///< Message: RSV1 was set: inflate it, then check the text's UTF-8
  std::uint16_t code = 0;    ///< Close: 1005 when it had none; Violation: the code to close with
  std::size_t consumed = 0;  ///< bytes of the buffer that are done with, once the payload was used
  std::size_t wanted = 0;    ///< NeedMore: size of the frame that starts after `consumed`, 0 while unknown
  std::string_view payload;  ///< of a message, ping or pong; the reason of a close; the cause of a violation
};

/// Turns received bytes into messages and control frames.
///
///     for (;;) {
///       const Step step = reader.next(data, size, maxPackageSize);
///       // use step.payload here: it lies in the buffer, or in the reader until the next call
///       data += step.consumed, size -= step.consumed;
///       if (step.kind is NeedMore, Close or Violation) break;
///     }
///
/// The buffer is written to: payloads are unmasked where they lie, and an unfragmented message is handed
/// out as a view of it, without a copy or an allocation. After NeedMore the caller keeps the bytes that
/// were not consumed and passes exactly these, as the reader left them and with more behind, next time;
/// the address may change. The part of a frame that has arrived is unmasked and checked once, never again.
/// Fragments are collected in the reader, control frames between them come out at once.
/// After Close or Violation everything is swallowed: NeedMore with all bytes consumed.
class FrameReader {
 public:
  /// @param allowCompressed permessage-deflate was negotiated: RSV1 may be set on a message's first frame.
  explicit FrameReader(Role role, bool allowCompressed = false) noexcept
      : role_(role), allowCompressed_(allowCompressed) {}

  /// The next event of the `size` bytes at `data`.
  /// @param maxPackageSize longest message in bytes; one byte more is 1009, told as soon as the headers say
  /// so.
  ///        A compressed message may be a little longer, by what deflate adds to bytes it cannot shrink.
  [[nodiscard]] Step next(char* data, std::size_t size, std::size_t maxPackageSize) {
    Step step;
    if (!nextWhole(data, size, maxPackageSize, step)) [[unlikely]] {
      step = nextAny(data, size, maxPackageSize);
    }
    return step;
  }

  /// From now on RSV1 may be set on a message's first frame.
  void allowCompressed() noexcept { allowCompressed_ = true; }

  /// Whether a fragmented message is open or a frame has arrived in part.
  [[nodiscard]] bool midMessage() const noexcept { return phase_ == Phase::Fragments || progress_ != 0; }

  /// Whether a Close or a Violation was handed out.
  [[nodiscard]] bool finished() const noexcept { return phase_ == Phase::Finished; }

 private:
  enum class Phase : std::uint8_t { Idle, Fragments, Delivered, Finished };

  bool nextWhole(char* data, std::size_t size, std::size_t maxPackageSize, Step& step) noexcept;
  Step nextAny(char* data, std::size_t size, std::size_t maxPackageSize);
  bool checkArrived(char* payload, std::size_t arrived, const FrameHeader& header) noexcept;
  bool takeData(const char* payload, const FrameHeader& header, Step& step);
  void takeControl(char* payload, const FrameHeader& header, Step& step) noexcept;
  void takeClose(Step& step) noexcept;
  void fail(Step& step, std::uint16_t code, const char* cause) noexcept;
  void swallowRest() noexcept;
  FrameRules rules(std::size_t maxPackageSize) const noexcept;

  std::unique_ptr<std::string> fragments_;  // only while a fragmented message is collected or handed out
  std::size_t progress_ = 0;  // payload bytes of the incomplete frame already unmasked and checked
  Utf8State utf8_;            // of the message being received
  Role role_;
  bool allowCompressed_;
  Phase phase_ = Phase::Idle;
  bool text_ = false;        // of the fragmented message
  bool compressed_ = false;  // of the fragmented message
};

/// The fast path: a whole unfragmented text or binary frame of up to 65,535 bytes, and nothing pending.
[[gnu::always_inline]] inline bool FrameReader::nextWhole(char* data, std::size_t size,
                                                          std::size_t maxPackageSize, Step& step) noexcept {
  if (phase_ != Phase::Idle || progress_ != 0 || size < 2) return false;
  const auto byte = [data](std::size_t i) { return static_cast<std::uint8_t>(data[i]); };
  const bool text = byte(0) == 0x81;
  const std::size_t masked = role_ == Role::Server;
  if ((!text && byte(0) != 0x82) || byte(1) >> 7 != masked) return false;

  std::size_t length = byte(1) & 0x7F;
  std::size_t head = 2;
  if (length == 126 && size >= 4) {
    length = std::size_t{byte(2)} << 8 | byte(3);
    head = 4;
    if (length < 126) return false;
  } else if (length == 127) {
    return false;
  }
  head += masked * 4;
  if (head + length > size || length > maxPackageSize) return false;

  char* payload = data + head;
  MaskKey key = 0;
  if (masked) std::memcpy(&key, payload - 4, 4);
  step.consumed = head + length;
  if (text) {
    const bool ascii = masked ? unmaskAndCheckAscii(payload, length, key) : isAscii(payload, length);
    if (!ascii && !isValidUtf8(payload, length)) {
      fail(step, CloseCode::kBadPayload, "text is not valid UTF-8");
      return true;
    }
  } else if (masked) {
    maskInPlace(payload, length, key);
  }
  step.kind = Step::Kind::Message;
  step.text = text;
  step.payload = {payload, length};
  return true;
}

// -- writing ------------------------------------------------------------------

/// Longest header: two bytes, eight of length, four of mask.
constexpr std::size_t kMaxFrameHeader = 14;
/// Longest payload of a control frame. @see RFC 6455 section 5.5
constexpr std::size_t kMaxControlPayload = 125;

/// Writes a frame header with the shortest form of the length and returns its size, 2 to 14.
/// A client's header ends with `mask`, and the payload has to be masked with it; a server's has none.
inline std::size_t encodeFrameHeader(char* out, Opcode opcode, bool fin, bool rsv1, std::uint64_t length,
                                     Role role, MaskKey mask) noexcept {
  const unsigned masked = role == Role::Client ? 0x80 : 0;
  out[0] = static_cast<char>((fin ? 0x80u : 0u) | (rsv1 ? 0x40u : 0u) | static_cast<unsigned>(opcode));
  std::size_t size = 2;
  if (length < 126) [[likely]] {
    out[1] = static_cast<char>(masked | length);
  } else {
    const std::size_t extended = length <= 0xFFFF ? 2 : 8;
    out[1] = static_cast<char>(masked | (extended == 2 ? 126 : 127));
    for (std::size_t i = 0; i < extended; ++i)
      out[2 + i] = static_cast<char>(length >> (8 * (extended - 1 - i)));
    size += extended;
  }
  if (masked != 0) {
    std::memcpy(out + size, &mask, 4);
    size += 4;
  }
  return size;
}

/// The payload of a close frame: the code, and as much of the reason as is valid UTF-8 and fits into 123
/// bytes. Empty for CloseCode::kNone. The code is not checked: see isValidCloseCode().
[[nodiscard]] std::string closePayload(std::uint16_t code, std::string_view reason = {});

/// Appends a whole frame to `out`, masked with `mask` when we are the client.
void appendFrame(std::string& out, Opcode opcode, std::string_view payload, Role role, MaskKey mask,
                 bool rsv1 = false);

}  // namespace Workerman::Protocols::detail
