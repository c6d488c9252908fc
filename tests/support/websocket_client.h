#pragma once

/// A blocking websocket client of few words, with deadlines, for tests of other processes.

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "line_client.h"

namespace testing {

class WebsocketClient {
 public:
  /// Connects to 127.0.0.1 and upgrades; isOpen() tells how that went.
  explicit WebsocketClient(int port) : line_(port) {
    write(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!readMore()) return;
    }
    isOpen_ = buffer_.starts_with("HTTP/1.1 101 ");
    buffer_.erase(0, end + 4);
  }

  bool connected() const { return line_.connected(); }
  bool isOpen() const { return isOpen_; }
  /// The code of the peer's close frame, once receive() has met it.
  int closeCode() const { return closeCode_; }

  /// Text of less than 126 bytes; masked with zeros.
  void send(const std::string& text) { sendFrame(0x81, text); }
  void sendClose(int code) {
    sendFrame(0x88, {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)});
  }
  /// The text that comes next; empty: a close frame, or the end.
  std::string receive() {
    while (!hasFrame()) {
      if (!readMore()) return "";
    }
    const int opcode = buffer_[0] & 0x0f;
    const std::size_t size = headSize() + payloadSize();
    const std::string payload = buffer_.substr(headSize(), payloadSize());
    buffer_.erase(0, size);
    if (opcode != 8) return payload;
    if (payload.size() >= 2)
      closeCode_ = static_cast<std::uint8_t>(payload[0]) << 8 | static_cast<std::uint8_t>(payload[1]);
    return "";
  }
  /// Whether a close frame has come behind what has been received.
  bool isToldToClose() {
    char byte;
    while (!hasFrame() && ::recv(line_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 && readMore()) {
    }
    return hasFrame() && (buffer_[0] & 0x0f) == 8;
  }

 private:
  std::size_t headSize() const { return (buffer_[1] & 0x7f) == 126 ? 4 : 2; }
  std::size_t payloadSize() const {
    const auto byte = [this](std::size_t at) {
      return static_cast<std::size_t>(static_cast<std::uint8_t>(buffer_[at]));
    };
    return headSize() == 2 ? byte(1) & 0x7f : byte(2) << 8 | byte(3);
  }
  bool hasFrame() const {
    return buffer_.size() >= 2 && buffer_.size() >= headSize() &&
           buffer_.size() >= headSize() + payloadSize();
  }
  void sendFrame(int first, const std::string& payload) {
    write({static_cast<char>(first), static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0});
    write(payload);
  }
  void write(const std::string& bytes) { ::send(line_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  bool readMore() {
    char piece[4096];
    const ssize_t got = ::recv(line_.fd(), piece, sizeof piece, 0);
    if (got > 0) buffer_.append(piece, static_cast<std::size_t>(got));
    return got > 0;
  }

  LineClient line_;
  std::string buffer_;
  bool isOpen_ = false;
  int closeCode_ = 0;
};

}  // namespace testing
