#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace Workerman::Protocols {

/// Packages led by their length in 4 bytes, big endian, these 4 counted: the scheme `frame://`.
///
/// Stateless; one's own protocol can build on it.
/// @see Workerman manual: protocols/frame
class Frame {
 public:
  static constexpr std::size_t headerSize = 4;

  /// Length of the first package, its header counted, as soon as the header is there; 0 before that;
  /// -1 when the header says 0 to 3.
  /// Differs from Workerman: PHP takes 0 for "wait" and stalls.
  static std::ptrdiff_t input(std::string_view buffer) noexcept;

  /// Header and data. @throws std::length_error for more than 2^32 - 5 bytes.
  static std::string encode(std::string_view data);

  /// Only the header, so that it and the data can leave in one call without a copy.
  /// @throws std::length_error as encode.
  static std::array<char, headerSize> encodeHeader(std::size_t dataSize);

  /// The data: a view of the package behind its header.
  static std::string_view decode(std::string_view package) noexcept;
};

}  // namespace Workerman::Protocols
