#pragma once

/// What a protocol's decode() returned, on its way to a callback, without its type.

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace Workerman {

/// Stands for one type. Two tags are the same type exactly when their addresses are equal.
struct TypeTag {
  /// The type as a person would write it, for error messages.
  std::string_view name;
};

namespace detail {

template <class T>
constexpr const char* prettyFunction() {
  return __PRETTY_FUNCTION__;
}

/// Cuts the type out of what the compiler says about prettyFunction<T>().
template <class T>
constexpr std::string_view typeName() {
  if (std::is_same_v<T, std::string_view>) return "std::string_view";
  if (std::is_same_v<T, std::string>) return "std::string";
  std::string_view name = prettyFunction<T>();
  name.remove_prefix(name.find("T = ") + 4);
  name.remove_suffix(1);
  // What users write instead of the alias' expansion and of the names that `using` shortens.
  if (name.starts_with("nlohmann::") && name.find("basic_json") != name.npos) return "nlohmann::json";
  constexpr std::string_view protocols = "Workerman::Protocols::";
  if (name.starts_with(protocols)) name.remove_prefix(protocols.size());
  return name;
}

template <class T>
[[gnu::visibility("default")]] inline constexpr TypeTag typeTagOf{typeName<T>()};

}  // namespace detail

/// The tag of T, without its reference and const.
template <class T>
constexpr const TypeTag* typeTag() {
  return &detail::typeTagOf<std::remove_cvref_t<T>>;
}

/// The tag of text: the value is a std::string_view.
constexpr const TypeTag* textTag() {
  return typeTag<std::string_view>();
}

/// The sentence for a callback that declares `wants` where the protocol of its connection gives `gives`.
/// Used when listening and connecting, and as the last resort at the call.
inline std::string describeMismatch(const TypeTag& wants, const TypeTag& gives) {
  std::string gave(gives.name);
  std::string advice =
      &gives == textTag() ? "std::string_view (or auto)" : gave + "& (or const " + gave + "&)";
  return "the callback declares its data as " + std::string(wants.name) +
         ", but the protocol of this connection gives " + gave + ": declare " + advice;
}

namespace detail {

/// A message is of another type than who was to take it declares.
class MessageMismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn, gnu::cold, gnu::noinline]] inline void throwMismatch(const TypeTag* wants, const TypeTag* gives) {
  throw MessageMismatch(describeMismatch(*wants, *gives));
}

}  // namespace detail

/// A reference to a value of any type. It does not own: valid while the value lives, which for a
/// callback's data means until the callback returns. Text travels as a reference to a std::string_view.
struct Message {
  const TypeTag* type;
  void* value;

  /// Refers to `value`, which must outlive the message. Receivers may change it unless they declare it const.
  template <class T>
  static Message of(T& value) {
    // A receiver may then only declare `const T&` or `T`; nobody changes a const object through this.
    return {typeTag<T>(), const_cast<std::remove_const_t<T>*>(std::addressof(value))};
  }

  /// The value as T. Throws std::runtime_error, naming both types, if it is of another type.
  template <class T>
  T& as() const {
    if (type != typeTag<T>()) [[unlikely]]
      detail::throwMismatch(typeTag<T>(), type);
    return *static_cast<T*>(value);
  }
};

}  // namespace Workerman
