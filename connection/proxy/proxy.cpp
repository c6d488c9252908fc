#include "proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <stdexcept>

#include "../../core/base64.h"
#include "../characters.h"
#include "../names/address.h"

namespace Workerman::Connection::detail {

namespace {

using What = ProxyHandshake::Step::What;

constexpr char kSocksVersion = 5;
constexpr char kAuthVersion = 1;
constexpr char kMethodNone = 0;
constexpr char kMethodPassword = 2;
constexpr char kMethodRefused = '\xff';
constexpr char kCommandConnect = 1;
constexpr char kTypeIpv4 = 1;
constexpr char kTypeName = 3;
constexpr char kTypeIpv6 = 4;
constexpr std::size_t kLongestField = 255;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

bool isControl(char c) noexcept {
  return isOf(c, kControlCharacter);
}

bool isDigit(char c) noexcept {
  return isOf(c, kDigit);
}

void requireField(std::string_view name, std::string_view value) {
  if (value.size() > kLongestField) {
    throw std::invalid_argument("proxy: " + std::string(name) + " has more than 255 bytes");
  }
}

void requireTarget(std::string_view host, std::uint16_t port) {
  if (host.empty() || port == 0) {
    throw std::invalid_argument("proxy: the host or the port to connect to is missing");
  }
  requireField("the host", host);
  if (std::any_of(host.begin(), host.end(), [](char c) { return isControl(c) || c == ' '; })) {
    throw std::invalid_argument("proxy: the host holds a space or a control character");
  }
  in6_addr ignored{};
  const bool isIpv6 = host.find(':') != std::string_view::npos &&
                      ::inet_pton(AF_INET6, std::string(host).c_str(), &ignored) == 1;
  if (!isIpv6 && !allOf(host, kHostCharacter)) {
    throw std::invalid_argument("proxy: the host holds an illegal character");
  }
}

std::string sizedField(std::string_view value) {
  return std::string(1, static_cast<char>(value.size())).append(value);
}

/// Type and address as RFC 1928 section 5 has them.
std::string socksAddress(std::string_view host) {
  const std::string text(host);
  char bytes[sizeof(in6_addr)];
  if (::inet_pton(AF_INET, text.c_str(), bytes) == 1) {
    return std::string(1, kTypeIpv4).append(bytes, sizeof(in_addr));
  }
  if (::inet_pton(AF_INET6, text.c_str(), bytes) == 1) {
    return std::string(1, kTypeIpv6).append(bytes, sizeof(in6_addr));
  }
  return std::string(1, kTypeName).append(sizedField(host));
}

/// RFC 1928 section 6.
std::string socksFailure(unsigned char reply) {
  switch (reply) {
    case 1:
      return "general failure of the proxy";
    case 2:
      return "connection not allowed by the proxy's rules";
    case 3:
      return "network unreachable";
    case 4:
      return "host unreachable";
    case 5:
      return "connection refused";
    case 6:
      return "TTL expired";
    case 7:
      return "command not supported";
    case 8:
      return "address type not supported";
    default:
      return "unknown reply " + std::to_string(reply);
  }
}

constexpr std::size_t kCodeAt = 9;  // behind "HTTP/1.1 "
constexpr std::size_t kCodeSize = 3;

/// Begins with "HTTP/1." already.
bool isStatusLine(std::string_view line) {
  if (line.size() < kCodeAt + kCodeSize || !isDigit(line[kCodeAt - 2]) || line[kCodeAt - 1] != ' ') {
    return false;
  }
  const std::string_view code = line.substr(kCodeAt, kCodeSize);
  const std::string_view reason = line.substr(kCodeAt + kCodeSize);
  return std::all_of(code.begin(), code.end(), isDigit) && (reason.empty() || reason.front() == ' ') &&
         std::none_of(reason.begin(), reason.end(), [](char c) { return isControl(c) && c != '\t'; });
}

/// Interim answers, 101 aside, may come before the final one: RFC 9110 section 15.2.
bool isInterim(std::string_view line) {
  return isStatusLine(line) && line[kCodeAt] == '1' && line.substr(kCodeAt, kCodeSize) != "101";
}

ProxyHandshake::Step needMore(std::string_view piece) {
  return {.what = What::NeedMore, .consumed = piece.size()};
}

}  // namespace

ProxyHandshake ProxyHandshake::socks5(std::string_view host, std::uint16_t port, std::string_view user,
                                      std::string_view password) {
  requireTarget(host, port);
  requireField("the user name", user);
  requireField("the password", password);
  ProxyHandshake handshake;
  handshake.state_ = State::SocksMethod;
  if (user.empty() && password.empty()) {
    handshake.start_ = {kSocksVersion, 1, kMethodNone};
  } else {
    handshake.start_ = {kSocksVersion, 2, kMethodNone, kMethodPassword};
    handshake.authRequest_.append(1, kAuthVersion).append(sizedField(user)).append(sizedField(password));
  }
  handshake.connectRequest_ = {kSocksVersion, kCommandConnect, 0};
  handshake.connectRequest_.append(socksAddress(host));
  handshake.connectRequest_.append({static_cast<char>(port >> 8), static_cast<char>(port & 0xff)});
  return handshake;
}

ProxyHandshake ProxyHandshake::httpConnect(std::string_view host, std::uint16_t port,
                                           std::string_view authorization) {
  requireTarget(host, port);
  if (std::any_of(authorization.begin(), authorization.end(), isControl)) {
    throw std::invalid_argument("proxy: the authorization holds a control character");
  }
  const std::string target = formatAddress(host, port);
  ProxyHandshake handshake;
  handshake.state_ = State::HttpHead;
  handshake.start_ = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!authorization.empty()) {
    handshake.start_.append("Proxy-Authorization: ").append(authorization).append("\r\n");
  }
  handshake.start_.append("Proxy-Connection: keep-alive\r\n\r\n");
  return handshake;
}

std::string ProxyHandshake::basicAuthorization(std::string_view user, std::string_view password) {
  const std::string pair = std::string(user).append(":").append(password);
  if (user.find(':') != std::string_view::npos || std::any_of(pair.begin(), pair.end(), isControl)) {
    throw std::invalid_argument(
        "proxy: a colon in the user name, or a control character in it or the password");
  }
  return "Basic " + Workerman::detail::base64(pair);
}

const char* ProxyHandshake::awaited() const noexcept {
  switch (state_) {
    case State::SocksMethod:
      return "the SOCKS5 proxy's choice of a method";
    case State::SocksAuth:
      return "the SOCKS5 proxy's answer to the login";
    case State::SocksReply:
      return "the SOCKS5 proxy's answer to the connect request";
    case State::HttpHead:
      return "the HTTP proxy's answer";
    case State::Done:
    case State::Failed:
      break;
  }
  return "nothing";
}

ProxyHandshake::Step ProxyHandshake::feed(std::string_view piece) {
  switch (state_) {
    case State::SocksMethod:
      return feedSocksMethod(piece);
    case State::SocksAuth:
      return feedSocksAuth(piece);
    case State::SocksReply:
      return feedSocksReply(piece);
    case State::HttpHead:
      return feedHttpHead(piece);
    case State::Done:
      return {.what = What::Done};
    case State::Failed:
      break;
  }
  return {.what = What::Failed, .error = error_};
}

ProxyHandshake::Step ProxyHandshake::fail(std::string error, std::size_t consumed) {
  state_ = State::Failed;
  error_ = std::move(error);
  return {.what = What::Failed, .error = error_, .consumed = consumed};
}

bool ProxyHandshake::collect(std::string_view piece, std::size_t size, std::size_t& used) {
  if (received_.size() < size) {
    const std::string_view part = piece.substr(used, size - received_.size());
    received_.append(part);
    used += part.size();
  }
  return received_.size() >= size;
}

ProxyHandshake::Step ProxyHandshake::feedSocksMethod(std::string_view piece) {
  std::size_t used = 0;
  const bool isWhole = collect(piece, 2, used);
  if (!received_.empty() && received_[0] != kSocksVersion) {
    return fail("SOCKS5 proxy: what answers is no SOCKS5 proxy", used);
  }
  if (!isWhole) {
    return needMore(piece);
  }
  const char method = received_[1];
  received_.clear();
  if (method == kMethodNone) {
    state_ = State::SocksReply;
    return {.what = What::Send, .send = connectRequest_, .consumed = used};
  }
  if (method == kMethodPassword && !authRequest_.empty()) {
    state_ = State::SocksAuth;
    return {.what = What::Send, .send = authRequest_, .consumed = used};
  }
  if (method == kMethodRefused && authRequest_.empty()) {
    return fail("SOCKS5 proxy: authentication method negotiation failed: it wants a user name and password",
                used);
  }
  return fail(
      method == kMethodRefused
          ? "SOCKS5 proxy: authentication method negotiation failed: it takes none of the methods offered"
          : "SOCKS5 proxy: authentication method negotiation failed: it chose a method not offered",
      used);
}

ProxyHandshake::Step ProxyHandshake::feedSocksAuth(std::string_view piece) {
  std::size_t used = 0;
  const bool isWhole = collect(piece, 2, used);
  if (!received_.empty() && received_[0] != kAuthVersion) {
    return fail("SOCKS5 proxy: malformed answer to the authentication", used);
  }
  if (!isWhole) {
    return needMore(piece);
  }
  const bool isAccepted = received_[1] == 0;
  received_.clear();
  if (!isAccepted) {
    return fail("SOCKS5 proxy: authentication failed: user name or password not accepted", used);
  }
  state_ = State::SocksReply;
  return {.what = What::Send, .send = connectRequest_, .consumed = used};
}

ProxyHandshake::Step ProxyHandshake::feedSocksReply(std::string_view piece) {
  constexpr std::size_t kHeadSize = 4;
  constexpr std::size_t kPortSize = 2;
  std::size_t used = 0;
  // Each byte is judged as soon as it is there: a proxy that refuses may send no more than the reason.
  collect(piece, 2, used);
  if (!received_.empty() && received_[0] != kSocksVersion) {
    return fail("SOCKS5 proxy: malformed answer to the connect request", used);
  }
  if (received_.size() >= 2 && received_[1] != 0) {
    return fail("SOCKS5 proxy: connect failed: " + socksFailure(static_cast<unsigned char>(received_[1])),
                used);
  }
  // A name says its length in the byte behind the head; the others are told by their type.
  if (!collect(piece, kHeadSize + 1, used)) {
    return needMore(piece);
  }
  std::size_t addressSize = 0;
  switch (received_[3]) {
    case kTypeIpv4:
      addressSize = sizeof(in_addr);
      break;
    case kTypeIpv6:
      addressSize = sizeof(in6_addr);
      break;
    case kTypeName:
      addressSize = 1 + static_cast<unsigned char>(received_[kHeadSize]);
      break;
    default:
      return fail("SOCKS5 proxy: malformed answer to the connect request: unknown address type", used);
  }
  if (!collect(piece, kHeadSize + addressSize + kPortSize, used)) {
    return needMore(piece);
  }
  state_ = State::Done;
  return {.what = What::Done, .consumed = used};
}

ProxyHandshake::Step ProxyHandshake::feedHttpHead(std::string_view piece) {
  constexpr std::string_view kStart = "HTTP/1.";
  const std::size_t before = received_.size();
  const std::size_t taken = std::min(piece.size(), kMaxHead - before);
  received_.append(piece.substr(0, taken));
  // An end cut in two begins up to three bytes before the new ones.
  std::size_t from = std::max(headStart_, before - std::min(before, kHeadEnd.size() - 1));
  while (true) {
    const std::string_view head = std::string_view(received_).substr(headStart_);
    // A peer that is no HTTP proxy is told from its first bytes, not when it stalls.
    if (head.substr(0, kStart.size()) != kStart.substr(0, head.size())) {
      return fail("Proxy CONNECT failed: what answers is no HTTP/1 proxy", taken);
    }
    const std::size_t end = received_.find(kHeadEnd, from);
    if (end == std::string::npos) {
      break;
    }
    const std::size_t headEnd = end + kHeadEnd.size();
    const std::string_view statusLine = head.substr(0, head.find("\r\n"));
    if (!isInterim(statusLine)) {
      return finishHttpHead(statusLine, taken - (received_.size() - headEnd));
    }
    headStart_ = from = headEnd;
  }
  if (received_.size() >= kMaxHead) {
    return fail("Proxy CONNECT failed: its answer has more than 16384 bytes", taken);
  }
  return needMore(piece);
}

ProxyHandshake::Step ProxyHandshake::finishHttpHead(std::string_view statusLine, std::size_t used) {
  constexpr std::size_t kLongestReason = 200;
  if (!isStatusLine(statusLine)) {
    return fail("Proxy CONNECT failed: malformed status line", used);
  }
  const std::string_view code = statusLine.substr(kCodeAt, kCodeSize);
  const std::string_view reason = statusLine.substr(kCodeAt + kCodeSize);
  if (code.front() != '2') {
    return fail("Proxy CONNECT failed: " + std::string(code).append(reason.substr(0, kLongestReason)), used);
  }
  state_ = State::Done;
  return {.what = What::Done, .consumed = used};
}

}  // namespace Workerman::Connection::detail
