#include "address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace Workerman::Connection::detail {

namespace {

constexpr std::array<std::string_view, 15> kKnownSchemes = {
    "frame", "http", "https", "redis", "ssl",       "sslv2", "sslv3", "tcp",
    "text",  "tls",  "udp",   "unix",  "websocket", "ws",    "wss",
};

char toLower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool isDigit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool isAlpha(char c) noexcept {
  return toLower(c) >= 'a' && toLower(c) <= 'z';
}
bool isControl(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string lowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), toLower);
  return lower;
}

/// Fit for one line of a log whatever was given.
std::string printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr std::size_t kLongest = 200;
  std::string result;
  for (const char c : text.substr(0, kLongest)) {
    if (isControl(c)) {
      const auto byte = static_cast<unsigned char>(c);
      result.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    } else {
      result.push_back(c);
    }
  }
  return text.size() > kLongest ? result.append("…") : result;
}

class Parser {
 public:
  Parser(std::string_view what, std::string_view text, AddressKind kind)
      : what_(what), text_(text), rest_(text), kind_(kind) {}

  Address parse() {
    refuseIf(text_.empty(), "it is empty");
    refuseIf(std::any_of(text_.begin(), text_.end(), isControl), "it holds a control character");
    parseScheme();
    if (address_.scheme == "unix" || kind_ == AddressKind::Unix) {
      refuseIf(rest_.empty(), "no path of a unix socket");
      address_.isUnix = true;
      address_.unixPath = rest_;
      return address_;
    }
    refuseIf(text_.find(' ') != std::string_view::npos, "it holds a space");
    const std::size_t authorityEnd = std::min(rest_.find_first_of("/?#"), rest_.size());
    parseTarget(rest_.substr(authorityEnd));
    parseAuthority(rest_.substr(0, authorityEnd));
    return address_;
  }

  Address parseHostAndPort() {
    refuseIf(text_.find('/') != std::string_view::npos, "it is host:port, with no scheme and no path");
    Address address = parse();
    refuseIf(address.port == 0, "the port is missing");
    return address;
  }

 private:
  [[noreturn]] void refuse(std::string_view cause) const {
    throw std::invalid_argument("Bad " + std::string(what_) + " \"" + printable(text_) +
                                "\": " + std::string(cause));
  }
  void refuseIf(bool condition, std::string_view cause) const {
    if (condition) {
      refuse(cause);
    }
  }

  /// "scheme://" in front; without it the address is tcp.
  void parseScheme() {
    const std::size_t end = rest_.find("://");
    // A path or query may hold "://" itself.
    if (end == std::string_view::npos ||
        rest_.substr(0, end).find_first_of("/?#") != std::string_view::npos) {
      return;
    }
    const std::string_view scheme = rest_.substr(0, end);
    refuseIf(scheme.empty(), "the scheme in front of \"://\" is missing");
    refuseIf(!isAlpha(scheme.front()) ||
                 !std::all_of(scheme.begin(), scheme.end(), [](char c) { return isAlpha(c) || isDigit(c); }),
             "a scheme is a letter followed by letters and digits");
    const std::string lower = lowerCase(scheme);
    const bool isKnown = std::find(kKnownSchemes.begin(), kKnownSchemes.end(), lower) != kKnownSchemes.end();
    address_.scheme = isKnown ? lower : std::string(scheme);
    rest_.remove_prefix(end + 3);
  }

  void parseTarget(std::string_view target) {
    // RFC 6455 section 3 rules fragments out, and no other protocol here has any.
    refuseIf(target.find('#') != std::string_view::npos,
             "a fragment (\"#…\") is not allowed; write # as %23");
    if (!target.empty()) {
      address_.target = target.front() == '/' ? std::string(target) : '/' + std::string(target);
    }
  }

  void parseAuthority(std::string_view authority) {
    refuseIf(authority.find('@') != std::string_view::npos,
             "user and password are not taken from the address; send a header instead");
    if (!authority.empty() && authority.front() == '[') {
      const std::size_t close = authority.find(']');
      refuseIf(close == std::string_view::npos, "the ] of the IPv6 address is missing");
      parseIpv6(authority.substr(1, close - 1));
      const std::string_view port = authority.substr(close + 1);
      refuseIf(!port.empty() && port.front() != ':', "only a port may follow the ]");
      if (!port.empty()) {
        parsePort(port.substr(1));
      }
      return;
    }
    const std::size_t colon = authority.find(':');
    refuseIf(colon != authority.rfind(':'), "an IPv6 address is written in brackets: [::1]:80");
    parseHost(authority.substr(0, colon));
    if (colon != std::string_view::npos) {
      parsePort(authority.substr(colon + 1));
    }
  }

  void parseIpv6(std::string_view literal) {
    const std::size_t percent = literal.find('%');
    const std::string ip(literal.substr(0, percent));
    in6_addr ignored{};
    refuseIf(::inet_pton(AF_INET6, ip.c_str(), &ignored) != 1,
             "what stands in the brackets is no IPv6 address");
    address_.host = ip;
    address_.isIpv6Literal = true;
    if (percent == std::string_view::npos) {
      return;
    }
    std::string_view zone = literal.substr(percent + 1);
    // RFC 6874 writes the percent sign of a zone as %25.
    if (zone.size() > 2 && zone.substr(0, 2) == "25") {
      zone.remove_prefix(2);
    }
    refuseIf(zone.empty(), "the zone behind % is missing");
    refuseIf(!std::all_of(zone.begin(), zone.end(), isHostCharacter),
             "the zone behind % holds an illegal character");
    address_.zone = zone;
  }

  void parseHost(std::string_view host) {
    refuseIf(host.empty(), "the host is missing");
    // In a certificate it would stand for every name below it.
    refuseIf(host.front() == '.', "the host begins with a dot");
    refuseIf(!std::all_of(host.begin(), host.end(), isHostCharacter),
             "the host holds an illegal character; an international name is written in punycode");
    address_.host = host;
  }

  void parsePort(std::string_view port) {
    refuseIf(port.empty(), "the port behind : is missing");
    std::uint32_t value = 0;
    for (const char c : port) {
      refuseIf(!isDigit(c), "the port is not a number");
      value = value * 10 + static_cast<std::uint32_t>(c - '0');
      refuseIf(value > 65535, "the port is above 65535");
    }
    address_.port = static_cast<std::uint16_t>(value);
  }

  /// Letters, digits and what names in the wild hold beside them.
  static bool isHostCharacter(char c) noexcept {
    return isAlpha(c) || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~';
  }

  std::string_view what_;
  std::string_view text_;
  std::string_view rest_;
  AddressKind kind_;
  Address address_;
};

}  // namespace

Address parseRemoteAddress(std::string_view text, AddressKind kind) {
  return Parser("remoteAddress", text, kind).parse();
}

Address parseListenAddress(std::string_view text, AddressKind kind) {
  return Parser("listen address", text, kind).parse();
}

Address parseProxyAddress(std::string_view text) {
  return Parser("proxy address", text, AddressKind::Inet).parseHostAndPort();
}

std::string formatAddress(std::string_view host, std::uint16_t port) {
  const bool needsBrackets = host.find(':') != std::string_view::npos;
  std::string text;
  text.reserve(host.size() + 8);
  text.append(needsBrackets ? "[" : "").append(host).append(needsBrackets ? "]:" : ":");
  return text.append(std::to_string(port));
}

bool isSameScheme(std::string_view left, std::string_view right) noexcept {
  return left.size() == right.size() && (left.empty() || (toLower(left.front()) == toLower(right.front()) &&
                                                          left.substr(1) == right.substr(1)));
}

}  // namespace Workerman::Connection::detail
