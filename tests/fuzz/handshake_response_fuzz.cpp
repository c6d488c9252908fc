// A server's answer to our handshake: read whole and byte by byte it must mean the same,
// and what is accepted prints as something that reads the same again.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/http/response.h"
#include "protocols/websocket/handshake.h"

using namespace Workerman::Protocols;
using namespace Workerman::Protocols::Http::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

ResponseResult growing(const std::string& bytes, const HeadLimits& limits) {
  std::size_t scanned = 0;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    ResponseResult result = parseResponseHead(std::string_view(bytes).substr(0, size), limits, scanned);
    const auto* incomplete = std::get_if<HeadIncomplete>(&result);
    if (incomplete == nullptr) return result;
    require(incomplete->scanned <= size);
    scanned = incomplete->scanned;
  }
  return HeadIncomplete{scanned};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const HeadLimits limits{1024, 10};
  const ResponseResult whole = parseResponseHead(bytes, limits);
  const ResponseResult slow = growing(bytes, limits);
  require(whole.index() == slow.index());
  const auto* head = std::get_if<ResponseHead>(&whole);
  if (head == nullptr) return 0;

  const auto& other = std::get<ResponseHead>(slow);
  require(head->status == other.status && head->reason == other.reason && head->consumed == other.consumed);
  require(head->headers.toList() == other.headers.toList() && head->headers.size() <= limits.maxFields);
  require(head->consumed <= limits.maxBytes);
  const auto error =
      detail::checkResponse(*head, "dGhlIHNhbXBsZSBub25jZQ==", "chat, superchat", "permessage-deflate");
  require(!error || error->find('\n') == std::string::npos);

  const std::string printed = Http::Response::fromHead(*head).toString();
  const ResponseResult again = parseResponseHead(printed, {});
  const auto* same = std::get_if<ResponseHead>(&again);
  require(same != nullptr && same->consumed == printed.size());
  require(same->headers.toList() == head->headers.toList() && same->reason == head->reason &&
          same->status == head->status);
  return 0;
}
