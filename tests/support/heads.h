#pragma once

/// Heads of messages, whose bytes stay as long as the program runs: what is read of them are views.

#include <deque>
#include <string>
#include <variant>

#include "connection/headers.h"
#include "protocols/http/head_parser.h"

namespace testing {

inline const std::string& kept(std::string bytes) {
  static std::deque<std::string> all;
  return all.emplace_back(std::move(bytes));
}

inline std::string headText(std::string firstLine, const Workerman::Connection::HeaderList& headers) {
  std::string text = std::move(firstLine) + "\r\n";
  for (const auto& [name, value] : headers) text.append(name).append(": ").append(value).append("\r\n");
  return text.append("\r\n");
}

inline Workerman::Protocols::Http::detail::RequestHead requestHead(std::string bytes) {
  using namespace Workerman::Protocols::Http::detail;
  return std::get<RequestHead>(parseRequestHead(kept(std::move(bytes))));
}

inline Workerman::Protocols::Http::detail::ResponseHead responseHead(std::string bytes) {
  using namespace Workerman::Protocols::Http::detail;
  return std::get<ResponseHead>(parseResponseHead(kept(std::move(bytes))));
}

/// Fields as a parser has read them.
inline Workerman::Protocols::Http::detail::FieldList fieldList(
    const Workerman::Connection::HeaderList& headers) {
  return requestHead(headText("GET / HTTP/1.0", headers)).headers;
}

}  // namespace testing
