#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "../../connection/headers.h"
#include "../http/head_parser.h"

/// The opening handshake of RFC 6455 section 4, both roles. Pure, except for newKey().

namespace Workerman::Protocols::detail {

// -- both ---------------------------------------------------------------------

/// The Sec-WebSocket-Accept that answers a key.
[[nodiscard]] std::string acceptFor(std::string_view key);

/// Whether a comma-separated header value (all fields of that name together) has this token, without case.
[[nodiscard]] bool headerHasToken(const Http::detail::FieldList& headers, Http::detail::FieldName name,
                                  std::string_view token) noexcept;

// -- client -------------------------------------------------------------------

struct HandshakeRequest {
  std::string_view host;  ///< of the address; an IPv6 literal with or without brackets; "" means localhost
  int port = 0;           ///< left off when it is 0 or the default: 80, with `secure` 443
  bool secure = false;
  std::string_view target = "/";  ///< path and query; "" means "/"
  std::string_view key;           ///< from newKey()
  std::string_view origin;        ///< left off when empty
  std::string_view protocols;     ///< sub-protocols to offer, separated by commas; left off when empty
  std::string_view extensions;    ///< Sec-WebSocket-Extensions to offer; left off when empty
  const Connection::HeaderList* headers = nullptr;  ///< the user's; a `Host` among them replaces ours
};

/// A fresh random Sec-WebSocket-Key.
[[nodiscard]] std::string newKey();

/// The request, ready to send.
///
/// In the target, what RFC 3986 does not let stand in a path or query is percent-encoded, as browsers do:
/// bytes that are not ASCII, `" < > [ \ ] ^ { | }`, the backtick, and a % that begins no encoding.
/// @throws std::invalid_argument naming what is wrong: a control character anywhere (but tabs in header
///         values), white space in the target, a Host that is no host and port, an Origin that is not ASCII,
///         a bad header name, or a user's header that the handshake itself sets (Upgrade, Connection,
///         Sec-WebSocket-Key, -Version and -Extensions; Origin and Sec-WebSocket-Protocol when they are also
///         given as such).
[[nodiscard]] std::string buildRequest(const HandshakeRequest& request);

/// Whether an answer of this status only comes before the one that counts: 1xx, but for 101.
/// @see RFC 9110 section 15.2
[[nodiscard]] constexpr bool isInterim(int status) noexcept {
  return status >= 100 && status < 200 && status != 101;
}

/// What is wrong with the server's answer, as a sentence; nothing when the upgrade is complete.
/// @param offeredProtocols and offeredExtensions: as in the request that was sent. A sub-protocol the user
/// offered by
///        a header of his own counts when it is passed here.
/// @see RFC 6455 section 4.1
[[nodiscard]] std::optional<std::string> checkResponse(const Http::detail::ResponseHead& head,
                                                       std::string_view key,
                                                       std::string_view offeredProtocols = {},
                                                       std::string_view offeredExtensions = {});

// -- server -------------------------------------------------------------------

/// The judgement on a request: status 0 and the key, or the status to refuse with and the cause.
struct RequestCheck {
  int status = 0;          ///< 0, 400, 405, 417 or 426
  const char* cause = "";  ///< static text
  std::string_view key{};  ///< in the head
  [[nodiscard]] bool ok() const noexcept { return status == 0; }
};

/// @see RFC 6455 section 4.2.1
[[nodiscard]] RequestCheck checkRequest(const Http::detail::RequestHead& head);

/// Whether the client waits for a 100 before the 101 (RFC 9110 section 7.8).
[[nodiscard]] bool expectsContinue(const Http::detail::RequestHead& head) noexcept;

/// The 101 answer. @param protocol the sub-protocol chosen, "" for none. @param extensions those accepted.
/// @throws std::invalid_argument for unsafe headers, and for those that the answer itself sets.
[[nodiscard]] std::string buildAccept(std::string_view key, std::string_view protocol = {},
                                      const Connection::HeaderList& headers = {},
                                      std::string_view extensions = {});

/// A refusal with `Connection: close`; 405 and 426 get the header that they need (Allow, Upgrade and
/// version).
/// @throws std::invalid_argument for unsafe headers.
[[nodiscard]] std::string buildRefusal(int status, const Connection::HeaderList& headers = {},
                                       std::string_view body = {});

}  // namespace Workerman::Protocols::detail
