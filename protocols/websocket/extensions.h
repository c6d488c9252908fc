#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../http/head_fields.h"
#include "deflate_options.h"

/// Sec-WebSocket-Extensions, and how both sides agree on permessage-deflate (RFC 7692 section 7.1). Pure.

namespace Workerman::Protocols::detail {

/// One extension that is offered or accepted.
struct Extension {
  struct Parameter {
    std::string name;
    std::optional<std::string> value;  ///< without quotes
    friend bool operator==(const Parameter&, const Parameter&) = default;
  };
  std::string name;
  std::vector<Parameter> parameters;
  friend bool operator==(const Extension&, const Extension&) = default;
};

/// The extensions of one header value, in order; nothing if it is malformed. Empty elements of the list are
/// skipped, as lists in HTTP allow. @see RFC 6455 section 9.1
[[nodiscard]] std::optional<std::vector<Extension>> parseExtensions(std::string_view value);
/// The same of all Sec-WebSocket-Extensions fields together.
[[nodiscard]] std::optional<std::vector<Extension>> parseExtensions(const Http::detail::FieldList& headers);

/// What both sides keep to.
struct DeflateAgreement {
  bool serverNoContextTakeover = false;
  bool clientNoContextTakeover = false;
  std::uint8_t serverMaxWindowBits = 15;
  std::uint8_t clientMaxWindowBits = 15;
  friend bool operator==(const DeflateAgreement&, const DeflateAgreement&) = default;
};

/// The client's offer. @throws std::invalid_argument for window bits out of range.
[[nodiscard]] std::string offerDeflate(const DeflateOptions& options);

/// What a server answers.
struct AcceptedDeflate {
  DeflateAgreement agreed;
  std::string answer;  ///< the value of its Sec-WebSocket-Extensions
};
/// Takes the first offer of permessage-deflate that is not to be declined: for a parameter that is unknown,
/// given twice or has a bad value. Nothing if there is none.
/// @throws std::invalid_argument for window bits out of range.
/// @see RFC 7692 section 7.1
[[nodiscard]] std::optional<AcceptedDeflate> acceptDeflate(const std::vector<Extension>& offers,
                                                           const DeflateOptions& options);

/// What a client makes of the server's answer.
struct DeflateAnswer {
  std::optional<DeflateAgreement> agreed;  ///< nothing: the server declined
  std::string error;                       ///< not empty: the connection has to fail
};
/// @param options what offerDeflate() was given.
/// @see RFC 7692 section 7.1
[[nodiscard]] DeflateAnswer readDeflateAnswer(const std::vector<Extension>& answer,
                                              const DeflateOptions& options);

}  // namespace Workerman::Protocols::detail
