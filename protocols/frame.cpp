#include "frame.h"

#include <cstdint>
#include <limits>
#include <stdexcept>

namespace Workerman::Protocols {

std::ptrdiff_t Frame::input(std::string_view buffer) noexcept {
  if (buffer.size() < headerSize) {
    return 0;
  }
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < headerSize; ++i) {
    length = length << 8 | static_cast<unsigned char>(buffer[i]);
  }
  return length < headerSize ? -1 : static_cast<std::ptrdiff_t>(length);
}

std::array<char, Frame::headerSize> Frame::encodeHeader(std::size_t dataSize) {
  if (dataSize > std::numeric_limits<std::uint32_t>::max() - headerSize) {
    throw std::length_error("frame: the data is too long for a 4-byte length");
  }
  const auto length = static_cast<std::uint32_t>(dataSize + headerSize);
  return {static_cast<char>(length >> 24), static_cast<char>(length >> 16), static_cast<char>(length >> 8),
          static_cast<char>(length)};
}

std::string Frame::encode(std::string_view data) {
  const auto header = encodeHeader(data.size());
  std::string package;
  package.reserve(headerSize + data.size());
  package.append(header.data(), header.size()).append(data);
  return package;
}

std::string_view Frame::decode(std::string_view package) noexcept {
  return package.substr(package.size() < headerSize ? package.size() : headerSize);
}

}  // namespace Workerman::Protocols
