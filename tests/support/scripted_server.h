#pragma once

/// A websocket server whose every byte the test decides, and a client of it
/// whose callbacks are written down.

#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "loop_fixture.h"
#include "protocols/websocket/frame_codec.h"
#include "protocols/websocket/handshake.h"

namespace testing {

using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;
using Workerman::Connection::TcpConnectionPtr;
using Workerman::Protocols::detail::Opcode;

/// Texts that a failed check can print.
struct Lines : std::vector<std::string> {
  using vector::vector;
  friend std::ostream& operator<<(std::ostream& out, const Lines& lines) {
    for (const auto& line : lines) out << "\n  " << line;
    return out;
  }
};

/// A frame as a server sends it, the header bits free for the taking.
inline std::string frame(Opcode opcode, std::string_view payload = {}, bool fin = true) {
  char head[Workerman::Protocols::detail::kMaxFrameHeader];
  const std::size_t size = Workerman::Protocols::detail::encodeFrameHeader(
      head, opcode, fin, false, payload.size(), Workerman::Protocols::detail::Role::Server, 0);
  return std::string(head, size).append(payload);
}

/// A close frame's payload: `code`, big endian, and a reason.
inline std::string closing(int code, std::string_view reason = {}) {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code)}.append(reason);
}

/// What a client sent.
struct SentFrame {
  Opcode opcode;
  bool fin;
  std::uint32_t mask;
  std::size_t headerSize;
  std::string payload;  ///< unmasked
  bool rsv1 = false;
  int code() const {
    return payload.size() < 2
               ? 0
               : static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
  }
};

/// Declare it before the LoopFixture: it has to outlive the loop.
class ScriptedServer {
 public:
  /// Given the client's key, what answers the upgrade. Empty: nothing does.
  std::function<std::string(const std::string& key)> answer = [](const std::string& key) {
    return accepting(key);
  };
  /// Bytes that leave together with the answer.
  std::string behindAnswer;
  bool answersClose = true;
  bool answersPing = true;
  /// Called when the answer has been written.
  std::function<void()> onAnswered;
  /// Called after each frame.
  std::function<void(const SentFrame&)> onFrame;

  int accepted = 0;
  int requests = 0;
  int closed = 0;
  std::string request;            ///< the last one
  std::vector<SentFrame> frames;  ///< of all connections
  TcpConnectionPtr peer;          ///< the last one accepted
  Workerman::Worker worker;

  explicit ScriptedServer(const std::string& address = "tcp://127.0.0.1:0") : worker(address) {
    worker.onConnect = [this](auto connection) {
      ++accepted;
      peer = connection;
      request.clear();
      buffer_.clear();
      isOpen_ = saidGoodbye_ = false;
    };
    worker.onMessage = [this](const TcpConnectionPtr& connection, std::string_view data) {
      if (connection == peer) receive(data);
    };
    worker.onClose = [this] { ++closed; };
  }

  static std::string accepting(const std::string& key, const std::string& more = "") {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
           "Upgrade\r\nSec-WebSocket-Accept: " +
           Workerman::Protocols::detail::acceptFor(key) + "\r\n" + more + "\r\n";
  }

  /// Sends bytes as they are, now.
  void write(std::string_view bytes) { peer->send(bytes, true); }
  void sendText(std::string_view text) { write(frame(Opcode::Text, text)); }
  void sendClose(std::string_view payload = {}) {
    saidGoodbye_ = true;
    write(frame(Opcode::Close, payload));
  }

  /// One header of the request; "(none)" if it is missing.
  std::string header(const std::string& name) const {
    const std::size_t at = request.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "(none)";
    const std::size_t from = at + name.size() + 4;
    return request.substr(from, request.find("\r\n", from) - from);
  }

  /// Payloads of the frames of one kind, in order.
  Lines sent(Opcode opcode) const {
    Lines payloads;
    for (const auto& each : frames) {
      if (each.opcode == opcode) payloads.push_back(each.payload);
    }
    return payloads;
  }
  /// The code of the close frame that came last; 0 if none has come.
  int closeCode() const {
    for (auto each = frames.rbegin(); each != frames.rend(); ++each) {
      if (each->opcode == Opcode::Close) return each->code();
    }
    return 0;
  }

 private:
  void receive(std::string_view data) {
    if (isOpen_) return receiveFrames(data);
    request.append(data);
    const std::size_t end = request.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const std::string rest = request.substr(end + 4);
    request.resize(end + 2);
    isOpen_ = true;
    ++requests;
    write(answer(header("Sec-WebSocket-Key")) + behindAnswer);
    if (onAnswered) onAnswered();
    receiveFrames(rest);
  }

  void receiveFrames(std::string_view data) {
    using namespace Workerman::Protocols::detail;
    buffer_.append(data);
    for (;;) {
      const auto result = parseFrameHeader(buffer_, {.role = Role::Server, .allowRsv1 = true});
      if (result.outcome == ParseResult::Outcome::NeedMore) return;
      REQUIRE(result.outcome == ParseResult::Outcome::Header);
      const FrameHeader& head = result.header;
      const std::size_t size = head.headerSize + head.payloadLength;
      if (buffer_.size() < size) return;
      SentFrame got{head.opcode, head.fin, head.mask, head.headerSize,
                    buffer_.substr(head.headerSize, head.payloadLength)};
      maskInPlace(got.payload.data(), got.payload.size(), head.mask);
      got.rsv1 = head.rsv1;
      buffer_.erase(0, size);
      take(std::move(got));
    }
  }

  void take(SentFrame got) {
    frames.push_back(got);
    if (onFrame) onFrame(got);
    if (got.opcode == Opcode::Ping && answersPing) write(frame(Opcode::Pong, got.payload));
    if (got.opcode != Opcode::Close || !answersClose) return;
    if (!saidGoodbye_) sendClose(got.payload);
    peer->close();
  }

  bool isOpen_ = false;
  bool saidGoodbye_ = false;
  std::string buffer_;
};

/// A client, its server and their loop.
struct Scene {
  ScriptedServer server;
  Lines events;
  LoopFixture fixture;

  std::string address(const std::string& path = "") const { return addressOf(server.worker, "ws", path); }

  /// Writes down what its callbacks are called with; does not connect it yet.
  AsyncTcpConnectionPtr client(const std::string& path = "") { return recorded(address(path)); }

  AsyncTcpConnectionPtr recorded(const std::string& where) {
    auto connection = std::make_shared<AsyncTcpConnection>(where);
    auto note = [this](std::string text) { events.push_back(std::move(text)); };
    connection->onConnect = [note](auto) { note("connect"); };
    connection->onWebSocketConnect = [note](auto, const auto&) { note("open"); };
    connection->onMessage = [note](auto, std::string_view data) { note("message " + std::string(data)); };
    connection->onError = [note](auto, int code, std::string text) {
      note("error " + std::to_string(code) + " " + text);
    };
    connection->onWebSocketPing = nullptr;
    connection->onWebSocketPong = [note](auto, std::string payload) { note("pong " + payload); };
    connection->onWebSocketClose = [note](auto, int code, std::string reason) {
      note("wsclose " + std::to_string(code) + " " + reason);
    };
    connection->onClose = [note](auto) { note("close"); };
    return connection;
  }

  /// A connection whose handshake is done; `events` is empty again.
  AsyncTcpConnectionPtr opened(const std::string& path = "") {
    auto connection = client(path);
    connection->connect();
    until("open");
    events.clear();
    return connection;
  }

  /// How many events begin with `what`.
  int count(std::string_view what) const {
    int times = 0;
    for (const auto& event : events) times += event.starts_with(what);
    return times;
  }
  bool has(std::string_view what) const { return count(what) > 0; }
  /// The first event that begins with `what`.
  std::string find(std::string_view what) const {
    for (const auto& event : events) {
      if (event.starts_with(what)) return event;
    }
    return "(none)";
  }

  bool until(const std::string& what, int times = 1) {
    const bool came = fixture.runUntil([&] { return count(what) >= times; });
    CHECK_MESSAGE(came, "no \"", what, "\" among:", events);
    return came;
  }
  bool until(const std::function<bool()>& done) { return fixture.runUntil(done); }

  /// Feeds bytes in pieces, each of which the client reads by itself.
  void feed(const AsyncTcpConnectionPtr& connection, std::string_view bytes, std::size_t pieceSize) {
    while (!bytes.empty() && connection->getSocket() >= 0) {
      const std::string_view piece = bytes.substr(0, pieceSize);
      bytes.remove_prefix(piece.size());
      const auto before = connection->bytesRead;
      server.write(piece);
      for (int turns = 0; turns < 10000; ++turns) {
        const auto got = connection->bytesRead - before;
        if (got >= static_cast<std::int64_t>(piece.size()) || connection->getSocket() < 0) break;
        fixture.turn();
      }
    }
  }
};

}  // namespace testing
