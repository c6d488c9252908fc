// A client's request head: read whole and byte by byte it must mean the same, what is accepted obeys
// the rules that keep two programs from reading it in two ways, and every answer to it is well formed.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/websocket/handshake.h"

using namespace Workerman::Protocols;
using namespace Workerman::Protocols::Http::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

RequestResult growing(const std::string& bytes, const HeadLimits& limits) {
  std::size_t scanned = 0;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    RequestResult result = parseRequestHead(std::string_view(bytes).substr(0, size), limits, scanned);
    const auto* incomplete = std::get_if<HeadIncomplete>(&result);
    if (incomplete == nullptr) return result;
    require(incomplete->scanned <= size);
    scanned = incomplete->scanned;
  }
  return HeadIncomplete{scanned};
}

void checkAccepted(const RequestHead& head) {
  require(head.version == "1.1" || head.version == "1.0");
  require(head.headers.count("Host") == 1 || (head.version == "1.0" && !head.headers.has("Host")));
  require(head.headers.count("Content-Length") + head.headers.count("Transfer-Encoding") <= 1);
  require(head.target.find_first_of(std::string_view(" \t\r\n\0", 5)) == std::string_view::npos &&
          !head.target.empty());
  for (const auto& [name, value] : head.headers) {
    require(Workerman::Connection::isSafeHeaderName(name) && Workerman::Connection::isSafeHeaderValue(value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const HeadLimits limits{1024, 10};
  const RequestResult whole = parseRequestHead(bytes, limits);
  const RequestResult slow = growing(bytes, limits);
  require(whole.index() == slow.index());
  if (const auto* rejected = std::get_if<HeadRejected>(&whole))
    require(rejected->status >= 400 && *rejected->cause);
  const auto* head = std::get_if<RequestHead>(&whole);
  if (head == nullptr) return 0;

  const auto& other = std::get<RequestHead>(slow);
  require(head->method == other.method && head->target == other.target &&
          head->headers.toList() == other.headers.toList());
  require(head->consumed == other.consumed && head->consumed <= limits.maxBytes);
  checkAccepted(*head);

  const detail::RequestCheck check = detail::checkRequest(*head);
  const std::string answer = check.ok() ? detail::buildAccept(check.key) : detail::buildRefusal(check.status);
  const ResponseResult read = parseResponseHead(answer, {});
  const auto* response = std::get_if<ResponseHead>(&read);
  require(response != nullptr && response->consumed == answer.size());
  require(!check.ok() || !detail::checkResponse(*response, check.key));
  return 0;
}
