#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace Workerman::Protocols {

/// Packages that end with a newline: the scheme `text://`.
///
/// Stateless; one's own protocol can build on it.
/// @see Workerman manual: protocols/text
class Text {
 public:
  /// What `encode` adds, for a caller that sends it as a part of its own.
  static constexpr std::string_view terminator = "\n";

  /// Length of the first package, its newline counted; 0 while there is no newline.
  static std::ptrdiff_t input(std::string_view buffer) noexcept;

  /// As above with the connection's `maxPackageSize`: -1 for a package that is longer, and for a
  /// buffer without a newline that already is.
  /// Differs from Workerman: exactly the limit passes, and what follows the package does not count.
  template <typename ConnectionPointer>
  requires requires(const ConnectionPointer& connection) {
    { connection->maxPackageSize } -> std::convertible_to<std::size_t>;
  }
  static std::ptrdiff_t input(std::string_view buffer, const ConnectionPointer& connection) noexcept {
    std::size_t scanned = 0;
    return inputFrom(buffer, scanned, static_cast<std::size_t>(connection->maxPackageSize));
  }
  /// As the first, for a ConnectionPtr, which has no `maxPackageSize`.
  template <typename ConnectionPointer>
  requires(
      !requires(const ConnectionPointer& connection) { connection->maxPackageSize; } &&
      requires(const ConnectionPointer& connection) { connection->protocol; }) static std::ptrdiff_t
      input(std::string_view buffer, const ConnectionPointer&) noexcept {
    return input(buffer);
  }

  /// As above for a buffer that grows: `scanned` bytes of it are known to hold no newline. It is
  /// brought up to date while the answer is 0 and becomes 0 again with any other answer, so that a
  /// long line which arrives in many pieces is looked at once.
  static std::ptrdiff_t inputFrom(std::string_view buffer, std::size_t& scanned,
                                  std::size_t maxPackageSize) noexcept;

  /// The text and a newline.
  static std::string encode(std::string_view text);

  /// The package without any CR and LF at its end; a view of it.
  static std::string_view decode(std::string_view package) noexcept;
};

}  // namespace Workerman::Protocols
