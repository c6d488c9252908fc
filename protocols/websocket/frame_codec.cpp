#include "frame_codec.h"

#include <algorithm>

namespace Workerman::Protocols::detail {
namespace {

constexpr const char* kBadText = "text is not valid UTF-8";

constexpr bool isControl(Opcode opcode) {
  return static_cast<std::uint8_t>(opcode) >= 8;
}

ParseResult violation(std::uint16_t code, const char* cause) noexcept {
  ParseResult result;
  result.outcome = ParseResult::Outcome::Violation;
  result.closeCode = code;
  result.cause = cause;
  return result;
}

/// What is wrong with a frame's first byte; null when it is legal.
const char* judgeFirst(std::uint8_t byte, const FrameRules& rules) noexcept {
  const bool fin = (byte & 0x80) != 0;
  const bool rsv1 = (byte & 0x40) != 0;
  const std::uint8_t opcode = byte & 0x0F;
  if ((byte & 0x20) != 0) return "reserved bit RSV2 is set";
  if ((byte & 0x10) != 0) return "reserved bit RSV3 is set";
  if ((opcode > 2 && opcode < 8) || opcode > 10) return "reserved opcode";
  if (rsv1 && !rules.allowRsv1)
    return "reserved bit RSV1 is set, and no extension that uses it was negotiated";
  if (opcode >= 8) {
    if (rsv1) return "reserved bit RSV1 is set on a control frame";
    return fin ? nullptr : "fragmented control frame";
  }
  if (opcode == 0) {
    if (!rules.inFragments) return "continuation frame without a message to continue";
    return rsv1 ? "reserved bit RSV1 is set on a continuation frame" : nullptr;
  }
  return rules.inFragments ? "new message before the end of the fragmented one" : nullptr;
}

/// What is wrong with the second byte, given that the first was legal.
const char* judgeSecond(std::uint8_t byte, bool control, Role role) noexcept {
  const bool masked = (byte & 0x80) != 0;
  if (role == Role::Server && !masked) return "frame from a client is not masked";
  if (role == Role::Client && masked) return "frame from a server is masked";
  if (control && (byte & 0x7F) > kMaxControlPayload) return "control frame longer than 125 bytes";
  return nullptr;
}

/// What is wrong with the extended length, as far as its bytes have arrived.
const char* judgeLength(const std::uint8_t* bytes, std::size_t arrived, std::size_t extended) noexcept {
  if (extended == 2)
    return arrived == 2 && bytes[0] == 0 && bytes[1] < 126 ? "length is not in its shortest form" : nullptr;
  if (extended == 0 || arrived == 0) return nullptr;
  if ((bytes[0] & 0x80) != 0) return "length has its highest bit set";
  const bool small = arrived >= 6 && std::all_of(bytes, bytes + 6, [](std::uint8_t b) { return b == 0; });
  return small ? "length is not in its shortest form" : nullptr;
}

}  // namespace

ParseResult parseFrameHeader(std::string_view bytes, const FrameRules& rules) noexcept {
  const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  ParseResult result;
  if (bytes.empty()) return result;
  if (const char* cause = judgeFirst(in[0], rules)) return violation(CloseCode::kProtocolError, cause);
  FrameHeader& header = result.header;
  header.fin = (in[0] & 0x80) != 0;
  header.rsv1 = (in[0] & 0x40) != 0;
  header.opcode = static_cast<Opcode>(in[0] & 0x0F);

  if (bytes.size() < 2) return result;
  const bool control = isControl(header.opcode);
  if (const char* cause = judgeSecond(in[1], control, rules.role))
    return violation(CloseCode::kProtocolError, cause);
  header.masked = (in[1] & 0x80) != 0;
  header.payloadLength = in[1] & 0x7F;

  const std::size_t extended = header.payloadLength == 126 ? 2 : header.payloadLength == 127 ? 8 : 0;
  const std::size_t arrived = std::min(bytes.size() - 2, extended);
  if (const char* cause = judgeLength(in + 2, arrived, extended))
    return violation(CloseCode::kProtocolError, cause);
  if (arrived < extended) return result;
  if (extended != 0) {
    header.payloadLength = 0;
    for (std::size_t i = 0; i < extended; ++i) header.payloadLength = header.payloadLength << 8 | in[2 + i];
  }
  // Judged before the mask or any payload is waited for.
  if (!control && header.payloadLength > (header.rsv1 ? rules.maxCompressed : rules.maxPayload)) {
    return violation(CloseCode::kTooBig, "message is longer than maxPackageSize");
  }

  header.headerSize = static_cast<std::uint8_t>(2 + extended + (header.masked ? 4 : 0));
  if (bytes.size() < header.headerSize) return result;
  if (header.masked) std::memcpy(&header.mask, in + header.headerSize - 4, 4);
  result.outcome = ParseResult::Outcome::Header;
  return result;
}

// -- reader -------------------------------------------------------------------

FrameRules FrameReader::rules(std::size_t maxPackageSize) const noexcept {
  // Deflate makes bytes that do not shrink longer: with fixed codes by one bit in eight at most.
  const auto deflated = [](std::uint64_t size) {
    const std::uint64_t extra = (size >> 3) + 64;
    return size > UINT64_MAX - extra ? UINT64_MAX : size + extra;
  };
  FrameRules rules;
  rules.role = role_;
  rules.allowRsv1 = allowCompressed_;
  rules.inFragments = phase_ == Phase::Fragments;
  const std::uint64_t collected = rules.inFragments && fragments_ ? fragments_->size() : 0;
  const std::uint64_t limit = rules.inFragments && compressed_ ? deflated(maxPackageSize) : maxPackageSize;
  rules.maxPayload = limit > collected ? limit - collected : 0;
  rules.maxCompressed = deflated(maxPackageSize);
  return rules;
}

Step FrameReader::nextAny(char* data, std::size_t size, std::size_t maxPackageSize) {
  Step step;
  if (phase_ == Phase::Finished) {
    step.consumed = size;
    return step;
  }
  if (phase_ == Phase::Delivered) {
    fragments_.reset();
    phase_ = Phase::Idle;
  }
  const ParseResult parsed = parseFrameHeader({data, size}, rules(maxPackageSize));
  if (parsed.outcome == ParseResult::Outcome::NeedMore) return step;
  if (parsed.outcome == ParseResult::Outcome::Violation) {
    fail(step, parsed.closeCode, parsed.cause);
    return step;
  }
  const FrameHeader& header = parsed.header;
  const bool control = isControl(header.opcode);
  char* const payload = data + header.headerSize;
  const std::size_t arrived = std::min<std::uint64_t>(header.payloadLength, size - header.headerSize);
  if (!control && !checkArrived(payload, arrived, header)) {
    fail(step, CloseCode::kBadPayload, kBadText);
    return step;
  }
  if (arrived < header.payloadLength) {
    progress_ = control ? 0 : arrived;
    step.wanted = header.headerSize + header.payloadLength;
    return step;
  }
  progress_ = 0;
  step.consumed = header.headerSize + arrived;
  if (control) {
    takeControl(payload, header, step);
  } else if (!takeData(payload, header, step)) {
    step.kind = Step::Kind::Fragment;
  }
  return step;
}

/// Unmasks what is new of a data frame's payload; for text, false when it cannot be UTF-8.
bool FrameReader::checkArrived(char* payload, std::size_t arrived, const FrameHeader& header) noexcept {
  const bool continued = header.opcode == Opcode::Continuation;
  const bool text = continued ? text_ : header.opcode == Opcode::Text;
  const bool compressed = continued ? compressed_ : header.rsv1;
  char* const fresh = payload + progress_;
  const std::size_t size = arrived - progress_;
  if (!text || compressed) {
    if (header.masked) maskInPlace(fresh, size, header.mask, progress_);
    return true;
  }
  const bool ascii =
      header.masked ? unmaskAndCheckAscii(fresh, size, header.mask, progress_) : isAscii(fresh, size);
  if (!(ascii && utf8_.complete()) && !utf8_.feed(fresh, size)) return false;
  const bool atEnd = header.fin && arrived == header.payloadLength;
  return !atEnd || utf8_.complete();
}

/// Takes a whole data frame, unmasked and checked. True when it completes a message.
bool FrameReader::takeData(const char* payload, const FrameHeader& header, Step& step) {
  const std::string_view bytes(payload, header.payloadLength);
  if (header.opcode != Opcode::Continuation) {
    text_ = header.opcode == Opcode::Text;
    compressed_ = header.rsv1;
  }
  if (header.fin && phase_ != Phase::Fragments) {
    step.payload = bytes;
  } else {
    if (!fragments_) fragments_ = std::make_unique<std::string>();
    fragments_->append(bytes);
    phase_ = header.fin ? Phase::Delivered : Phase::Fragments;
    if (!header.fin) return false;
    step.payload = *fragments_;
  }
  utf8_.reset();
  step.kind = Step::Kind::Message;
  step.text = text_;
  step.compressed = compressed_;
  return true;
}

void FrameReader::takeControl(char* payload, const FrameHeader& header, Step& step) noexcept {
  if (header.masked) maskInPlace(payload, header.payloadLength, header.mask);
  step.payload = {payload, static_cast<std::size_t>(header.payloadLength)};
  if (header.opcode == Opcode::Close) return takeClose(step);
  step.kind = header.opcode == Opcode::Ping ? Step::Kind::Ping : Step::Kind::Pong;
}

/// Splits a close frame's payload, which `step` has, into code and reason. @see RFC 6455 section 5.5.1
void FrameReader::takeClose(Step& step) noexcept {
  const std::string_view payload = step.payload;
  std::uint16_t code = CloseCode::kNone;
  if (payload.size() == 1) return fail(step, CloseCode::kProtocolError, "close frame with half a code");
  if (!payload.empty()) {
    code = static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                      static_cast<std::uint8_t>(payload[1]));
    if (!isValidCloseCode(code)) {
      return fail(step, CloseCode::kProtocolError, "close frame with a code that must not be sent");
    }
    step.payload.remove_prefix(2);
    if (!isValidUtf8(step.payload.data(), step.payload.size())) {
      return fail(step, CloseCode::kBadPayload, "close reason is not valid UTF-8");
    }
  }
  step.kind = Step::Kind::Close;
  step.code = code;
  swallowRest();
}

void FrameReader::fail(Step& step, std::uint16_t code, const char* cause) noexcept {
  step.kind = Step::Kind::Violation;
  step.code = code;
  step.payload = cause;
  swallowRest();
}

void FrameReader::swallowRest() noexcept {
  phase_ = Phase::Finished;
  progress_ = 0;
  fragments_.reset();
}

// -- writing ------------------------------------------------------------------

std::string closePayload(std::uint16_t code, std::string_view reason) {
  std::string payload;
  if (code == CloseCode::kNone) return payload;
  payload += static_cast<char>(code >> 8);
  payload += static_cast<char>(code & 0xFF);
  payload += reason.substr(0, validUtf8Prefix(reason, kMaxControlPayload - 2));
  return payload;
}

void appendFrame(std::string& out, Opcode opcode, std::string_view payload, Role role, MaskKey mask,
                 bool rsv1) {
  char header[kMaxFrameHeader];
  const std::size_t size = encodeFrameHeader(header, opcode, true, rsv1, payload.size(), role, mask);
  out.append(header, size);
  const std::size_t at = out.size();
  out.append(payload);
  if (role == Role::Client) maskInPlace(out.data() + at, payload.size(), mask);
}

}  // namespace Workerman::Protocols::detail
