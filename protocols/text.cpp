#include "text.h"

#include <cstring>
#include <limits>

namespace Workerman::Protocols {

std::ptrdiff_t Text::input(std::string_view buffer) noexcept {
  std::size_t scanned = 0;
  return inputFrom(buffer, scanned, std::numeric_limits<std::size_t>::max());
}

std::ptrdiff_t Text::inputFrom(std::string_view buffer, std::size_t& scanned,
                               std::size_t maxPackageSize) noexcept {
  const std::size_t from = scanned < buffer.size() ? scanned : buffer.size();
  const void* newline =
      from == buffer.size() ? nullptr : std::memchr(buffer.data() + from, '\n', buffer.size() - from);
  if (newline == nullptr) {
    // Refused at the limit already: the newline that must come makes it one more.
    const bool tooLong = buffer.size() >= maxPackageSize;
    scanned = tooLong ? 0 : buffer.size();
    return tooLong && !buffer.empty() ? -1 : 0;
  }
  scanned = 0;
  const auto length =
      static_cast<std::size_t>(static_cast<const char*>(newline) - buffer.data()) + terminator.size();
  return length > maxPackageSize ? -1 : static_cast<std::ptrdiff_t>(length);
}

std::string Text::encode(std::string_view text) {
  std::string package;
  package.reserve(text.size() + terminator.size());
  package.append(text).append(terminator);
  return package;
}

std::string_view Text::decode(std::string_view package) noexcept {
  const std::size_t last = package.find_last_not_of("\r\n");
  return package.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

}  // namespace Workerman::Protocols
