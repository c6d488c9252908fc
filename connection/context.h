#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "../core/text_view.h"
#include "context_number.h"

namespace Workerman::Connection {

class ContextValue;

namespace detail {

template <typename T>
concept ContextText = std::same_as<T, std::string> ||
    (std::convertible_to<const T&, std::string_view> && !std::derived_from<T, ContextOperand> &&
     (std::derived_from<T, std::string_view> || std::derived_from<T, Workerman::detail::JoinsWithPlus> ||
      std::is_pointer_v<T>));

/// What a value of type T is stored as: every kind of text as std::string.
template <typename T>
using ContextStored = std::conditional_t<ContextText<std::decay_t<T>>, std::string, std::decay_t<T>>;

template <typename T>
inline constexpr bool isOptional = false;
template <typename T>
inline constexpr bool isOptional<std::optional<T>> = true;

/// Whether a T points into memory that it does not own, or holds what does.
template <typename T>
constexpr bool isView() {
  if constexpr (requires { std::ranges::enable_borrowed_range<T>; }) {
    if (std::ranges::enable_borrowed_range<T>) return true;
  }
  if constexpr (requires { typename std::tuple_size<T>::type; }) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (isView<std::remove_cv_t<std::tuple_element_t<I, T>>>() || ...);
    }
    (std::make_index_sequence<std::tuple_size_v<T>>{});
  } else if constexpr (requires { typename T::value_type; }) {
    if constexpr (!std::same_as<std::remove_cv_t<typename T::value_type>, T> && !std::same_as<T, std::string>)
      return isView<std::remove_cv_t<typename T::value_type>>();
  }
  return false;
}

/// Whether storing a T would store a view. Text is copied, whatever views it.
template <typename T>
constexpr bool storesView() {
  if constexpr (ContextText<T>) {
    return false;
  } else if constexpr (isOptional<T>) {
    return storesView<typename T::value_type>();
  } else {
    return isView<T>();
  }
}

template <typename T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};

/// A stored value as PHP would see it.
struct ContextScalar {
  enum class Kind : std::uint8_t { Missing, Bool, Number, Text, Other };
  Kind kind = Kind::Missing;
  ContextNumber number = 0;
  std::string_view text = {};
};

/// PHP's truth.
bool isTrue(const ContextScalar& scalar) noexcept;

/// A value of any copyable type.
struct AnyValue {
  explicit AnyValue(const std::type_info& storedType) : type(storedType) {}
  AnyValue(const AnyValue&) = delete;
  AnyValue& operator=(const AnyValue&) = delete;
  virtual ~AnyValue() = default;
  virtual std::unique_ptr<AnyValue> clone() const = 0;
  virtual ContextScalar scalar() const = 0;
  virtual bool isTrue() const = 0;
  /// Prints what is no scalar.
  virtual void print(std::ostream& out) const = 0;
  /// Takes another number if its type has room for it.
  virtual bool take(const ContextNumber& number) = 0;

  const std::type_info& type;
};

template <typename T>
struct TypedValue final : AnyValue {
  template <typename... Arguments>
  explicit TypedValue(Arguments&&... arguments)
      : AnyValue(typeid(T)), value(std::forward<Arguments>(arguments)...) {}
  std::unique_ptr<AnyValue> clone() const override { return std::make_unique<TypedValue>(value); }

  ContextScalar scalar() const override {
    using Kind = ContextScalar::Kind;
    if constexpr (std::same_as<T, bool>) {
      return {Kind::Bool, static_cast<int>(value)};
    } else if constexpr (std::same_as<T, char>) {
      return {Kind::Text, 0, {&value, 1}};
    } else if constexpr (ContextArithmetic<T>) {
      return {Kind::Number, value};
    } else if constexpr (std::is_enum_v<T> && std::is_convertible_v<T, int>) {
      return {Kind::Number, static_cast<std::underlying_type_t<T>>(value)};
    } else if constexpr (std::same_as<T, std::string>) {
      return {Kind::Text, 0, value};
    } else {
      return {Kind::Other};
    }
  }
  bool isTrue() const override {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::same_as<T, std::string>) {
      return detail::isTrue(scalar());
    } else if constexpr (requires { static_cast<bool>(value.empty()); }) {
      return !value.empty();
    } else if constexpr (std::is_constructible_v<bool, const T&>) {
      return static_cast<bool>(value);
    } else {
      return true;
    }
  }
  void print(std::ostream& out) const override {
    if constexpr (Printable<T>) {
      out << value;
    } else {
      out << "(a value that cannot be printed)";
    }
  }
  bool take(const ContextNumber& number) override {
    if constexpr (ContextArithmetic<T> && !std::same_as<T, bool>) {
      if (!number.fits<T>() || number.isFloating() != std::floating_point<T>) return false;
      value = number.as<T>();
      return true;
    } else {
      return false;
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
/// `context["uid"] = 7;`, `context.get<int>("uid")`, `int uid = context["uid"];`. Any copyable type; text of
/// any kind is stored as `std::string`, other views are refused. ContextValue says what else `context["uid"]`
/// can do.
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

  /// The value, to be read or changed in place; valid until it is erased or becomes another type.
  /// Text is `std::string`; `std::string_view` may be asked for and is a view of it. A number of another type
  /// becomes a T where T has room for it.
  /// @throws std::runtime_error naming the key and the types, when it is missing or of another type.
  template <typename T>
  decltype(auto) get(std::string_view key) {
    if constexpr (std::same_as<T, std::string_view>) {
      return std::string_view(require<std::string>(key));
    } else {
      if constexpr (detail::ContextArithmetic<T>) {
        if (T* stored = find<T>(key)) return *stored;
        T converted = std::as_const(*this).template get<T>(key);
        setAny(key, std::make_unique<detail::TypedValue<T>>(converted));
      }
      return static_cast<T&>(require<T>(key));
    }
  }
  template <typename T>
  decltype(auto) get(std::string_view key) const {
    if constexpr (std::same_as<T, std::string_view>) {
      return std::string_view(require<std::string>(key));
    } else if constexpr (detail::ContextArithmetic<T>) {
      if (const T* stored = find<T>(key)) return T(*stored);
      const auto number = numberOf(key);
      return number && number->fits<T>() ? number->as<T>() : T(require<T>(key));
    } else {
      return static_cast<const T&>(require<T>(key));
    }
  }

  /// A copy of the value, or `fallback` when it is missing or of another type. With a
  /// `std::string_view` it is a view of the stored text or of what `fallback` views.
  /// `get("uid", 0)` takes the type from the fallback.
  template <typename T = void, typename Fallback = T>
  auto get(std::string_view key, Fallback&& fallback) const {
    using Value = std::conditional_t<std::is_void_v<T>, detail::ContextStored<Fallback>, T>;
    using Stored = detail::ContextStored<Value>;
    if (const auto* stored = find<Stored>(key)) return Value(*stored);
    if constexpr (detail::ContextArithmetic<Value>) {
      if (const auto number = numberOf(key); number && number->template fits<Value>())
        return number->template as<Value>();
    }
    return Value(std::forward<Fallback>(fallback));
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

  /// Stores a value; `nullptr` and an empty optional erase, as PHP's `isset()` is false for null.
  template <typename T>
  void set(std::string_view key, T&& value) {
    using Given = std::decay_t<T>;
    if constexpr (std::same_as<Given, std::nullptr_t> || std::same_as<Given, std::nullopt_t>) {
      erase(key);
    } else if constexpr (detail::isOptional<Given>) {
      if (value.has_value()) {
        set(key, *std::forward<T>(value));
      } else {
        erase(key);
      }
    } else if constexpr (detail::ContextText<Given> && std::is_pointer_v<Given>) {
      if (const char* text = value) {
        set(key, std::string(text));
      } else {
        erase(key);
      }
    } else {
      using Stored = detail::ContextStored<T>;
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
  /// Nothing when it is missing or no number.
  std::optional<ContextNumber> numberOf(std::string_view key) const noexcept;

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

}  // namespace Workerman::Connection

#include "context_value.h"
