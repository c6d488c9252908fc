#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string_view>

#include "../../connection/context.h"
#include "../../connection/headers.h"
#include "../../core/fwd.h"

namespace Workerman::Protocols::Http {

namespace detail {
struct RequestHead;
}

/// A request as a server has received it: what a websocket's callbacks are
/// given of the handshake. Views are valid while the request lives.
/// @see Workerman manual: http/request
class Request {
 public:
  /// Copies the head, so that this does not depend on the bytes that it was read from.
  explicit Request(const detail::RequestHead& head);
  Request(const Request&) = default;
  Request(Request&&) noexcept = default;
  Request& operator=(const Request&) = default;
  Request& operator=(Request&&) noexcept = default;
  ~Request() = default;

  /// Who sent it; null once the callback it was given to is over.
  Connection::TcpConnectionPtr connection;
  /// One's own values, by name.
  Connection::Context context;

  /// "GET", "POST", …
  std::string_view method() const noexcept;
  /// "1.1" or "1.0".
  std::string_view protocolVersion() const noexcept;
  /// The target as sent: "/path?query".
  std::string_view uri() const noexcept;
  /// The target without its query.
  std::string_view path() const noexcept;
  /// What follows the first "?"; empty if there is none.
  std::string_view queryString() const noexcept;

  /// All header fields, in order; copied out of the head at the first call.
  const Connection::HeaderList& header() const;
  /// The first value of a header field, named without case.
  std::optional<std::string_view> header(std::string_view name) const noexcept;
  std::string_view header(std::string_view name, std::string_view fallback) const noexcept {
    return header(name).value_or(fallback);
  }
  /// The Host field, without its port if asked; nothing if it was not sent.
  std::optional<std::string_view> host(bool withoutPort = false) const noexcept;

  /// The request line and header fields as received.
  std::string_view rawHead() const noexcept;
  /// What was read of it (internal).
  const detail::RequestHead& head() const noexcept;

  /// Prints the request as received.
  friend std::ostream& operator<<(std::ostream& out, const Request& request);

 private:
  struct Received;

  /// Never changed, so that copies of the request share it.
  std::shared_ptr<const Received> received_;
  mutable Connection::HeaderList list_;
};

std::ostream& operator<<(std::ostream& out, const Request& request);

}  // namespace Workerman::Protocols::Http
