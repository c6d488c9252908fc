#include "context_number.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "type_name.h"

namespace Workerman::Connection {

namespace detail {

void throwUnfit(const ContextNumber& number, const std::type_info& type) {
  throw std::runtime_error("the number " + number.text() + " has no place in a " + nameOf(type));
}

}  // namespace detail

namespace {

std::string floatingText(double value) {
  if (std::isnan(value)) return "NAN";
  if (std::isinf(value)) return value < 0 ? "-INF" : "INF";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 14).ptr;
  std::string text(buffer, end);
  if (const auto e = text.find('e'); e != text.npos) {  // 1e+05 is 1.0E+5 in PHP
    const auto digits = text.find_first_not_of('0', e + 2);
    text = text.substr(0, e) + (text.find('.') == text.npos ? ".0E" : "E") + text[e + 1] +
           text.substr(std::min(digits, text.size() - 1));
  }
  return text;
}

}  // namespace

std::string ContextNumber::text() const {
  switch (kind_) {
    case Kind::Signed:
      return std::to_string(integer_);
    case Kind::Unsigned:
      return std::to_string(static_cast<std::uint64_t>(integer_));
    case Kind::Floating:
      break;
  }
  return floatingText(floating_);
}

bool ContextNumber::parse(std::string_view text, ContextNumber& number) noexcept {
  constexpr std::string_view kSpace = " \t\n\r\v\f";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return false;
  text = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  // Words that from_chars knows ("inf") are no numbers in PHP.
  if (text.find_first_not_of("0123456789.eE+-") != text.npos) return false;
  const char* const end = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto read = std::from_chars(text.data(), end, integer);
      read.ec == std::errc() && read.ptr == end) {
    number = integer;
    return true;
  }
  double floating = 0;
  const auto read = std::from_chars(text.data(), end, floating);
  if (read.ec != std::errc() || read.ptr != end) return false;
  number = floating;
  return true;
}

std::partial_ordering ContextNumber::compare(const ContextNumber& a, const ContextNumber& b) noexcept {
  if (a.isFloating() || b.isFloating()) return a.toDouble() <=> b.toDouble();
  if (a.kind_ != b.kind_)
    return a.kind_ == Kind::Unsigned ? std::partial_ordering::greater : std::partial_ordering::less;
  // Of two big unsigned ones the bits are ordered alike, since both have the highest.
  return a.integer_ <=> b.integer_;
}

ContextNumber ContextNumber::calculate(const ContextNumber& a, char operation, const ContextNumber& b) {
  if ((operation == '/' || operation == '%') && !b.isTrue()) throw std::runtime_error("division by zero");
  if (operation == '%') {
    if (!a.fits<std::int64_t>() || !b.fits<std::int64_t>()) return std::fmod(a.toDouble(), b.toDouble());
    const auto divisor = b.as<std::int64_t>();
    return divisor == -1 ? 0 : a.as<std::int64_t>() % divisor;
  }
  if (a.kind_ == Kind::Signed && b.kind_ == Kind::Signed) {
    std::int64_t result = 0;
    if (operation == '+' && !__builtin_add_overflow(a.integer_, b.integer_, &result)) return result;
    if (operation == '-' && !__builtin_sub_overflow(a.integer_, b.integer_, &result)) return result;
    if (operation == '*' && !__builtin_mul_overflow(a.integer_, b.integer_, &result)) return result;
    if (operation == '/' && !(a.integer_ == INT64_MIN && b.integer_ == -1) && a.integer_ % b.integer_ == 0)
      return a.integer_ / b.integer_;
  }
  switch (operation) {
    case '+':
      return a.toDouble() + b.toDouble();
    case '-':
      return a.toDouble() - b.toDouble();
    case '*':
      return a.toDouble() * b.toDouble();
    default:
      return a.toDouble() / b.toDouble();
  }
}

}  // namespace Workerman::Connection
