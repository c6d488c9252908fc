#include "context.h"

#include <cxxabi.h>

#include <cstdlib>
#include <stdexcept>

namespace Workerman::Connection {

namespace detail {

namespace {

std::string nameOf(const std::type_info& type) {
  // Its full name fills half a line and tells nobody more.
  if (type == typeid(std::string)) {
    return "std::string";
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 && name != nullptr ? name.get() : type.name();
}

}  // namespace

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

ContextValue& ContextValue::operator=(const ContextValue& other) {
  const detail::AnyValue* value = other.context_->findAny(other.key_);
  if (value == nullptr) {
    context_->erase(key_);
  } else {
    context_->setAny(key_, value->clone());
  }
  return *this;
}

void ContextValue::print(std::ostream& out) const {
  if (const detail::AnyValue* value = context_->findAny(key_)) {
    value->print(out);
  }
}

}  // namespace Workerman::Connection
