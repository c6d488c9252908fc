#pragma once

#include <cstddef>
#include <string_view>
#include <variant>

#include "head_fields.h"

/// Heads of HTTP/1.x messages, read by llhttp and judged more strictly on top:
/// what two programs could read in two ways is refused (RFC 9112 section 11).
///
/// A head is read where it lies, once: what is told of it are views into the bytes that were given. It is
/// valid while they are; who keeps it longer copies them and says where they are now (rebase()).

namespace Workerman::Protocols::Http::detail {

struct HeadLimits {
  /// Of the head with its empty line; exactly this many pass. At most FieldList::kMostBytes.
  std::size_t maxBytes = 16384;
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
  std::string_view bytes;  ///< the head with its empty line, without one before it
  std::string_view method;
  std::string_view target;   ///< as sent: origin-form, absolute-form or `*`
  std::string_view version;  ///< "1.1" or "1.0"; static text
  FieldList headers;         ///< values without the white space around them
  std::size_t consumed = 0;  ///< bytes of the head, and of an empty line before it

  /// The same bytes are at `base` now.
  void rebase(const char* base) noexcept;
};

struct ResponseHead {
  std::string_view version;  ///< "1.1" or "1.0"; static text
  int status = 0;
  std::string_view reason;  ///< may be empty
  FieldList headers;
  std::size_t consumed = 0;
};

using RequestResult = std::variant<HeadIncomplete, RequestHead, HeadRejected>;
using ResponseResult = std::variant<HeadIncomplete, ResponseHead, HeadRejected>;

/// Reads the request head at the front of `bytes`. One empty line before it is skipped (RFC 9112
/// section 2.2).
/// @param scanned what HeadIncomplete said of the same bytes before, else 0.
[[nodiscard]] RequestResult parseRequestHead(std::string_view bytes, const HeadLimits& limits = {},
                                             std::size_t scanned = 0);

/// Reads the response head at the front of `bytes`. Bytes that no HTTP/1.x answer begins with are refused at
/// once.
[[nodiscard]] ResponseResult parseResponseHead(std::string_view bytes, const HeadLimits& limits = {},
                                               std::size_t scanned = 0);

/// host [":" port], the host a name, an IPv4 address or an IPv6 address in brackets: what a Host field may
/// be.
[[nodiscard]] bool isHostAndPort(std::string_view text) noexcept;

}  // namespace Workerman::Protocols::Http::detail
