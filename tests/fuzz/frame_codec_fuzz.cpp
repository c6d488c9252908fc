// Bytes of a peer through the frame reader: whole and in pieces they must give the same events,
// nothing outside the buffer is touched, and what it hands out keeps its promises.
// Input: one byte of flags, one that chooses the cuts, then what the peer sends.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "protocols/websocket/frame_codec.h"

using namespace Workerman::Protocols::detail;

namespace {

using Event = std::tuple<Step::Kind, bool, bool, std::uint16_t, std::string>;

void require(bool holds) {
  if (!holds) std::abort();
}

void checkStep(const Step& step, std::size_t size, std::size_t limit) {
  require(step.consumed <= size);
  if (step.kind == Step::Kind::Message) {
    require(step.compressed || step.payload.size() <= limit);
    require(!step.text || step.compressed || isValidUtf8(step.payload.data(), step.payload.size()));
  } else if (step.kind == Step::Kind::Close) {
    require(step.code == CloseCode::kNone || isValidCloseCode(step.code));
    require(isValidUtf8(step.payload.data(), step.payload.size()));
  } else if (step.kind == Step::Kind::Violation) {
    require(step.code == 1002 || step.code == 1007 || step.code == 1009);
    require(!step.payload.empty());
  } else {
    require(step.kind == Step::Kind::NeedMore || step.payload.size() <= kMaxControlPayload);
  }
}

/// Takes all events out of the bytes from `done` on; returns how far it came.
std::size_t drain(FrameReader& reader, std::vector<char>& buffer, std::size_t done, std::size_t size,
                  std::size_t limit, std::vector<Event>& events) {
  for (;;) {
    const Step step = reader.next(buffer.data() + done, size - done, limit);
    checkStep(step, size - done, limit);
    done += step.consumed;
    if (step.kind == Step::Kind::NeedMore) {
      require(step.wanted == 0 || step.wanted > size - done);
      return done;
    }
    events.emplace_back(step.kind, step.text, step.compressed, step.code, std::string(step.payload));
  }
}

/// In pieces that arrive behind each other in one place.
std::vector<Event> inPlace(FrameReader reader, std::size_t limit, std::string_view bytes, std::size_t piece) {
  std::vector<Event> events;
  std::vector<char> buffer(bytes.begin(), bytes.end());
  std::size_t done = 0;
  for (std::size_t size = 0; size < bytes.size();) {
    size = std::min(size + piece, bytes.size());
    done = drain(reader, buffer, done, size, limit, events);
  }
  return events;
}

/// In pieces, what is kept moves to a new place each time, with nothing behind it.
std::vector<Event> moving(FrameReader reader, std::size_t limit, std::string_view bytes, std::size_t piece) {
  std::vector<Event> events;
  std::vector<char> kept;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const std::string_view next = bytes.substr(at, piece);
    std::vector<char> buffer;
    buffer.reserve(kept.size() + next.size());
    buffer.assign(kept.begin(), kept.end());
    buffer.insert(buffer.end(), next.begin(), next.end());
    const std::size_t done = drain(reader, buffer, 0, buffer.size(), limit, events);
    kept.assign(buffer.begin() + static_cast<std::ptrdiff_t>(done), buffer.end());
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Role role = (data[0] & 1) != 0 ? Role::Server : Role::Client;
  const bool compressed = (data[0] & 2) != 0;
  const std::size_t limit = (data[0] & 4) != 0 ? 100 : 1 << 20;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = moving(FrameReader(role, compressed), limit, bytes, bytes.size() + 1);
  require(whole == inPlace(FrameReader(role, compressed), limit, bytes, 1));
  require(whole == moving(FrameReader(role, compressed), limit, bytes, 1 + data[1]));
  return 0;
}
