#include "wire.h"

#include <cstring>

namespace bench {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // the one of RFC 6455 section 1.3
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

uint32_t rotateLeft(uint32_t x, int n) {
  return x << n | x >> (32 - n);
}

void sha1Block(const uint8_t* block, uint32_t (&h)[5]) {
  uint32_t w[80];
  for (int i = 0; i < 16; ++i) {
    const uint8_t* b = block + 4 * i;
    w[i] = uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
  }
  for (int i = 16; i < 80; ++i) w[i] = rotateLeft(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
  for (int i = 0; i < 80; ++i) {
    const uint32_t f = i < 20              ? (b & c) | (~b & d)
                       : i < 40 || i >= 60 ? b ^ c ^ d
                                           : (b & c) | (b & d) | (c & d);
    constexpr uint32_t kRound[] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    const uint32_t t = rotateLeft(a, 5) + f + e + kRound[i / 20] + w[i];
    e = d;
    d = c;
    c = rotateLeft(b, 30);
    b = a;
    a = t;
  }
  h[0] += a;
  h[1] += b;
  h[2] += c;
  h[3] += d;
  h[4] += e;
}

std::string sha1(std::string text) {
  const uint64_t bits = text.size() * 8;
  text += '\x80';
  while (text.size() % 64 != 56) text += '\0';
  for (int i = 7; i >= 0; --i) text += static_cast<char>(bits >> (8 * i));
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  for (size_t at = 0; at < text.size(); at += 64) {
    sha1Block(reinterpret_cast<const uint8_t*>(text.data()) + at, h);
  }
  std::string digest;
  for (uint32_t word : h) {
    for (int i = 3; i >= 0; --i) digest += static_cast<char>(word >> (8 * i));
  }
  return digest;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

}  // namespace

size_t putHeader(uint8_t* out, uint8_t first, uint64_t size) {
  out[0] = first;
  if (size < 126) {
    out[1] = static_cast<uint8_t>(size);
    return 2;
  }
  const size_t bytes = size < 65536 ? 2 : 8;
  out[1] = bytes == 2 ? 126 : 127;
  for (size_t i = 0; i < bytes; ++i) out[2 + i] = static_cast<uint8_t>(size >> (8 * (bytes - 1 - i)));
  return 2 + bytes;
}

std::string maskedFrame(uint8_t first, std::string_view payload) {
  constexpr uint8_t kMask[4] = {0x37, 0xfa, 0x21, 0x3d};
  uint8_t header[14];
  const size_t size = putHeader(header, first, payload.size());
  header[1] |= 0x80;
  std::memcpy(header + size, kMask, 4);
  std::string frame(reinterpret_cast<const char*>(header), size + 4);
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return frame;
}

std::string maskedTextFrame(std::string_view payload) {
  return maskedFrame(0x80 | kText, payload);
}

std::string upgradeRequest(uint16_t port, std::string_view path, std::string_view headers) {
  std::string request = "GET ";
  request.append(path).append(" HTTP/1.1\r\nHost: 127.0.0.1:").append(std::to_string(port));
  request.append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ").append(kKey);
  return request.append("\r\nSec-WebSocket-Version: 13\r\n").append(headers).append("\r\n");
}

bool acceptsUpgrade(std::string_view head) {
  return head.substr(0, 12) == "HTTP/1.1 101" && head.find(kAccept) != std::string_view::npos;
}

std::string acceptKey(std::string_view key) {
  return base64(sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

}  // namespace bench
