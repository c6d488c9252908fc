#include "context.h"

#include <sstream>
#include <stdexcept>

#include "type_name.h"

namespace Workerman::Connection {

namespace detail {

void throwMissingContext(std::string_view key, const std::type_info& asked) {
  throw std::runtime_error("context[\"" + std::string(key) + "\"] is not set; asked for as " + nameOf(asked));
}

void throwOtherContextType(std::string_view key, const std::type_info& asked, const std::type_info& stored) {
  throw std::runtime_error("context[\"" + std::string(key) + "\"] is of type " + nameOf(stored) +
                           "; asked for as " + nameOf(asked));
}

void throwOtherUserData(const std::type_info& asked, const std::type_info& stored) {
  throw std::runtime_error("userData is of type " + nameOf(stored) + "; asked for as " + nameOf(asked));
}

bool isTrue(const ContextScalar& scalar) noexcept {
  switch (scalar.kind) {
    case ContextScalar::Kind::Missing:
      return false;
    case ContextScalar::Kind::Bool:
    case ContextScalar::Kind::Number:
      return scalar.number.isTrue();
    case ContextScalar::Kind::Text:
      return !scalar.text.empty() && scalar.text != "0";
    case ContextScalar::Kind::Other:
      break;
  }
  return true;
}

std::partial_ordering compareScalars(const ContextScalar& a, const ContextScalar& b) noexcept {
  using Kind = ContextScalar::Kind;
  if (a.kind == Kind::Text && b.kind == Kind::Text) return a.text <=> b.text;
  if (a.kind == Kind::Number && b.kind == Kind::Number) return ContextNumber::compare(a.number, b.number);
  const auto hasTruth = [](Kind kind) { return kind <= Kind::Number; };
  if ((a.kind == Kind::Bool || b.kind == Kind::Bool) && hasTruth(a.kind) && hasTruth(b.kind))
    return isTrue(a) <=> isTrue(b);
  return std::partial_ordering::unordered;
}

std::string joinContext(std::string_view a, std::string_view b) {
  std::string all;
  all.reserve(a.size() + b.size());
  all.append(a).append(b);
  return all;
}

}  // namespace detail

Context::Context(const Context& other) {
  *this = other;
}

Context& Context::operator=(const Context& other) {
  if (this == &other) {
    return *this;
  }
  if (block_ != nullptr) {
    block_->values.clear();
  }
  if (!other.empty()) {
    for (const auto& [key, value] : other.block_->values) {
      block().values.emplace(key, value->clone());
    }
  }
  return *this;
}

Context::Block& Context::block() {
  if (block_ == nullptr) {
    block_ = std::make_unique<Block>();
  }
  return *block_;
}

detail::AnyValue* Context::findAny(std::string_view key) const noexcept {
  if (block_ == nullptr) {
    return nullptr;
  }
  const auto found = block_->values.find(key);
  return found == block_->values.end() ? nullptr : found->second.get();
}

void Context::setAny(std::string_view key, std::unique_ptr<detail::AnyValue> value) {
  auto& values = block().values;
  const auto found = values.find(key);
  if (found == values.end()) {
    values.emplace(key, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

bool Context::erase(std::string_view key) {
  if (block_ == nullptr) {
    return false;
  }
  const auto found = block_->values.find(key);
  if (found == block_->values.end()) {
    return false;
  }
  block_->values.erase(found);
  return true;
}

std::optional<ContextNumber> Context::numberOf(std::string_view key) const noexcept {
  if (const detail::AnyValue* any = findAny(key)) {
    const auto scalar = any->scalar();
    if (scalar.kind == detail::ContextScalar::Kind::Number ||
        scalar.kind == detail::ContextScalar::Kind::Bool)
      return scalar.number;
  }
  return std::nullopt;
}

ContextValue& ContextValue::operator=(const ContextValue& other) {
  const detail::AnyValue* value = other.context_->findAny(other.key_);
  if (value == nullptr) {
    context_->erase(key_);
  } else {
    context_->setAny(key_, value->clone());
  }
  return *this;
}

bool ContextValue::isTrue() const {
  const detail::AnyValue* value = context_->findAny(key_);
  return value != nullptr && value->isTrue();
}

detail::ContextScalar ContextValue::scalar() const {
  const detail::AnyValue* value = context_->findAny(key_);
  return value == nullptr ? detail::ContextScalar{} : value->scalar();
}

ContextNumber ContextValue::number() const {
  using Kind = detail::ContextScalar::Kind;
  const auto scalar = this->scalar();
  ContextNumber number = scalar.number;
  if (scalar.kind == Kind::Other || (scalar.kind == Kind::Text && !ContextNumber::parse(scalar.text, number)))
    throw std::runtime_error("context[\"" + key_ + "\"] is no number to calculate with");
  return number;
}

std::string ContextValue::text() const {
  using Kind = detail::ContextScalar::Kind;
  const auto scalar = this->scalar();
  switch (scalar.kind) {
    case Kind::Missing:
      return {};
    case Kind::Bool:
      return scalar.number.isTrue() ? "1" : "";
    case Kind::Number:
      return scalar.number.text();
    case Kind::Text:
      return std::string(scalar.text);
    case Kind::Other:
      break;
  }
  std::ostringstream out;
  context_->findAny(key_)->print(out);
  return std::move(out).str();
}

void ContextValue::put(const ContextNumber& number) {
  if (detail::AnyValue* value = context_->findAny(key_); value != nullptr && value->take(number)) return;
  if (number.fits<std::int64_t>() && !number.isFloating()) {
    context_->set(key_, number.as<std::int64_t>());
  } else {
    context_->set(key_, number.toDouble());
  }
}

ContextValue& ContextValue::add(const detail::ContextScalar& other) {
  using Kind = detail::ContextScalar::Kind;
  if (other.kind == Kind::Text) {
    context_->set(key_, text().append(other.text));
  } else {
    put(ContextNumber::calculate(number(), '+', other.number));
  }
  return *this;
}

}  // namespace Workerman::Connection
