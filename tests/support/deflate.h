#pragma once

/// What the tests of compressed websockets have in common.

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "loop_fixture.h"
#include "protocols/websocket/deflate.h"
#include "protocols/websocket/frame_codec.h"

namespace testing {

/// Sets the options of both sides; at the end they are what they were.
class DeflateOptionsGuard {
 public:
  using Options = Workerman::Protocols::DeflateOptions;
  DeflateOptionsGuard() = default;
  DeflateOptionsGuard(const Options& server, const Options& client) {
    Workerman::Protocols::Websocket::deflate = server;
    Workerman::Protocols::Ws::deflate = client;
  }
  DeflateOptionsGuard(const DeflateOptionsGuard&) = delete;
  DeflateOptionsGuard& operator=(const DeflateOptionsGuard&) = delete;
  ~DeflateOptionsGuard() {
    Workerman::Protocols::Websocket::deflate = server_;
    Workerman::Protocols::Ws::deflate = client_;
  }

 private:
  Options server_ = Workerman::Protocols::Websocket::deflate;
  Options client_ = Workerman::Protocols::Ws::deflate;
};

/// Text that shrinks, different for each `seed`.
inline std::string wordy(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string made;
  while (made.size() < size) {
    made += "{\"id\":" + std::to_string(random() % 1000) + ",\"name\":\"user " +
            std::to_string(random() % 50) + "\"},";
  }
  made.resize(size);
  return made;
}

/// Bytes that do not.
inline std::string noisy(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string made(size, '\0');
  for (char& c : made) c = static_cast<char>(random());
  return made;
}

/// A payload compressed by itself.
inline std::string packed(std::string_view payload, int windowBits = 15) {
  std::string out;
  return std::string(Workerman::Protocols::detail::compressShared(payload, windowBits, out));
}

/// A client of a websocket:// worker whose every byte the test decides.
class RawWebsocket {
 public:
  using Opcode = Workerman::Protocols::detail::Opcode;
  using Role = Workerman::Protocols::detail::Role;
  struct Message {
    std::string payload;  ///< as on the wire
    bool isCompressed;
    bool isText;
  };

  /// `headers`: lines that end with CR LF.
  RawWebsocket(const Workerman::Worker& worker, const std::string& headers)
      : connection(std::make_shared<Workerman::Connection::AsyncTcpConnection>(addressOf(worker, "tcp"))) {
    connection->onConnect = [headers](auto con) {
      con->send(
          "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: "
          "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
          headers + "\r\n");
    };
    connection->onMessage = [this](auto, std::string_view data) { receive(data); };
    connection->onClose = [this] { isClosed = true; };
    connection->connect();
  }

  /// Sends a masked frame. `first` is its first byte: FIN, RSV1 to 3, opcode.
  void sendFrame(unsigned first, std::string_view payload) {
    std::string bytes;
    Workerman::Protocols::detail::appendFrame(bytes, Opcode::Text, payload, Role::Client, 0x12345678);
    bytes[0] = static_cast<char>(first);
    connection->send(bytes);
  }

  std::shared_ptr<Workerman::Connection::AsyncTcpConnection> connection;
  std::string answer;  ///< the head
  std::vector<Message> messages;
  int closeCode = 0;
  bool isClosed = false;

 private:
  void receive(std::string_view data) {
    buffer_ += data;
    if (answer.empty()) {
      const std::size_t end = buffer_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      answer = buffer_.substr(0, end + 4);
      buffer_.erase(0, end + 4);
    }
    if (!answer.starts_with("HTTP/1.1 101 ")) return;
    using Workerman::Protocols::detail::Step;
    for (;;) {
      const Step step = reader_.next(buffer_.data(), buffer_.size(), 64 << 20);
      if (step.kind == Step::Kind::Message) {
        messages.push_back({std::string(step.payload), step.compressed, step.text});
      }
      if (step.kind == Step::Kind::Close) closeCode = step.code;
      CHECK(step.kind != Step::Kind::Violation);
      buffer_.erase(0, step.consumed);
      if (step.kind == Step::Kind::NeedMore || step.kind == Step::Kind::Violation) return;
    }
  }

  std::string buffer_;
  Workerman::Protocols::detail::FrameReader reader_{Role::Client, true};
};

}  // namespace testing
