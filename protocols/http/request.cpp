#include "request.h"

#include <ostream>
#include <utility>

namespace Workerman::Protocols::Http {

Request::Request(detail::RequestHead head, std::string rawHead)
    : head_(std::move(head)), rawHead_(std::move(rawHead)) {}

std::string_view Request::path() const noexcept {
  std::string_view target = uri();
  target = target.substr(0, target.find('?'));
  // The absolute form, as sent to a proxy, names scheme and host before it.
  const std::size_t scheme = target.starts_with('/') ? std::string_view::npos : target.find("://");
  if (scheme == std::string_view::npos) return target;
  const std::size_t slash = target.find('/', scheme + 3);
  return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
}

std::string_view Request::queryString() const noexcept {
  const std::string_view target = uri();
  const auto question = target.find('?');
  return question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
}

std::optional<std::string_view> Request::host(bool withoutPort) const noexcept {
  const auto host = header("Host");
  if (!host || !withoutPort) return host;
  // The colons of an IPv6 literal stand inside its brackets.
  const auto colon = host->rfind(':');
  const auto bracket = host->rfind(']');
  const bool hasPort =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return hasPort ? host->substr(0, colon) : *host;
}

std::ostream& operator<<(std::ostream& out, const Request& request) {
  return out << request.rawHead_ << "\r\n\r\n";
}

}  // namespace Workerman::Protocols::Http
