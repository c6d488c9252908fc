#include "protocols/websocket/mask.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

using namespace Workerman::Protocols::detail;

namespace {

// Each implementation by its functions, so that all of them walk the same tables.
struct Kernel {
  const char* name;
  void (*maskInPlace)(char*, std::size_t, MaskKey, std::size_t) noexcept;
  void (*maskCopy)(char*, const char*, std::size_t, MaskKey, std::size_t) noexcept;
  bool (*unmaskAndCheckAscii)(char*, std::size_t, MaskKey, std::size_t) noexcept;
  bool (*isAscii)(const char*, std::size_t) noexcept;
};

const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> all = {
    {"chosen", maskInPlace, maskCopy, unmaskAndCheckAscii, isAscii},
    {"portable", portable::maskInPlace, portable::maskCopy, portable::unmaskAndCheckAscii, portable::isAscii},
#if defined(__SSE2__)
    {"sse2", sse2::maskInPlace, sse2::maskCopy, sse2::unmaskAndCheckAscii, sse2::isAscii},
#endif
  };
  return all;
}

constexpr std::array<unsigned char, 4> kKeyBytes = {0x91, 0x02, 0xF3, 0x64};

MaskKey key() {
  MaskKey value;
  std::memcpy(&value, kKeyBytes.data(), 4);
  return value;
}

/// RFC 6455 section 5.3 to the letter.
std::string naive(std::string text, std::size_t offset) {
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>(text[i] ^ kKeyBytes[(offset + i) % 4]);
  return text;
}

std::string sample(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 + i / 7);
  return text;
}

// Every length up to a few vectors, and those around the unrolled blocks of 128 and 256 bytes.
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 70; ++n) all.push_back(n);
  for (const std::size_t block : {128, 256, 512, 1024, 4096}) {
    for (std::size_t n = block - 2; n <= block + 2; ++n) all.push_back(n);
    all.push_back(block + 33);
  }
  return all;
}

}  // namespace

TEST_CASE("mask: every kernel, length, alignment and phase equals the loop of RFC 6455 section 5.3") {
  constexpr std::size_t kMargin = 40;
  for (const Kernel& kernel : kernels()) {
    CAPTURE(kernel.name);
    for (const std::size_t size : lengths()) {
      const std::string plain = sample(size);
      for (std::size_t alignment = 0; alignment < 17; ++alignment) {
        for (std::size_t phase = 0; phase < 4; ++phase) {
          const std::string expected = naive(plain, phase);
          std::string place(size + 2 * kMargin, '#');
          plain.copy(place.data() + alignment, size);
          kernel.maskInPlace(place.data() + alignment, size, key(), phase);
          std::string copy(size + 2 * kMargin, '#');
          kernel.maskCopy(copy.data() + alignment, plain.data(), size, key(), phase);
          // One check per case: the bytes and the margins around them.
          const std::string framed =
              std::string(alignment, '#') + expected + std::string(2 * kMargin - alignment, '#');
          if (place != framed || copy != framed) {
            CAPTURE(size);
            CAPTURE(alignment);
            CAPTURE(phase);
            REQUIRE(place == framed);
            REQUIRE(copy == framed);
          }
        }
      }
    }
  }
  CHECK(naive("abcd", 0) != "abcd");
}

TEST_CASE("mask: masking twice gives the text back") {
  for (const Kernel& kernel : kernels()) {
    std::string text = sample(1000);
    kernel.maskInPlace(text.data(), text.size(), key(), 3);
    CHECK(text != sample(1000));
    kernel.maskInPlace(text.data(), text.size(), key(), 3);
    CHECK(text == sample(1000));
  }
}

TEST_CASE("mask: a payload masked in pieces equals one masked at once") {
  const std::string plain = sample(600);
  const std::string expected = naive(plain, 0);
  for (const Kernel& kernel : kernels()) {
    for (std::size_t cut = 0; cut <= plain.size(); cut += 7) {
      std::string text = plain;
      kernel.maskInPlace(text.data(), cut, key(), 0);
      kernel.maskInPlace(text.data() + cut, text.size() - cut, key(), cut);
      REQUIRE(text == expected);
    }
  }
}

TEST_CASE("mask: unmasking tells ASCII from the rest, wherever the one other byte is") {
  for (const Kernel& kernel : kernels()) {
    CAPTURE(kernel.name);
    for (const std::size_t size : lengths()) {
      const std::string ascii(size, 'a');
      std::string masked = naive(ascii, 1);
      REQUIRE(kernel.unmaskAndCheckAscii(masked.data(), size, key(), 1));
      REQUIRE(masked == ascii);
      REQUIRE(kernel.isAscii(ascii.data(), size));
      for (std::size_t at = 0; at<size; at += size> 200 ? 13 : 1) {
        std::string text = ascii;
        text[at] = static_cast<char>(0x80);
        masked = naive(text, 2);
        REQUIRE_FALSE(kernel.isAscii(text.data(), size));
        REQUIRE_FALSE(kernel.unmaskAndCheckAscii(masked.data(), size, key(), 2));
        REQUIRE(masked == text);
      }
    }
  }
}

TEST_CASE("mask: bytes beside the range do not decide whether it is ASCII") {
  for (const Kernel& kernel : kernels()) {
    for (const std::size_t size : lengths()) {
      const std::string framed = "\xFF" + std::string(size, 'z') + std::string(40, '\xFF');
      REQUIRE(kernel.isAscii(framed.data() + 1, size));
    }
  }
}

TEST_CASE("mask: an all-zero key changes nothing") {
  for (const Kernel& kernel : kernels()) {
    std::string text = sample(333);
    kernel.maskInPlace(text.data(), text.size(), 0, 0);
    CHECK(text == sample(333));
  }
}
