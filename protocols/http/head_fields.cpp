#include "head_fields.h"

#include <algorithm>
#include <cstring>

namespace Workerman::Protocols::Http::detail {
namespace {

/// Room for the fields of an ordinary request in the first allocation.
constexpr std::size_t kUsual = 16;

constexpr std::size_t kWord = sizeof(std::uint64_t);

/// Up to eight letters at a time, all made small. What else the bit turns into a letter or a hyphen is no
/// token's.
template <std::size_t Size = kWord>
inline std::uint64_t folded(const char* text) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, text, Size);
  return word | 0x2020202020202020;
}

/// Whether the token `name` of the same length is `lower`, of small letters and hyphens.
template <std::size_t Size>
inline bool isName(std::string_view name, const char (&lower)[Size]) noexcept {
  constexpr std::size_t kLength = Size - 1;
  if constexpr (kLength < kWord) {
    return folded<kLength>(name.data()) == folded<kLength>(lower);
  } else {
    for (std::size_t at = 0; at + kWord <= kLength; at += kWord) {
      if (folded(name.data() + at) != folded(lower + at)) return false;
    }
    // The last eight, some of them for the second time.
    return folded(name.data() + kLength - kWord) == folded(lower + kLength - kWord);
  }
}

template <std::size_t Size>
inline FieldName judge(std::string_view name, const char (&lower)[Size], FieldName known) noexcept {
  return isName(name, lower) ? known : FieldName::Other;
}

}  // namespace

FieldName fieldName(std::string_view name) noexcept {
  switch (name.size()) {
    case 4:
      return judge(name, "host", FieldName::Host);
    case 6:
      return judge(name, "expect", FieldName::Expect);
    case 7:
      return judge(name, "upgrade", FieldName::Upgrade);
    case 8:
      return judge(name, "location", FieldName::Location);
    case 10:
      return judge(name, "connection", FieldName::Connection);
    case 14:
      return judge(name, "content-length", FieldName::ContentLength);
    case 17:
      return isName(name, "sec-websocket-key")
                 ? FieldName::SecWebSocketKey
                 : judge(name, "transfer-encoding", FieldName::TransferEncoding);
    case 20:
      return judge(name, "sec-websocket-accept", FieldName::SecWebSocketAccept);
    case 21:
      return judge(name, "sec-websocket-version", FieldName::SecWebSocketVersion);
    case 22:
      return judge(name, "sec-websocket-protocol", FieldName::SecWebSocketProtocol);
    case 24:
      return judge(name, "sec-websocket-extensions", FieldName::SecWebSocketExtensions);
    default:
      return FieldName::Other;
  }
}

void FieldList::reset(const char* base) {
  base_ = base;
  fields_.clear();
  fields_.reserve(kUsual);
  known_ = {};
}

void FieldList::add(std::string_view name, std::string_view value) {
  const FieldName which = fieldName(name);
  Known& known = known_[static_cast<std::size_t>(which)];
  if (known.count++ == 0) known.first = static_cast<std::uint32_t>(fields_.size());
  fields_.push_back({.nameAt = static_cast<std::uint32_t>(name.data() - base_),
                     .valueAt = value.empty() ? 0 : static_cast<std::uint32_t>(value.data() - base_),
                     .valueSize = static_cast<std::uint32_t>(value.size()),
                     .nameSize = static_cast<std::uint32_t>(name.size() & kMostBytes),
                     .name = static_cast<std::uint8_t>(which)});
}

std::size_t FieldList::count(std::string_view name) const noexcept {
  if (const FieldName which = fieldName(name); which != FieldName::Other) return count(which);
  return static_cast<std::size_t>(std::count_if(fields_.begin(), fields_.end(), [&](const Field& field) {
    return Connection::equalNoCase({base_ + field.nameAt, field.nameSize}, name);
  }));
}

std::optional<std::string_view> FieldList::get(std::string_view name) const noexcept {
  if (const FieldName which = fieldName(name); which != FieldName::Other) return get(which);
  for (const auto& [each, value] : *this) {
    if (Connection::equalNoCase(each, name)) return value;
  }
  return std::nullopt;
}

Connection::HeaderList FieldList::toList() const {
  Connection::HeaderList list;
  if (!empty()) list.reserve(size());
  for (const auto& [name, value] : *this) list.add(name, value);
  return list;
}

}  // namespace Workerman::Protocols::Http::detail
