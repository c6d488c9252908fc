#pragma once

/// A binary protocol: a file and its name in one package.
///
///     4 bytes   length of the whole package, most significant byte first
///     1 byte    length of the name
///     n bytes   the name
///     the rest  the file

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

/// As decode() gives it: views of the package, good while onMessage runs.
struct File {
  std::string_view name;
  std::string_view data;
};

struct BinaryTransfer {
  static constexpr std::size_t kHeadLength = 5;

  /// The length of the package at the front, 0 while it is not known; negative, which closes
  /// the connection, when it cannot be right.
  static std::int64_t input(std::string_view buffer) {
    if (buffer.size() < kHeadLength) return 0;
    std::uint32_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | byteAt(buffer, i);
    return length < kHeadLength + byteAt(buffer, 4) ? -1 : std::int64_t{length};
  }

  static File decode(std::string_view package) {
    const std::size_t nameLength = byteAt(package, 4);
    return {package.substr(kHeadLength, nameLength), package.substr(kHeadLength + nameLength)};
  }

  static std::string encode(const File& file) {
    const std::size_t length = kHeadLength + file.name.size() + file.data.size();
    if (file.name.size() > 0xff || length > 0xffffffff) throw std::length_error("file too long to send");
    std::string package;
    package.reserve(length);
    for (int shift = 24; shift >= 0; shift -= 8) package += static_cast<char>(length >> shift & 0xff);
    package += static_cast<char>(file.name.size());
    return package.append(file.name).append(file.data);
  }

 private:
  static unsigned byteAt(std::string_view bytes, std::size_t index) {
    return static_cast<unsigned char>(bytes[index]);
  }
};
