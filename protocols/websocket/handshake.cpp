#include "handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <stdexcept>

#include "../../connection/characters.h"
#include "../../core/base64.h"
#include "../../core/random.h"
#include "../http/response.h"
#include "extensions.h"

namespace Workerman::Protocols::detail {
namespace {

using Connection::equalNoCase;
using Connection::HeaderList;
using Http::detail::FieldList;
using Http::detail::FieldName;
using Http::detail::RequestHead;
using Http::detail::ResponseHead;

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
constexpr std::string_view kProtocolHeader = "Sec-WebSocket-Protocol";
constexpr std::string_view kExtensionsHeader = "Sec-WebSocket-Extensions";
/// Bytes that they seldom exceed.
constexpr std::size_t kUsualAnswer = 256;
constexpr std::size_t kUsualRequest = 512;

template <std::size_t Size>
std::string base64(const std::array<unsigned char, Size>& bytes) {
  return Workerman::detail::base64({reinterpret_cast<const char*>(bytes.data()), Size});
}

/// Looked up once for the process, and one context for each thread: OpenSSL would search for the one and make
/// the other in every handshake.
std::array<unsigned char, 20> sha1(std::string_view first, std::string_view second) {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                                     &EVP_MD_CTX_free);
  std::array<unsigned char, 20> digest;
  const bool isMade = algorithm != nullptr && context &&
                      EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1 &&
                      EVP_DigestUpdate(context.get(), first.data(), first.size()) == 1 &&
                      EVP_DigestUpdate(context.get(), second.data(), second.size()) == 1 &&
                      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!isMade) throw std::runtime_error("OpenSSL has no SHA-1");
  return digest;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

/// Calls `visit` with each element of a comma-separated list until it returns true; tells whether it did.
template <class Visit>
bool anyElement(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trimmed(list.substr(0, comma));
    if (!element.empty() && visit(element)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

[[noreturn]] void refuse(const std::string& cause) {
  throw std::invalid_argument("websocket handshake: " + cause);
}

void requireSafe(const std::string& what, std::string_view value) {
  if (Connection::isSafeHeaderValue(value)) return;
  const bool splits = value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
  refuse(what + (splits ? " contains CR, LF or NUL" : " contains a control character"));
}

/// The user's headers: safe, and none of those that the handshake sets itself.
void requireUsable(const HeaderList& headers, std::initializer_list<std::string_view> reserved) {
  for (const auto& [name, value] : headers) {
    if (!Connection::isSafeHeaderName(name)) {
      requireSafe("a header name", name);
      refuse("\"" + name + "\" is not a header name");
    }
    if (!Connection::isSafeHeaderValue(value)) requireSafe("header " + name, value);
    for (const std::string_view taken : reserved) {
      if (equalNoCase(name, taken)) refuse("header " + name + " is set by the handshake itself");
    }
  }
}

void appendField(std::string& out, std::string_view name, std::string_view value) {
  if (!value.empty()) out.append(name).append(": ").append(value).append("\r\n");
}

std::string hostField(const HandshakeRequest& request, const HeaderList& headers) {
  if (const auto own = headers.get("Host")) return std::string(*own);
  if (request.host.empty()) return "localhost";
  const bool literal = request.host.find(':') != std::string_view::npos && request.host.front() != '[';
  std::string host = literal ? "[" + std::string(request.host) + "]" : std::string(request.host);
  if (request.port != 0 && request.port != (request.secure ? 443 : 80))
    host += ":" + std::to_string(request.port);
  return host;
}

/// An origin has its names in punycode (RFC 6454 section 6.2).
void requireAscii(const char* what, std::string_view value) {
  const auto isForeign = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
  if (std::any_of(value.begin(), value.end(), isForeign)) {
    refuse(std::string(what) + " is not ASCII; an international name is written in punycode");
  }
}

/// Whether what stands at `at` may stand there as it is: a % only in front of two hexadecimal digits.
bool mayStand(std::string_view target, std::size_t at) noexcept {
  using namespace Connection::detail;
  if (target[at] != '%') return isOf(target[at], kTargetCharacter);
  return at + 2 < target.size() && isOf(target[at + 1], kHexDigit) && isOf(target[at + 2], kHexDigit);
}

void appendTarget(std::string& out, std::string_view target) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  if (!target.starts_with('/')) out += '/';
  for (std::size_t at = 0; at < target.size(); ++at) {
    if (mayStand(target, at)) {
      out += target[at];
    } else {
      const auto byte = static_cast<unsigned char>(target[at]);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
}

void requireUsable(const HandshakeRequest& request, const HeaderList& headers) {
  requireSafe("the host", request.host);
  requireSafe("the URI", request.target);
  requireSafe("the origin", request.origin);
  requireSafe("the sub-protocol", request.protocols);
  requireSafe("the extensions", request.extensions);
  // Browsers encode a space; in an address that a program is given it is nearly always a slip.
  if (request.target.find_first_of(" \t") != std::string_view::npos) refuse("the URI contains white space");
  requireUsable(headers, {"Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
                          kExtensionsHeader, "Sec-WebSocket-Accept", "Content-Length", "Transfer-Encoding"});
  if (headers.count("Host") > 1) refuse("header Host is given twice");
  requireAscii("the origin", request.origin);
  requireAscii("header Origin", headers.get("Origin").value_or(""));
  if (!request.origin.empty() && headers.has("Origin")) refuse("the origin is given twice, also as a header");
  if (!request.protocols.empty() && headers.has(kProtocolHeader)) {
    refuse("the sub-protocol is given twice, also as a header");
  }
}

std::string describeRefusal(const ResponseHead& head) {
  std::string text = "server answered " + std::to_string(head.status);
  if (!head.reason.empty()) text.append(" ").append(head.reason);
  if (const auto location = head.headers.get(FieldName::Location))
    text.append(" (Location: ").append(*location).append(")");
  return text + " instead of switching to websocket";
}

std::optional<std::string> checkProtocol(const FieldList& headers, std::string_view offered) {
  const std::size_t answers = headers.count(FieldName::SecWebSocketProtocol);
  if (answers == 0) return std::nullopt;
  if (answers > 1) return "server chose more than one sub-protocol";
  const std::string_view chosen = *headers.get(FieldName::SecWebSocketProtocol);
  if (anyElement(offered, [chosen](std::string_view one) { return one == chosen; })) return std::nullopt;
  return "server chose the sub-protocol \"" + std::string(chosen) + "\", which was not offered";
}

std::optional<std::string> checkExtensions(const FieldList& headers, std::string_view offered) {
  const std::size_t answers = headers.count(FieldName::SecWebSocketExtensions);
  if (answers == 0) return std::nullopt;
  // RFC 6455 section 11.3.2
  if (answers > 1) return "server's answer has more than one Sec-WebSocket-Extensions";
  const auto used = parseExtensions(headers);
  if (!used) return "server's answer has a malformed Sec-WebSocket-Extensions";
  const auto known = parseExtensions(offered).value_or(std::vector<Extension>());
  for (const auto& extension : *used) {
    const auto isIt = [&](const Extension& one) { return one.name == extension.name; };
    if (std::none_of(known.begin(), known.end(), isIt)) {
      return "server uses the extension \"" + extension.name + "\", which was not offered";
    }
  }
  return std::nullopt;
}

/// Anything in Expect but what HTTP knows. @see RFC 9110 section 10.1.1
bool hasUnknownExpectation(const FieldList& headers) {
  const auto isUnknown = [](std::string_view one) { return !equalNoCase(one, "100-continue"); };
  return headers.any(FieldName::Expect, [&](std::string_view value) { return anyElement(value, isUnknown); });
}

/// Base64 of exactly sixteen bytes.
bool isKey(std::string_view key) {
  const auto digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, digit);
}

}  // namespace

std::string acceptFor(std::string_view key) {
  return base64(sha1(key, kGuid));
}

bool headerHasToken(const FieldList& headers, FieldName name, std::string_view token) noexcept {
  const auto equals = [token](std::string_view element) { return equalNoCase(element, token); };
  return headers.any(name, [&](std::string_view value) { return anyElement(value, equals); });
}

// -- client -------------------------------------------------------------------

std::string newKey() {
  std::array<unsigned char, 16> bytes;
  Workerman::detail::fillRandom(bytes.data(), bytes.size());
  return base64(bytes);
}

std::string buildRequest(const HandshakeRequest& request) {
  static const HeaderList none;
  const HeaderList& headers = request.headers != nullptr ? *request.headers : none;
  requireUsable(request, headers);

  std::string out;
  out.reserve(kUsualRequest);
  out.append("GET ");
  appendTarget(out, request.target);
  out.append(" HTTP/1.1\r\n");
  const std::string host = hostField(request, headers);
  if (!Http::detail::isHostAndPort(host)) refuse("Host \"" + host + "\" is not a host and port");
  appendField(out, "Host", host);
  appendField(out, "Connection", "Upgrade");
  appendField(out, "Upgrade", "websocket");
  appendField(out, "Origin", request.origin);
  appendField(out, kProtocolHeader, request.protocols);
  appendField(out, kExtensionsHeader, request.extensions);
  appendField(out, "Sec-WebSocket-Version", "13");
  appendField(out, "Sec-WebSocket-Key", request.key);
  for (const auto& [name, value] : headers) {
    if (!equalNoCase(name, "Host")) out.append(name).append(": ").append(value).append("\r\n");
  }
  return out.append("\r\n");
}

std::optional<std::string> checkResponse(const ResponseHead& head, std::string_view key,
                                         std::string_view offeredProtocols,
                                         std::string_view offeredExtensions) {
  if (head.status != 101) return describeRefusal(head);
  if (head.version != "1.1") return "server answered 101 in HTTP/" + std::string(head.version);
  if (!headerHasToken(head.headers, FieldName::Upgrade, "websocket"))
    return "server's answer has no \"Upgrade: websocket\"";
  if (!headerHasToken(head.headers, FieldName::Connection, "Upgrade"))
    return "server's answer has no \"Connection: Upgrade\"";
  const std::size_t accepts = head.headers.count(FieldName::SecWebSocketAccept);
  if (accepts == 0) return "server's answer has no Sec-WebSocket-Accept";
  if (accepts > 1) return "server's answer has more than one Sec-WebSocket-Accept";
  if (*head.headers.get(FieldName::SecWebSocketAccept) != acceptFor(key)) {
    return "Sec-WebSocket-Accept of the server's answer does not match the key";
  }
  if (auto error = checkProtocol(head.headers, offeredProtocols)) return error;
  return checkExtensions(head.headers, offeredExtensions);
}

// -- server -------------------------------------------------------------------

RequestCheck checkRequest(const RequestHead& head) {
  const FieldList& headers = head.headers;
  const auto key = headers.get(FieldName::SecWebSocketKey);
  if (head.method != "GET") return {405, "a websocket handshake is a GET request", {}};
  if (head.version != "1.1") return {400, "a websocket handshake needs HTTP/1.1", {}};
  if (!headerHasToken(headers, FieldName::Upgrade, "websocket"))
    return {426, "no \"Upgrade: websocket\"", {}};
  if (!headerHasToken(headers, FieldName::Connection, "Upgrade"))
    return {400, "no \"Connection: Upgrade\"", {}};
  if (headers.has(FieldName::TransferEncoding) ||
      headers.get(FieldName::ContentLength).value_or("0") != "0") {
    return {400, "a websocket handshake has no body", {}};
  }
  if (!headers.has(FieldName::SecWebSocketVersion)) return {400, "no Sec-WebSocket-Version", {}};
  if (headers.count(FieldName::SecWebSocketVersion) > 1)
    return {400, "more than one Sec-WebSocket-Version", {}};
  if (headers.get(FieldName::SecWebSocketVersion) != "13")
    return {426, "Sec-WebSocket-Version is not 13", {}};
  if (!key) return {400, "no Sec-WebSocket-Key", {}};
  if (headers.count(FieldName::SecWebSocketKey) > 1) return {400, "more than one Sec-WebSocket-Key", {}};
  if (hasUnknownExpectation(headers)) return {417, "an expectation other than 100-continue", {}};
  if (!isKey(*key)) return {400, "Sec-WebSocket-Key is not sixteen bytes in base64", {}};
  if (!parseExtensions(headers)) return {400, "Sec-WebSocket-Extensions is malformed", {}};
  return {0, "", *key};
}

bool expectsContinue(const RequestHead& head) noexcept {
  return headerHasToken(head.headers, FieldName::Expect, "100-continue");
}

std::string buildAccept(std::string_view key, std::string_view protocol, const HeaderList& headers,
                        std::string_view extensions) {
  requireSafe("the sub-protocol", protocol);
  requireUsable(headers, {"Upgrade", "Connection", "Sec-WebSocket-Accept", kExtensionsHeader,
                          "Content-Length", "Transfer-Encoding"});
  if (!protocol.empty() && headers.has(kProtocolHeader))
    refuse("the sub-protocol is given twice, also as a header");
  std::string out;
  out.reserve(kUsualAnswer);
  out.append(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ");
  out.append(acceptFor(key)).append("\r\n");
  appendField(out, kProtocolHeader, protocol);
  appendField(out, kExtensionsHeader, extensions);
  for (const auto& [name, value] : headers) out.append(name).append(": ").append(value).append("\r\n");
  return out.append("\r\n");
}

std::string buildRefusal(int status, const HeaderList& headers, std::string_view body) {
  requireUsable(headers, {"Connection", "Content-Length", "Transfer-Encoding"});
  Http::Response response(status, headers, std::string(body));
  response.header("Connection", "close");
  if (status == 405 && !headers.has("Allow")) response.header("Allow", "GET");
  if (status == 426) {
    if (!headers.has("Upgrade")) response.header("Upgrade", "websocket");
    // The connection is closed and its options name the upgrade that is wanted (RFC 9110 section 7.8).
    response.header("Connection", "close, Upgrade");
    if (!headers.has("Sec-WebSocket-Version")) response.header("Sec-WebSocket-Version", "13");
  }
  return response.toString();
}

}  // namespace Workerman::Protocols::detail
