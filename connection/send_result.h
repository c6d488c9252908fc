#pragma once

#include <concepts>
#include <cstddef>
#include <ostream>
#include <type_traits>

namespace Workerman::Connection {

/// What `send()` did with the data: PHP's `true`, `null` or `false` in one byte.
///
/// Compares with exactly `bool` and `nullptr`; a comparison with 0 or any other
/// number does not compile. In a condition it is true only for "sent", as in PHP.
/// @see Workerman manual: tcp-connection/send
class SendResult {
 public:
  /// `true`: handed to the kernel, or corked with nothing queued before it.
  static constexpr SendResult sent() noexcept { return SendResult(Outcome::Sent); }
  /// `nullptr`: waits in the send buffer, or for the connection to be established.
  static constexpr SendResult buffered() noexcept { return SendResult(Outcome::Buffered); }
  /// `false`: dropped, because the connection is closing or the buffer is full.
  static constexpr SendResult failed() noexcept { return SendResult(Outcome::Failed); }

  constexpr explicit operator bool() const noexcept { return outcome_ == Outcome::Sent; }

  friend constexpr bool operator==(SendResult, SendResult) noexcept = default;

  /// A template, so that neither 0 nor an int converts its way in.
  template <std::same_as<bool> Bool>
  friend constexpr bool operator==(SendResult result, Bool wanted) noexcept {
    return result.outcome_ == (wanted ? Outcome::Sent : Outcome::Failed);
  }
  template <std::same_as<std::nullptr_t> Null>
  friend constexpr bool operator==(SendResult result, Null) noexcept {
    return result.outcome_ == Outcome::Buffered;
  }

  template <class T>
  requires(std::is_arithmetic_v<T> && !std::same_as<T, bool>) __attribute__((
      unavailable("send() returns true, nullptr (buffered) or false: it is no number"))) friend constexpr bool
  operator==(SendResult, T) noexcept {
    return false;
  }

  /// Prints `true`, `null` or `false`.
  friend std::ostream& operator<<(std::ostream& out, SendResult result) {
    switch (result.outcome_) {
      case Outcome::Sent:
        return out << "true";
      case Outcome::Buffered:
        return out << "null";
      case Outcome::Failed:
        break;
    }
    return out << "false";
  }

 private:
  enum class Outcome : unsigned char { Failed, Buffered, Sent };
  constexpr explicit SendResult(Outcome outcome) noexcept : outcome_(outcome) {}

  Outcome outcome_;
};

}  // namespace Workerman::Connection
