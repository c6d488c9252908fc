#include "request.h"

#include <ostream>
#include <string>

#include "head_parser.h"

namespace Workerman::Protocols::Http {

struct Request::Received {
  explicit Received(const detail::RequestHead& of) : bytes(of.bytes), head(of) { head.rebase(bytes.data()); }
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;

  const std::string bytes;
  detail::RequestHead head;
};

Request::Request(const detail::RequestHead& head) : received_(std::make_shared<const Received>(head)) {}

const detail::RequestHead& Request::head() const noexcept {
  return received_->head;
}

std::string_view Request::method() const noexcept {
  return head().method;
}

std::string_view Request::protocolVersion() const noexcept {
  return head().version;
}

std::string_view Request::uri() const noexcept {
  return head().target;
}

const Connection::HeaderList& Request::header() const {
  if (list_.empty()) list_ = head().headers.toList();
  return list_;
}

std::optional<std::string_view> Request::header(std::string_view name) const noexcept {
  return head().headers.get(name);
}

std::string_view Request::rawHead() const noexcept {
  constexpr std::string_view kEnd = "\r\n\r\n";
  return head().bytes.substr(0, head().bytes.size() - kEnd.size());
}

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
  return out << request.head().bytes;
}

}  // namespace Workerman::Protocols::Http
