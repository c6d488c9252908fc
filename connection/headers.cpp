#include "headers.h"

#include <algorithm>

#include "characters.h"

namespace Workerman::Connection {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

auto named(std::string_view name) {
  return [name](const HeaderList::value_type& field) { return equalNoCase(field.first, name); };
}

}  // namespace

HeaderList::HeaderList(std::initializer_list<Entry> entries) {
  if (entries.size() != 0) reserve(entries.size());
  for (const Entry& entry : entries) add(entry.name, entry.value);
}

HeaderList::HeaderList(const HeaderList& other)
    : fields_(other.empty() ? nullptr : std::make_unique<std::vector<value_type>>(*other.fields_)) {}

HeaderList& HeaderList::operator=(const HeaderList& other) {
  if (this != &other) *this = HeaderList(other);
  return *this;
}

std::vector<HeaderList::value_type>& HeaderList::fields() {
  if (!fields_) fields_ = std::make_unique<std::vector<value_type>>();
  return *fields_;
}

void HeaderList::reserve(std::size_t count) {
  fields().reserve(count);
}

void HeaderList::add(std::string_view name, std::string_view value) {
  fields().emplace_back(name, value);
}

void HeaderList::set(std::string_view name, std::string_view value) {
  // Copied first: `value` may lie in the fields that go.
  std::string copy(value);
  const auto first = std::find_if(begin(), end(), named(name));
  if (first == end()) return static_cast<void>(fields().emplace_back(name, std::move(copy)));
  const std::size_t index = static_cast<std::size_t>(first - begin());
  const std::string key(name);
  const auto rest = fields_->begin() + static_cast<std::ptrdiff_t>(index) + 1;
  fields_->erase(std::remove_if(rest, fields_->end(), named(key)), fields_->end());
  (*fields_)[index].second = std::move(copy);
}

std::optional<std::string_view> HeaderList::get(std::string_view name) const noexcept {
  const auto found = std::find_if(begin(), end(), named(name));
  if (found == end()) return std::nullopt;
  return std::string_view(found->second);
}

std::size_t HeaderList::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(std::count_if(begin(), end(), named(name)));
}

std::size_t HeaderList::erase(std::string_view name) {
  if (!fields_) return 0;
  const std::string key(name);
  const std::size_t removed = std::erase_if(*fields_, named(key));
  if (fields_->empty()) fields_.reset();
  return removed;
}

std::string& HeaderList::operator[](std::string_view name) {
  const auto found = std::find_if(begin(), end(), named(name));
  return found != end() ? found->second : fields().emplace_back(name, std::string()).second;
}

bool operator==(const HeaderList& a, const HeaderList& b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const HeaderList::value_type& x, const HeaderList::value_type& y) {
                      return equalNoCase(x.first, y.first) && x.second == y.second;
                    });
}

bool equalNoCase(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  return a == b ||
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool isToken(std::string_view text) noexcept {
  return !text.empty() && detail::allOf(text, detail::kTokenCharacter);
}

bool isSafeHeaderName(std::string_view name) noexcept {
  return isToken(name);
}

bool isSafeHeaderValue(std::string_view value) noexcept {
  return std::none_of(value.begin(), value.end(), detail::isForbiddenInValue);
}

}  // namespace Workerman::Connection
