#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../../connection/headers.h"

namespace Workerman::Protocols::Http::detail {

/// The names that the library itself asks a head for. They are told apart once, while the head is read.
enum class FieldName : std::uint8_t {
  Other,
  Connection,
  ContentLength,
  Expect,
  Host,
  Location,
  SecWebSocketAccept,
  SecWebSocketExtensions,
  SecWebSocketKey,
  SecWebSocketProtocol,
  SecWebSocketVersion,
  TransferEncoding,
  Upgrade,
};
inline constexpr std::size_t kFieldNames = static_cast<std::size_t>(FieldName::Upgrade) + 1;

/// `name` without case; Other for any that is not in the list. @param name a token.
[[nodiscard]] FieldName fieldName(std::string_view name) noexcept;

/// The header fields of a head: where each lies in the head's bytes. No copy, one allocation for all.
///
/// Valid while those bytes stay where they are; rebase() follows them. Names are compared without case.
class FieldList {
 public:
  using value_type = std::pair<std::string_view, std::string_view>;

  class Iterator {
   public:
    Iterator(const FieldList& list, std::size_t index) noexcept : list_(&list), index_(index) {}
    value_type operator*() const noexcept { return (*list_)[index_]; }
    Iterator& operator++() noexcept { return ++index_, *this; }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const FieldList* list_;
    std::size_t index_;
  };

  /// Forgets all fields; those that come lie behind `base`, within kMostBytes.
  void reset(const char* base);
  /// Appends a field. @param name a token
  void add(std::string_view name, std::string_view value);
  /// The same bytes are at `base` now.
  void rebase(const char* base) noexcept { base_ = base; }

  static constexpr std::size_t kMostBytes = (std::size_t{1} << 24) - 1;

  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
  [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }
  [[nodiscard]] value_type operator[](std::size_t index) const noexcept {
    const Field& field = fields_[index];
    return {{base_ + field.nameAt, field.nameSize}, {base_ + field.valueAt, field.valueSize}};
  }
  [[nodiscard]] Iterator begin() const noexcept { return {*this, 0}; }
  [[nodiscard]] Iterator end() const noexcept { return {*this, size()}; }

  /// How many fields have that name; in constant time. Not for Other.
  [[nodiscard]] std::size_t count(FieldName name) const noexcept { return known(name).count; }
  [[nodiscard]] bool has(FieldName name) const noexcept { return count(name) != 0; }
  /// The first value of that name; in constant time. Not for Other.
  [[nodiscard]] std::optional<std::string_view> get(FieldName name) const noexcept {
    if (!has(name)) return std::nullopt;
    return (*this)[known(name).first].second;
  }
  /// Calls `visit` with each value of that name until it returns true; tells whether it did.
  template <class Visit>
  bool any(FieldName name, Visit visit) const {
    std::size_t left = count(name);
    for (std::size_t index = known(name).first; left != 0; ++index) {
      if (fields_[index].name != static_cast<std::uint32_t>(name)) continue;
      if (visit((*this)[index].second)) return true;
      --left;
    }
    return false;
  }

  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  [[nodiscard]] bool has(std::string_view name) const noexcept { return get(name).has_value(); }
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const noexcept;

  /// Copies of all, in order.
  [[nodiscard]] Connection::HeaderList toList() const;

 private:
  struct Field {
    std::uint32_t nameAt;
    std::uint32_t valueAt;
    std::uint32_t valueSize;
    std::uint32_t nameSize : 24;
    std::uint32_t name : 8;  // a FieldName
  };
  struct Known {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  const Known& known(FieldName name) const noexcept { return known_[static_cast<std::size_t>(name)]; }

  const char* base_ = nullptr;
  std::vector<Field> fields_;
  std::array<Known, kFieldNames> known_{};
};

}  // namespace Workerman::Protocols::Http::detail
