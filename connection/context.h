#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "compact_text.h"

namespace Workerman::Connection {

class ContextValue;

namespace detail {

template <typename T>
concept ContextText = std::same_as<T, std::string> || std::same_as<T, std::string_view> ||
    std::same_as<T, CompactText> || std::same_as<T, const char*> || std::same_as<T, char*>;

/// What a value of type T is stored as: every kind of text as std::string.
template <typename T>
using ContextStored = std::conditional_t<ContextText<std::decay_t<T>>, std::string, std::decay_t<T>>;

template <typename T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};

/// A value of any copyable type.
struct AnyValue {
  explicit AnyValue(const std::type_info& storedType) : type(storedType) {}
  AnyValue(const AnyValue&) = delete;
  AnyValue& operator=(const AnyValue&) = delete;
  virtual ~AnyValue() = default;
  virtual std::unique_ptr<AnyValue> clone() const = 0;
  virtual void print(std::ostream& out) const = 0;

  const std::type_info& type;
};

template <typename T>
struct TypedValue final : AnyValue {
  template <typename... Arguments>
  explicit TypedValue(Arguments&&... arguments)
      : AnyValue(typeid(T)), value(std::forward<Arguments>(arguments)...) {}
  std::unique_ptr<AnyValue> clone() const override { return std::make_unique<TypedValue>(value); }
  void print(std::ostream& out) const override {
    if constexpr (Printable<T>) {
      out << value;
    } else {
      out << "(a value that cannot be printed)";
    }
  }

  T value;
};

/// @throws std::runtime_error naming the key and both types.
[[noreturn]] void throwMissingContext(std::string_view key, const std::type_info& asked);
[[noreturn]] void throwOtherContextType(std::string_view key, const std::type_info& asked,
                                        const std::type_info& stored);
[[noreturn]] void throwOtherUserData(const std::type_info& asked, const std::type_info& stored);

}  // namespace detail

/// Values by name: what PHP keeps in a connection's or request's `$context` and dynamic properties.
///
/// `context["uid"] = 7;`, `context.get<int>("uid")`, `int uid = context["uid"];`. Any copyable type;
/// literals, `std::string_view` and `std::string` are all stored as `std::string`.
/// One pointer while nothing is stored. A copy copies the named values and not the user data.
class Context {
 public:
  Context() noexcept = default;
  Context(const Context& other);
  Context(Context&&) noexcept = default;
  Context& operator=(const Context& other);
  Context& operator=(Context&&) noexcept = default;
  ~Context() = default;

  /// Handle of one name: assign to it, or let it convert to the stored type. Reading one that was
  /// never assigned stores nothing. The handle is good while this Context stays where it is.
  ContextValue operator[](std::string_view key);
  const ContextValue operator[](std::string_view key) const;

  /// The value, to be read or changed in place; valid until it is erased or assigned another type.
  /// Text is `std::string`; `std::string_view` may be asked for and is a view of it.
  /// @throws std::runtime_error naming the key and the types, when it is missing or of another type.
  template <typename T>
  decltype(auto) get(std::string_view key) {
    if constexpr (std::same_as<T, std::string_view>) {
      return std::string_view(require<std::string>(key));
    } else {
      return static_cast<T&>(require<T>(key));
    }
  }
  template <typename T>
  decltype(auto) get(std::string_view key) const {
    if constexpr (std::same_as<T, std::string_view>) {
      return std::string_view(require<std::string>(key));
    } else {
      return static_cast<const T&>(require<T>(key));
    }
  }

  /// A copy of the value, or `fallback` when it is missing or of another type. With T a
  /// `std::string_view` it is a view of the stored text or of what `fallback` views.
  template <typename T>
  T get(std::string_view key, std::type_identity_t<T> fallback) const {
    const auto* stored = find<detail::ContextStored<T>>(key);
    return stored == nullptr ? std::move(fallback) : T(*stored);
  }

  /// Whether a value of any type is stored.
  bool has(std::string_view key) const noexcept { return findAny(key) != nullptr; }
  /// Forgets the value. @return whether there was one.
  bool erase(std::string_view key);
  /// Forgets all named values and the user data.
  void clear() noexcept { block_.reset(); }
  /// Whether no named value is stored.
  bool empty() const noexcept { return block_ == nullptr || block_->values.empty(); }
  /// How many named values are stored.
  std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->values.size(); }

  /// Stores a value; `nullptr` erases, as PHP's `isset()` is false for null.
  template <typename T>
  void set(std::string_view key, T&& value) {
    if constexpr (std::same_as<std::decay_t<T>, std::nullptr_t>) {
      erase(key);
    } else {
      using Stored = detail::ContextStored<T>;
      static_assert(std::copy_constructible<Stored>,
                    "context[...] = value: the value must be copyable; wrap it in a std::shared_ptr");
      // Made before the old one goes: the new value may be a part of it.
      setAny(key, std::make_unique<detail::TypedValue<Stored>>(std::forward<T>(value)));
    }
  }

  /// The one typed object of this context, default-constructed when first asked for; it need not be
  /// copyable. Lives until `clear()` or the end of this Context.
  /// @throws std::runtime_error naming both types, when asked for with another type than at first.
  template <typename T>
  T& userData() {
    auto& slot = block().userData;
    if (slot == nullptr) {
      slot = std::make_unique<UserData<T>>();
    } else if (slot->type != typeid(T)) {
      detail::throwOtherUserData(typeid(T), slot->type);
    }
    return static_cast<UserData<T>&>(*slot).value;
  }

 private:
  friend class ContextValue;

  struct AnyUserData {
    explicit AnyUserData(const std::type_info& storedType) : type(storedType) {}
    AnyUserData(const AnyUserData&) = delete;
    AnyUserData& operator=(const AnyUserData&) = delete;
    virtual ~AnyUserData() = default;
    const std::type_info& type;
  };
  template <typename T>
  struct UserData final : AnyUserData {
    UserData() : AnyUserData(typeid(T)) {}
    T value{};
  };
  /// Both kinds of data share the one pointer that an empty Context costs.
  struct Block {
    std::map<std::string, std::unique_ptr<detail::AnyValue>, std::less<>> values;
    std::unique_ptr<AnyUserData> userData;
  };

  Block& block();
  detail::AnyValue* findAny(std::string_view key) const noexcept;
  void setAny(std::string_view key, std::unique_ptr<detail::AnyValue> value);

  /// Null when it is missing or of another type.
  template <typename Stored>
  Stored* find(std::string_view key) const noexcept {
    detail::AnyValue* any = findAny(key);
    return any == nullptr || any->type != typeid(Stored)
               ? nullptr
               : &static_cast<detail::TypedValue<Stored>*>(any)->value;
  }

  template <typename Stored>
  Stored& require(std::string_view key) const {
    detail::AnyValue* any = findAny(key);
    if (any == nullptr) {
      detail::throwMissingContext(key, typeid(Stored));
    }
    if (any->type != typeid(Stored)) {
      detail::throwOtherContextType(key, typeid(Stored), any->type);
    }
    return static_cast<detail::TypedValue<Stored>*>(any)->value;
  }

  std::unique_ptr<Block> block_;
};

namespace detail {

template <typename T>
inline constexpr bool isInitializerList = false;
template <typename T>
inline constexpr bool isInitializerList<std::initializer_list<T>> = true;

/// What `T x = context["key"]` may convert to. Types that would make a std::string's or a smart
/// pointer's own constructors ambiguous stay out.
template <typename T>
concept ContextReadable =
    !std::same_as<T, ContextValue> && !std::same_as<T, Context> && !std::same_as<T, std::nullptr_t> &&
    !isInitializerList<T> && !std::same_as<T, char*> && !std::same_as<T, const char*> &&
    std::copy_constructible<T>;

template <typename T>
concept ContextComparable = !std::same_as<T, ContextValue> && !std::same_as<T, std::nullptr_t>;

}  // namespace detail

/// One name of a Context, as `context["uid"]` gives it.
class ContextValue {
 public:
  ContextValue(const ContextValue&) = default;

  /// Stores a copy of the value under this name; `nullptr` erases it.
  template <typename T>
  requires(!std::same_as<std::decay_t<T>, ContextValue>) ContextValue& operator=(T&& value) {
    context_->set(key_, std::forward<T>(value));
    return *this;
  }
  /// Stores a copy of what the other name holds; erases this one when that is missing.
  ContextValue& operator=(const ContextValue& other);

  /// The stored value, where the type follows from the place: `int uid = context["uid"];`
  /// @throws std::runtime_error when it is missing or of another type.
  template <detail::ContextReadable T>
  operator T() const {
    return std::as_const(*context_).template get<T>(key_);
  }
  /// As `Context::get`, for a handle that was kept.
  template <typename T>
  decltype(auto) get() const {
    return std::as_const(*context_).template get<T>(key_);
  }

  /// Whether a value of any type is stored under this name.
  bool has() const noexcept { return context_->has(key_); }

  /// False when the value is missing. @throws std::runtime_error when it is of another type.
  template <detail::ContextComparable T>
  friend bool operator==(const ContextValue& value, const T& other) {
    return value.has() &&
           std::as_const(*value.context_).template get<detail::ContextStored<T>>(value.key_) == other;
  }
  /// Whether it is missing, as PHP's `$context->uid === null`.
  friend bool operator==(const ContextValue& value, std::nullptr_t) noexcept { return !value.has(); }

  /// Prints the value as its type prints; nothing when it is missing, as PHP's null.
  friend std::ostream& operator<<(std::ostream& out, const ContextValue& value) {
    value.print(out);
    return out;
  }

 private:
  friend class Context;
  ContextValue(Context& context, std::string_view key) : context_(&context), key_(key) {}
  void print(std::ostream& out) const;

  Context* context_;
  // A copy, so that a handle kept in an `auto` does not hang on a temporary name.
  std::string key_;
};

inline ContextValue Context::operator[](std::string_view key) {
  return ContextValue(*this, key);
}
// A const handle has no assignment, so casting const away here changes nothing.
inline const ContextValue Context::operator[](std::string_view key) const {
  return ContextValue(const_cast<Context&>(*this), key);
}

}  // namespace Workerman::Connection
