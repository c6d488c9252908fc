#include "response.h"

#include <algorithm>
#include <ostream>

#include "head_parser.h"

namespace Workerman::Protocols::Http {
namespace {

using Connection::equalNoCase;
using Connection::HeaderList;
using Connection::isSafeHeaderName;
using Connection::isSafeHeaderValue;

/// What is left of a text when nothing in it may end a line.
std::string onOneLine(std::string_view text) {
  std::string line(text);
  std::erase_if(line, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
  return line;
}

/// Percent-encoding as of RFC 3986: all but the unreserved characters.
std::string percentEncoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alphanumeric || c == '-' || c == '_' || c == '.' || c == '~') {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

void appendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

std::string hexadecimal(std::size_t value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[value % 16]);
  } while ((value /= 16) != 0);
  return digits;
}

}  // namespace

const std::map<int, std::string> Response::PHRASES = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {306, "Switch Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Payload Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Entity"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

Response::Response(int status, HeaderList headers, std::string body)
    : headers_(std::move(headers)), body_(std::move(body)), status_(status) {}

Response Response::fromHead(const detail::ResponseHead& head) {
  Response response(head.status, head.headers.toList());
  response.version_ = head.version;
  response.reason_ = head.reason;
  response.received_ = true;
  return response;
}

Response& Response::header(std::string_view name, std::string_view value) {
  headers_.set(name, value);
  return *this;
}

Response& Response::withHeaders(const HeaderList& headers) {
  const HeaderList added = headers;  // may be our own
  for (const auto& [name, value] : added) headers_.add(name, value);
  return *this;
}

Response& Response::withoutHeader(std::string_view name) {
  headers_.erase(name);
  return *this;
}

std::optional<std::string_view> Response::getHeader(std::string_view name) const noexcept {
  return headers_.get(name);
}

Response& Response::withStatus(int code, std::optional<std::string_view> reason) {
  status_ = code;
  reason_.reset();
  if (reason) reason_ = onOneLine(*reason);
  return *this;
}

std::optional<std::string_view> Response::getReasonPhrase() const noexcept {
  if (!reason_) return std::nullopt;
  return std::string_view(*reason_);
}

Response& Response::withProtocolVersion(std::string_view version) {
  version_ = onOneLine(version);
  return *this;
}

Response& Response::withBody(std::string body) {
  body_ = std::move(body);
  return *this;
}

Response& Response::cookie(std::string_view name, std::string_view value, std::optional<int> maxAge,
                           std::string_view path, std::string_view domain, bool secure, bool httpOnly,
                           std::string_view sameSite) {
  std::string field(name);
  field.append("=").append(percentEncoded(value));
  if (!domain.empty()) field.append("; Domain=").append(domain);
  if (maxAge) field.append("; Max-Age=").append(std::to_string(*maxAge));
  if (!path.empty()) field.append("; Path=").append(path);
  if (secure) field.append("; Secure");
  if (httpOnly) field.append("; HttpOnly");
  if (!sameSite.empty()) field.append("; SameSite=").append(sameSite);
  headers_.add("Set-Cookie", field);
  return *this;
}

bool Response::hasNoBody() const noexcept {
  return (status_ >= 100 && status_ < 200) || status_ == 204 || status_ == 304;
}

void Response::appendStatusLine(std::string& out) const {
  out.append("HTTP/").append(version_).append(" ").append(std::to_string(status_)).append(" ");
  if (reason_ && (received_ || !reason_->empty())) {
    out.append(*reason_);
  } else if (const auto phrase = PHRASES.find(status_); phrase != PHRASES.end()) {
    out.append(phrase->second);
  }
  out.append("\r\n");
}

/// Whether the application's own Content-Length stands: only where there is no body to measure, as in the
/// answer to HEAD. Two lengths, or a wrong one, would be two readings of where the body ends.
bool Response::keepsOwnLength() const noexcept {
  const auto length = headers_.get("Content-Length");
  return body_.empty() && length && headers_.count("Content-Length") == 1 && !length->empty() &&
         length->find_first_not_of("0123456789") == std::string_view::npos;
}

void Response::appendHeaders(std::string& out) const {
  const bool allLengths = received_ || keepsOwnLength();
  for (const auto& [name, value] : headers_) {
    if (!isSafeHeaderName(name) || !isSafeHeaderValue(value)) continue;
    if (!allLengths && equalNoCase(name, "Content-Length")) continue;
    appendField(out, name, value);
  }
}

void Response::appendTo(std::string& out) const {
  constexpr std::string_view kHtml = "text/html;charset=utf-8";
  appendStatusLine(out);
  appendHeaders(out);
  if (received_) return static_cast<void>(out.append("\r\n"));
  // Differs from Workerman: 1xx, 204 and 304 end with their head (RFC 9110 sections 8.6 and 15),
  // and a Content-Length of the application's own is not doubled.
  const bool headOnly = hasNoBody();
  const std::string length = std::to_string(body_.size());
  if (headers_.empty() && !headOnly) {
    appendField(out, "Content-Type", kHtml);
    appendField(out, "Content-Length", length);
    appendField(out, "Connection", "keep-alive");
    out.append("\r\n").append(body_);
    return;
  }
  if (!headers_.has("Connection")) appendField(out, "Connection", "keep-alive");
  const auto contentType = headers_.get("Content-Type");
  if (!headOnly && !contentType) appendField(out, "Content-Type", kHtml);
  // An event stream is only begun: what follows are events, without a length.
  if (headOnly || contentType == "text/event-stream") return static_cast<void>(out.append("\r\n"));
  if (headers_.has("Transfer-Encoding")) {
    out.append("\r\n");
    if (!body_.empty()) out.append(hexadecimal(body_.size())).append("\r\n").append(body_).append("\r\n");
    return;
  }
  if (!keepsOwnLength()) appendField(out, "Content-Length", length);
  out.append("\r\n").append(body_);
}

std::string Response::toString() const {
  std::string out;
  appendTo(out);
  return out;
}

std::ostream& operator<<(std::ostream& out, const Response& response) {
  return out << response.toString();
}

}  // namespace Workerman::Protocols::Http
