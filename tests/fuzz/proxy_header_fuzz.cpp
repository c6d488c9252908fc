// Any bytes at the beginning of a connection. A prefix is "not yet", or ends as the whole does; what
// follows a header changes nothing; all that is taken belongs to the header.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "connection/proxy/proxy_header.h"

using Workerman::Connection::detail::kLongestProxyBody;
using Workerman::Connection::detail::kProxyHeadSize;
using Workerman::Connection::detail::parseProxyHeader;
using Workerman::Connection::detail::ProxyHeader;
using What = ProxyHeader::What;

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

std::string textOf(const ProxyHeader& header) {
  return header.source ? header.source->text() : "";
}

/// Of a copy of exactly its size, so that a read past its end is seen.
ProxyHeader parse(std::string_view bytes) {
  return parseProxyHeader(std::string(bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = parse(bytes);
  require((whole.what == What::Bad) == (whole.error != nullptr));
  require(whole.size <= size);
  require(whole.what != What::NeedMore || (whole.size == size && size < kProxyHeadSize + kLongestProxyBody));
  const std::size_t step = 1 + size / 64;
  for (std::size_t cut = 0; cut < size; cut += step) {
    const ProxyHeader prefix = parse(bytes.substr(0, cut));
    if (prefix.what == What::NeedMore) continue;
    require(prefix.what == whole.what && prefix.size == whole.size && textOf(prefix) == textOf(whole));
  }
  if (whole.what == What::Whole) {
    const ProxyHeader alone = parse(bytes.substr(0, whole.size));
    require(alone.what == What::Whole && textOf(alone) == textOf(whole));
    require(parse(bytes.substr(0, whole.size - 1)).what == What::NeedMore);
  }
  return 0;
}
