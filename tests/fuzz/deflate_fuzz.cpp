// A peer's compressed messages: whatever they hold, inflating keeps to its limit and its promises; and what
// we compress comes back. Input: one byte of flags, one of limit, then messages, each behind its length.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocols/websocket/deflate.h"
#include "protocols/websocket/utf8.h"

using namespace Workerman::Protocols::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void checkRoundTrip(std::string_view payload, int windowBits) {
  std::string out;
  const std::string_view packed = compressShared(payload, windowBits, out);
  InflateBuffer back;
  require(!packed.empty());
  require(inflateShared(packed, payload.size(), false, back) == Inflated::Whole && back.view() == payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool isText = (data[0] & 8) != 0;
  const bool keepsContext = (data[0] & 16) != 0;
  const int windowBits = 8 + (data[0] & 7);
  const std::size_t limit = std::size_t{data[1]} * data[1];
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  checkRoundTrip(rest, windowBits);

  Inflater own(windowBits);
  InflateBuffer out;
  while (!rest.empty()) {
    const std::string_view message = rest.substr(1, static_cast<std::uint8_t>(rest[0]));
    rest.remove_prefix(1 + message.size());
    const Inflated result =
        keepsContext ? own.inflate(message, limit, isText, out) : inflateShared(message, limit, isText, out);
    require(out.view().size() <= limit && out.capacity() <= 256 * 256);
    if (result != Inflated::Whole) {
      own.reset();
      continue;
    }
    require(!isText || isValidUtf8(out.view().data(), out.view().size()));
    checkRoundTrip(out.view(), windowBits);
  }
  return 0;
}
