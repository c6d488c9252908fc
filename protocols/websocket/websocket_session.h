#pragma once

/// An open websocket on a connection, whichever side it is (internal).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "../../connection/protocol.h"
#include "../../connection/stream/byte_queue.h"
#include "../../connection/stream/link.h"
#include "../../connection/websocket_type.h"
#include "compression.h"
#include "frame_codec.h"
#include "websocket_timers.h"

namespace Workerman::Protocols::detail {

class SharedMessage;

/// Frames in and out, control frames answered, pings, and the closing handshake
/// of RFC 6455 section 7. The opening handshake is the protocol's business: it
/// calls open() when that is done.
class WebsocketSession : public Connection::ProtocolState {
 public:
  WebsocketSession(const Connection::Protocol& owner, Connection::Link& link, Role role) noexcept
      : ProtocolState(owner), link_(link), reader_(role), role_(role) {}

  enum class Phase : std::uint8_t {
    Opening,  ///< messages to send wait in the session
    Open,
    Closing,  ///< our close frame is sent, theirs is awaited
    Closed,   ///< both are sent, or the peer has broken the rules
  };
  Phase phase() const noexcept { return phase_; }
  std::size_t pendingBytes() const noexcept override { return pending_.size(); }

  /// The upgrade is complete: sends what waited, starts to ping.
  void open();
  /// Handles frames until there is too little or the connection does not want more.
  void receive(Connection::Input& input);
  Connection::SendResult send(std::string_view payload, Connection::WebsocketType type);
  /// Inside onWebSocketPing the first send is the pong.
  Connection::SendResult sendText(std::string_view text);
  /// Starts the closing handshake with `code`; false before the upgrade.
  bool beginClose(int code, std::string_view reason);
  /// The connection ends without a close frame from the peer, unless it has come.
  void ended(std::string_view cause);
  /// The send queue is empty: the pong that found it full can go.
  void drained();
  /// Says good-bye (1001) as soon as nothing is under way: together with the
  /// answer to a message that comes from now on, so that the peer has no time to
  /// send one that would get none, or when the peer has been quiet for a while.
  /// An answer that the application still makes is waited for, `patience`
  /// seconds at most.
  void finishUp(double patience);
  /// Whether the good-bye waits for its time.
  bool isFinishingUp() const noexcept { return quiet_ != nullptr; }
  /// The good-bye, if it is time for it: what answers a message is about to be written.
  void sayGoodbyeIfAnswered();

  /// @name permessage-deflate
  /// @{
  /// The client's request offers it.
  void offerCompression() { compression_ = std::make_unique<Compression>(role_); }
  bool offersCompression() const noexcept { return compression_ != nullptr; }
  /// What the handshake came to.
  void agreeOnCompression(const std::optional<DeflateAgreement>& agreed);
  /// The window, in bits, that a message of this type and size is to be compressed with; 0: it goes plain.
  int compressionFor(Connection::WebsocketType type, std::size_t size) const noexcept;
  /// A compressed message left that this session has not made: later ones must not refer to those before.
  void contextBroken() noexcept {
    if (compression_) compression_->contextBroken();
  }
  /// @}

  /// Sends a message that many connections get, in a frame that it keeps for all of them.
  Connection::SendResult sendShared(SharedMessage& message);

  /// What the opening handshake has to remember until it is done.
  struct Opening {
    std::string key;          ///< a client's Sec-WebSocket-Key
    std::size_t scanned = 0;  ///< bytes of the head that have been looked at
    unsigned interim = 0;     ///< interim answers (1xx) that a client has been sent, and their bytes
    std::size_t interimBytes = 0;
  };
  Opening& opening() {
    if (!opening_) opening_ = std::make_unique<Opening>();
    return *opening_;
  }
  std::size_t scanned() const noexcept { return opening_ ? opening_->scanned : 0; }

 private:
  Connection::SendResult sendNow(std::string_view payload, Connection::WebsocketType type);
  Connection::SendResult sendFrame(std::string_view payload, Opcode opcode, bool isCompressed);
  Connection::SendResult sendCompressed(std::string_view payload, Connection::WebsocketType type);
  Connection::SendResult sendLater(std::string_view payload, Opcode opcode);
  bool inflate(const Step& step, Connection::Input& input);
  bool goOnInflating(Connection::Input& input);
  bool inflated(Inflated result, std::string_view message);
  void onPing(std::string_view payload);
  void sendPong(std::string_view payload);
  void onPeerClose(std::uint16_t code, std::string_view reason);
  void fail(std::uint16_t code, std::string_view cause);
  void sendControl(Opcode opcode, std::string_view payload);
  void report(int code, std::string_view reason);
  void conclude();
  void limitClosing();
  void closingOverdue();
  void startPings();
  void ping();
  void awaitPong(std::int64_t sentBefore);
  void pongMissing();
  void stopTimers() noexcept;
  void lookIfQuiet();
  bool isAmidInput() const noexcept;
  /// One instruction each, as every message comes by here.
  void noteMessage() noexcept { traffic_ = 1; }
  void noteSent() noexcept { traffic_ = static_cast<std::uint8_t>(traffic_ << 1); }
  bool awaitsReply() const noexcept { return traffic_ == 1; }
  bool isAnswered() const noexcept { return traffic_ > 1; }

  Connection::TcpConnection& connection() const noexcept;

  Connection::Link& link_;
  FrameReader reader_;
  Role role_;
  Phase phase_ = Phase::Opening;
  bool isReported_ = false;
  bool owesPong_ = false;
  /// 1: nothing has been sent since the last message came; more: something has. 0: nothing has come, or it is
  /// long since answered.
  std::uint8_t traffic_ = 0;
  Connection::detail::ByteQueue pending_;
  std::unique_ptr<Opening> opening_;
  std::unique_ptr<Compression> compression_;
  std::unique_ptr<std::string> latePong_;
  std::unique_ptr<Heartbeat> heartbeat_;
  std::unique_ptr<QuietWatch> quiet_;
  std::unique_ptr<ClosingLimit> closing_;
};

}  // namespace Workerman::Protocols::detail
