#pragma once

/// A websocket of ours that echoes, in either role, and a plain socket as its
/// peer: what the peer sends is made of frames whose every bit a test decides,
/// and what it is sent is taken apart again.

#include <netinet/tcp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deadline.h"
#include "loop_fixture.h"
#include "protocols/websocket/frame_codec.h"
#include "protocols/websocket/handshake.h"
#include "raw_peer.h"

namespace testing {

using Workerman::Protocols::detail::Opcode;
using Workerman::Protocols::detail::Role;

/// A frame to send. It is masked as the sender's role wants it unless said otherwise.
struct Frame {
  unsigned first;  ///< the first byte: FIN, reserved bits, opcode
  std::string payload;
  int lengthForm = 0;       ///< 0: the shortest; else 7, 16 or 64 bits
  bool wrongMask = false;   ///< masked where it must not be, or the other way round
  std::size_t missing = 0;  ///< bytes at its end that are not sent

  std::string bytes(Role sender) const {
    const bool isMasked = (sender == Role::Client) != wrongMask;
    const std::size_t size = payload.size();
    const int form = lengthForm != 0 ? lengthForm : size < 126 ? 7 : size < 65536 ? 16 : 64;
    const unsigned marker = form == 7 ? static_cast<unsigned>(size) : form == 16 ? 126 : 127;
    std::string out{static_cast<char>(first), static_cast<char>((isMasked ? 0x80u : 0u) | marker)};
    for (int shift = form == 7 ? -8 : form - 8; shift >= 0; shift -= 8) {
      out += static_cast<char>(static_cast<std::uint64_t>(size) >> shift);
    }
    if (isMasked) {
      constexpr std::string_view key = "\x12\x34\x9a\xfe";
      out.append(key);
      const std::size_t at = out.size();
      out.append(payload);
      for (std::size_t i = 0; i < size; ++i) out[at + i] = static_cast<char>(out[at + i] ^ key[i % 4]);
    } else {
      out.append(payload);
    }
    return out.substr(0, out.size() - missing);
  }
};

inline Frame wireFrame(unsigned first, std::string_view payload = {}) {
  return {first, std::string(payload)};
}
inline Frame text(std::string_view payload) {
  return wireFrame(0x81, payload);
}
inline Frame binary(std::string_view payload) {
  return wireFrame(0x82, payload);
}
inline Frame textStart(std::string_view payload) {
  return wireFrame(0x01, payload);
}
inline Frame binaryStart(std::string_view payload) {
  return wireFrame(0x02, payload);
}
inline Frame more(std::string_view payload) {
  return wireFrame(0x00, payload);
}
inline Frame last(std::string_view payload) {
  return wireFrame(0x80, payload);
}
inline Frame ping(std::string_view payload) {
  return wireFrame(0x89, payload);
}
inline Frame pong(std::string_view payload) {
  return wireFrame(0x8A, payload);
}
inline Frame goodbye(std::string_view payload) {
  return wireFrame(0x88, payload);
}
inline Frame goodbye(int code, std::string_view reason = {}) {
  return goodbye(std::string{static_cast<char>(code >> 8), static_cast<char>(code)}.append(reason));
}

/// A frame that was received, as a word such as "text:hello"; long payloads are
/// told by their length and a sum.
inline std::string wordFor(unsigned first, std::string_view payload) {
  static const char* const names[] = {"continuation", "text", "binary", "3",  "4",  "5",  "6",  "7",
                                      "close",        "ping", "pong",   "11", "12", "13", "14", "15"};
  std::string word = names[first & 15];
  if ((first & 0x80) == 0) word += "(open)";
  if (payload.size() <= 130) return word.append(":").append(payload);
  return word + ":" + std::to_string(payload.size()) + "#" +
         std::to_string(std::hash<std::string_view>()(payload));
}
inline std::string wordFor(const Frame& frame) {
  return wordFor(frame.first, frame.payload);
}

/// Words that a failed check can print.
struct Words : std::vector<std::string> {
  using vector::vector;
  friend std::ostream& operator<<(std::ostream& out, const Words& words) {
    for (const auto& word : words) out << "\n  " << word;
    return out;
  }
};

/// What lies between a peer and its socket: TLS.
struct WireLayer {
  virtual ~WireLayer() = default;
  virtual void write(std::string_view bytes) = 0;
  /// What has arrived; nothing if there is nothing.
  virtual std::string read() = 0;
};

/// The plain socket.
class WirePeer {
 public:
  WirePeer() = default;
  WirePeer(std::unique_ptr<WireLayer> layer, Role role) : layer_(std::move(layer)), role_(role) {}
  WirePeer(RawSocket socket, Role role) : socket_(std::move(socket)), role_(role) {
    const int on = 1;
    ::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  /// Sends as much of `bytes` as there is room for; returns how much.
  std::size_t offer(std::string_view bytes) {
    if (layer_) return layer_->write(bytes), bytes.size();
    const ssize_t sent = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  /// Takes what has arrived. True if there was anything.
  bool collect() {
    if (!socket_ && !layer_) return false;
    const std::size_t before = bytes_.size();
    if (layer_) bytes_ += layer_->read();
    for (std::string piece; !(piece = socket_.receive(1 << 18)).empty();) bytes_ += piece;
    takeFrames();
    return bytes_.size() != before;
  }
  /// What came before the first frame: for a handshake.
  std::string takeHead() {
    const std::size_t end = bytes_.find("\r\n\r\n");
    if (end == std::string::npos) return {};
    std::string head = bytes_.substr(0, end + 4);
    bytes_.erase(0, end + 4);
    isOpen_ = true;
    takeFrames();
    return head;
  }

  Role role() const { return role_; }
  RawSocket& socket() { return socket_; }
  bool isAtEnd() const { return socket_.isAtEnd(); }
  const std::string& bytes() const { return bytes_; }
  /// All frames so far.
  Words words;
  /// The payload of the close frame, if `hasClose`.
  std::string closePayload;
  bool hasClose = false;
  int closeCode() const {
    return closePayload.size() < 2 ? 1005
                                   : static_cast<unsigned char>(closePayload[0]) << 8 |
                                         static_cast<unsigned char>(closePayload[1]);
  }

 private:
  void takeFrames() {
    using namespace Workerman::Protocols::detail;
    std::size_t at = 0;
    while (isOpen_) {
      const std::string_view rest = std::string_view(bytes_).substr(at);
      const auto parsed = parseFrameHeader(rest, {.role = role_, .allowRsv1 = true});
      if (parsed.outcome == ParseResult::Outcome::NeedMore) break;
      REQUIRE_MESSAGE(parsed.outcome == ParseResult::Outcome::Header, parsed.cause);
      const FrameHeader& head = parsed.header;
      const std::size_t size = head.headerSize + head.payloadLength;
      if (rest.size() < size) break;
      std::string payload(rest.substr(head.headerSize, head.payloadLength));
      maskInPlace(payload.data(), payload.size(), head.mask);
      words.push_back(wordFor(static_cast<unsigned char>(rest[0]), payload));
      if (head.opcode == Opcode::Close) {
        hasClose = true;
        closePayload = payload;
      }
      at += size;
    }
    bytes_.erase(0, at);
  }

  RawSocket socket_;
  std::unique_ptr<WireLayer> layer_;
  Role role_ = Role::Client;
  bool isOpen_ = false;
  std::string bytes_;
};

/// The head of a request to upgrade; `more` are further header lines.
inline std::string upgradeRequest(const std::string& more = "") {
  return "GET /chat?room=1 HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         more + "\r\n";
}

/// Ours: echoes each message in its kind, and says how it ended.
class EchoUnderTest {
 public:
  static constexpr std::size_t kLongest = 16 << 20;

  EchoUnderTest(LoopFixture& fixture, Role role) : fixture_(fixture), role_(role) {
    if (role != Role::Server) return;
    worker_ = listenOn("websocket");
    worker_->onConnect = [this](auto connection) { adopt(connection); };
  }

  EchoUnderTest(const EchoUnderTest&) = delete;
  EchoUnderTest& operator=(const EchoUnderTest&) = delete;
  /// The callbacks lead here.
  ~EchoUnderTest() {
    if (ours) ours->destroy();
    if (worker_) worker_->stop();
  }

  /// Connects a peer and shakes hands.
  void open() {
    told = closed = 0;
    ours.reset();
    if (role_ == Role::Server) {
      peer = WirePeer(connectRaw(worker_->getListenPort()), Role::Client);
      const std::string request = upgradeRequest();
      REQUIRE(peer.offer(request) == request.size());
      REQUIRE(until([this] { return !peer.takeHead().empty(); }));
      return;
    }
    auto client = std::make_shared<Workerman::Connection::AsyncTcpConnection>(listener_.address("ws"));
    adopt(client);
    client->connect();
    RawSocket socket;
    REQUIRE(until([&] { return listener_.acceptInto(socket); }));
    peer = WirePeer(std::move(socket), Role::Server);
    std::string request;
    REQUIRE(until([&] { return !(request = peer.takeHead()).empty(); }));
    const std::size_t key = request.find("Sec-WebSocket-Key: ") + 19;
    const std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Accept: " +
        Workerman::Protocols::detail::acceptFor(request.substr(key, 24)) + "\r\n\r\n";
    REQUIRE(peer.offer(answer) == answer.size());
  }

  /// Sends `bytes` in pieces of `size`, each of which is read by itself when
  /// `size` is small; 0: all at once, as far as there is room.
  void send(std::string_view bytes, std::size_t size = 0) {
    const bool oneByOne = size != 0 && size < 256;
    while (!bytes.empty() && closed == 0 && !peer.isAtEnd()) {
      const std::string_view piece = size == 0 ? bytes : bytes.substr(0, size);
      const std::int64_t before = ours ? ours->bytesRead : 0;
      const std::size_t sent = peer.offer(piece);
      bytes.remove_prefix(sent);
      turn();
      for (int turns = 0; oneByOne && turns < 1000 && closed == 0; ++turns) {
        if (!ours || ours->bytesRead - before >= static_cast<std::int64_t>(sent)) break;
        turn();
      }
      if (sent == 0 && !turn()) ::poll(nullptr, 0, 1);
    }
  }

  /// Runs both sides until `done()`; false if that never comes.
  bool until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kHangSeconds);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      if (!turn()) ::poll(nullptr, 0, 1);
    }
    return true;
  }
  /// One round. True if the peer got anything.
  bool turn() {
    fixture_.turn();
    return peer.collect();
  }

  Role role() const { return role_; }
  Role peerRole() const { return role_ == Role::Server ? Role::Client : Role::Server; }
  int port() const { return worker_->getListenPort(); }

  WirePeer peer;
  Workerman::Connection::TcpConnectionPtr ours;
  int told = 0;  ///< onWebSocketClose's code; 0 before it
  int timesTold = 0;
  int closed = 0;  ///< how often onClose has run

 private:
  void adopt(const Workerman::Connection::TcpConnectionPtr& connection) {
    ours = connection;
    timesTold = 0;
    connection->maxPackageSize = kLongest;
    connection->maxSendBufferSize = 4 * kLongest;
    connection->onMessage = [](auto con, auto data) {
      con->websocketType = con->websocketMessageType;
      con->send(data);
    };
    connection->onWebSocketClose = [this](auto, int code) {
      told = code;
      ++timesTold;
    };
    connection->onClose = [this] {
      ++closed;
      ours.reset();
    };
  }

  LoopFixture& fixture_;
  Role role_;
  std::shared_ptr<Workerman::Worker> worker_;
  RawListener listener_;
};

// -- one case of a table -----------------------------------------------------------

struct WireCase {
  std::string id;
  std::string what;
  std::vector<Frame> sent;
  /// What comes back, the close frame left out.
  std::vector<Frame> answers;
  /// How ours ends: 0: it is still open, and a close is answered; else the code
  /// of its close frame, 1005 for one without.
  int code = 0;
};

/// All of a case in pieces of `size` (0: at once), judged strictly: exactly
/// these answers in this order, exactly one close frame behind them, the code
/// told to the application once, the TCP connection ended by the server.
inline void runCase(EchoUnderTest& echo, const WireCase& each, std::size_t size) {
  const std::string role = echo.role() == Role::Server ? "server" : "client";
  INFO(each.id, " ", each.what, " (our role: ", role, ", pieces of ", size, ")");
  echo.open();
  std::string bytes;
  for (const Frame& frame : each.sent) bytes += frame.bytes(echo.peerRole());
  echo.send(bytes, size);
  WirePeer& peer = echo.peer;
  if (each.code == 0) {
    CHECK(echo.until([&] { return peer.words.size() >= each.answers.size(); }));
    echo.send(goodbye(1000).bytes(echo.peerRole()));
  }
  CHECK_MESSAGE(echo.until([&] { return peer.hasClose; }), "no close frame");
  if (echo.role() == Role::Server) {
    CHECK_MESSAGE(echo.until([&] { return peer.isAtEnd(); }), "the server does not end the connection");
  }
  peer.collect();
  peer.socket().close();
  CHECK_MESSAGE(echo.until([&] { return echo.closed == 1; }), "no onClose");
  const int code = each.code == 0 ? 1000 : each.code;
  CHECK(peer.closeCode() == code);
  CHECK(echo.told == code);
  CHECK(echo.timesTold == 1);
  Words wanted;
  for (const Frame& frame : each.answers) wanted.push_back(wordFor(frame));
  wanted.push_back(wordFor(0x88, peer.closePayload));
  CHECK(peer.words == wanted);
  CHECK(peer.bytes().empty());
}

/// All cases, both roles, in pieces of each of `sizes`.
inline void runCases(const std::vector<WireCase>& cases, const std::vector<std::size_t>& sizes) {
  for (const Role role : {Role::Server, Role::Client}) {
    LoopFixture fixture;
    EchoUnderTest echo(fixture, role);
    for (const auto& each : cases) {
      for (const std::size_t size : sizes) runCase(echo, each, size);
    }
  }
}

}  // namespace testing
