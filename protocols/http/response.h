#pragma once

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "../../connection/headers.h"

namespace Workerman::Protocols::Http {

namespace detail {
struct ResponseHead;
}

/// An HTTP response: one to send, or the head that a client's websocket handshake received.
///
/// The setters return the response itself, so that calls can be chained. A header whose name or value could
/// split the response (control characters, or a name that is not a token) is kept out of what is printed and
/// sent.
/// @see Workerman manual: http/response
class Response {
 public:
  /// The usual reason phrase of each status.
  static const std::map<int, std::string> PHRASES;

  explicit Response(int status = 200, Connection::HeaderList headers = {}, std::string body = "");

  /// A response that was received: it prints as the status line and headers that came, and the empty line.
  [[nodiscard]] static Response fromHead(const detail::ResponseHead& head);

  /// Sets a header, in place of any of that name.
  Response& header(std::string_view name, std::string_view value);
  Response& withHeader(std::string_view name, std::string_view value) { return header(name, value); }
  /// Adds headers; one that is there already is repeated.
  Response& withHeaders(const Connection::HeaderList& headers);
  Response& withoutHeader(std::string_view name);
  /// The first value of that header; valid until the headers change.
  [[nodiscard]] std::optional<std::string_view> getHeader(std::string_view name) const noexcept;
  /// All headers as pairs, in order.
  [[nodiscard]] const Connection::HeaderList& getHeaders() const noexcept { return headers_; }

  /// @param reason in place of the status's usual phrase; CR, LF and NUL are taken out of it.
  Response& withStatus(int code, std::optional<std::string_view> reason = std::nullopt);
  [[nodiscard]] int getStatusCode() const noexcept { return status_; }
  /// The phrase given to withStatus() or received; nothing when it is the usual one.
  [[nodiscard]] std::optional<std::string_view> getReasonPhrase() const noexcept;

  /// "1.1" unless set. CR, LF and NUL are taken out.
  Response& withProtocolVersion(std::string_view version);
  [[nodiscard]] std::string_view getProtocolVersion() const noexcept { return version_; }

  Response& withBody(std::string body);
  [[nodiscard]] const std::string& rawBody() const noexcept { return body_; }

  /// Adds a cookie; the value is percent-encoded.
  /// @param maxAge seconds to live; nothing for the browser's session. Empty texts are left off.
  Response& cookie(std::string_view name, std::string_view value = "",
                   std::optional<int> maxAge = std::nullopt, std::string_view path = "",
                   std::string_view domain = "", bool secure = false, bool httpOnly = false,
                   std::string_view sameSite = "");

  /// The whole response as it goes on the wire, appended to `out`.
  void appendTo(std::string& out) const;
  [[nodiscard]] std::string toString() const;
  friend std::ostream& operator<<(std::ostream& out, const Response& response);

 private:
  void appendStatusLine(std::string& out) const;
  void appendHeaders(std::string& out) const;
  bool hasNoBody() const noexcept;
  bool keepsOwnLength() const noexcept;

  Connection::HeaderList headers_;
  std::string body_;
  std::string version_ = "1.1";
  std::optional<std::string> reason_;
  int status_;
  bool received_ = false;
};

std::ostream& operator<<(std::ostream& out, const Response& response);

}  // namespace Workerman::Protocols::Http
