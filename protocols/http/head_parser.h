#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "../../connection/headers.h"

/// Heads of HTTP/1.x messages, read by llhttp and judged more strictly on top:
/// what two programs could read in two ways is refused (RFC 9112 section 11).

namespace Workerman::Protocols::Http::detail {

struct HeadLimits {
  std::size_t maxBytes = 16384;  ///< of the head with its empty line; exactly this many pass
  std::size_t maxFields = 100;
};

/// The head is not whole. Pass `scanned` with the longer bytes, so that none is looked at twice.
struct HeadIncomplete {
  std::size_t scanned = 0;
};

/// The head is refused, for good.
struct HeadRejected {
  int status = 400;        ///< what a server answers: 400, 414, 431, 501 or 505
  const char* cause = "";  ///< static text
};

struct RequestHead {
  std::string method;
  std::string target;              ///< as sent: origin-form, absolute-form or `*`
  std::string version;             ///< "1.1" or "1.0"
  Connection::HeaderList headers;  ///< values without the white space around them
  std::size_t consumed = 0;        ///< bytes of the head, its empty line included
};

struct ResponseHead {
  std::string version;
  int status = 0;
  std::string reason;  ///< may be empty
  Connection::HeaderList headers;
  std::size_t consumed = 0;
};

using RequestResult = std::variant<HeadIncomplete, RequestHead, HeadRejected>;
using ResponseResult = std::variant<HeadIncomplete, ResponseHead, HeadRejected>;

/// Reads the request head at the front of `bytes`.
/// @param scanned what HeadIncomplete said of the same bytes before, else 0.
[[nodiscard]] RequestResult parseRequestHead(std::string_view bytes, const HeadLimits& limits = {},
                                             std::size_t scanned = 0);

/// Reads the response head at the front of `bytes`. Bytes that no HTTP/1.x answer begins with are refused at
/// once.
[[nodiscard]] ResponseResult parseResponseHead(std::string_view bytes, const HeadLimits& limits = {},
                                               std::size_t scanned = 0);

}  // namespace Workerman::Protocols::Http::detail
