#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace Workerman::Connection {

/// Header fields: pairs of a name and a value, in order, repeatable; names are compared without case.
///
/// Takes eight bytes while empty, so that every connection can afford one. Nothing is checked on the way in:
/// what writes the fields to a peer refuses unsafe ones (isSafeHeaderName, isSafeHeaderValue).
///
///     con->headers = {{"Cookie", "a=b"}, {"OtherKey", "values"}};
///     con->headers["X-Token"] = "secret";
///     for (const auto& [name, value] : con->headers) …
class HeaderList {
 public:
  using value_type = std::pair<std::string, std::string>;
  using iterator = value_type*;
  using const_iterator = const value_type*;

  /// What a braced pair becomes on its way in. Two views and not two strings: a string can be made of a
  /// pair of iterators, and `{{"a", "b"}}` would then mean something else.
  struct Entry {
    Entry(std::string_view entryName, std::string_view entryValue) : name(entryName), value(entryValue) {}
    Entry(const value_type& pair) : name(pair.first), value(pair.second) {}
    std::string_view name;
    std::string_view value;
  };

  HeaderList() = default;
  HeaderList(std::initializer_list<Entry> entries);
  HeaderList(const HeaderList& other);
  HeaderList(HeaderList&&) noexcept = default;
  HeaderList& operator=(const HeaderList& other);
  HeaderList& operator=(HeaderList&&) noexcept = default;
  ~HeaderList() = default;

  /// Appends a field, also when the name is there already.
  void add(std::string_view name, std::string_view value);
  /// Makes `value` the only one of that name, at the place of the first; appends when there is none.
  void set(std::string_view name, std::string_view value);
  /// The first value of that name; valid until the list changes.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const noexcept;
  [[nodiscard]] bool has(std::string_view name) const noexcept { return count(name) != 0; }
  /// How many fields have that name.
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  /// Removes all fields of that name; says how many there were.
  std::size_t erase(std::string_view name);
  /// The first value of that name, appended empty when there is none.
  std::string& operator[](std::string_view name);

  void reserve(std::size_t fields);
  void clear() noexcept { fields_.reset(); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_ ? fields_->size() : 0; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  [[nodiscard]] iterator begin() noexcept { return fields_ ? fields_->data() : nullptr; }
  [[nodiscard]] iterator end() noexcept { return begin() + size(); }
  [[nodiscard]] const_iterator begin() const noexcept { return fields_ ? fields_->data() : nullptr; }
  [[nodiscard]] const_iterator end() const noexcept { return begin() + size(); }

  /// The same fields in the same order; names without case, values exactly.
  friend bool operator==(const HeaderList& a, const HeaderList& b) noexcept;

 private:
  std::vector<value_type>& fields();

  std::unique_ptr<std::vector<value_type>> fields_;
};

/// Whether two ASCII texts are equal without case, as header names and tokens are compared.
[[nodiscard]] bool equalNoCase(std::string_view a, std::string_view b) noexcept;

/// Whether `text` is a token: not empty, and of the characters that RFC 9110 section 5.6.2 allows.
[[nodiscard]] bool isToken(std::string_view text) noexcept;

/// Whether `name` can be sent as a header name: a token.
[[nodiscard]] bool isSafeHeaderName(std::string_view name) noexcept;

/// Whether `value` can be sent as a header value: without control characters other than the tab. CR, LF and
/// NUL are the dangerous ones; no other is allowed either, and strict peers, ours among them, refuse it.
/// @see RFC 9110 section 5.5
[[nodiscard]] bool isSafeHeaderValue(std::string_view value) noexcept;

}  // namespace Workerman::Connection
