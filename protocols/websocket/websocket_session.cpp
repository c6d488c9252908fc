#include "websocket_session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "../../connection/socket.h"
#include "../../connection/stream/tcp_cork.h"
#include "../../core/event_loop.h"
#include "../../core/random.h"
#include "shared_message.h"

namespace Workerman::Protocols::detail {

using Connection::SendResult;
using Connection::TcpConnection;
using Connection::WebsocketType;
using Connection::detail::LoopIo;
using Workerman::detail::LoopTimer;

// -- sending --------------------------------------------------------------------

namespace {

/// Writes a whole frame, a client's masked with a fresh key, and returns its size.
inline std::size_t writeFrame(char* bytes, std::string_view payload, Opcode opcode, Role role,
                              bool isCompressed = false) {
  const bool isMasked = role == Role::Client;
  const MaskKey mask = isMasked ? Workerman::detail::randomMask() : 0;
  const std::size_t head = encodeFrameHeader(bytes, opcode, true, isCompressed, payload.size(), role, mask);
  if (isMasked) {
    maskCopy(bytes + head, payload.data(), payload.size(), mask);
  } else if (!payload.empty()) {
    std::memcpy(bytes + head, payload.data(), payload.size());
  }
  return head + payload.size();
}

/// A client's frame in this thread's scratch memory.
std::string_view maskedFrame(std::string_view payload, Opcode opcode, bool isCompressed) {
  char* const bytes = LoopIo::ofThisThread().scratch(kMaxFrameHeader + payload.size());
  return {bytes, writeFrame(bytes, payload, opcode, Role::Client, isCompressed)};
}

}  // namespace

inline SendResult WebsocketSession::sendFrame(std::string_view payload, Opcode opcode, bool isCompressed) {
  if (phase_ != Phase::Open) return sendLater(payload, opcode);
  noteSent();
  if (char* const bytes = connection_.openCork(kMaxFrameHeader + payload.size())) [[likely]] {
    return connection_.closeCork(writeFrame(bytes, payload, opcode, role_, isCompressed));
  }
  if (role_ == Role::Client) return connection_.transmit({}, maskedFrame(payload, opcode, isCompressed));
  char head[kMaxFrameHeader];
  const std::size_t size = encodeFrameHeader(head, opcode, true, isCompressed, payload.size(), role_, 0);
  return connection_.transmit({head, size}, payload);
}

SendResult WebsocketSession::send(std::string_view payload, WebsocketType type) {
  if (compression_) [[unlikely]]
    return sendCompressed(payload, type);
  return sendFrame(payload, type.isBinary() ? Opcode::Binary : Opcode::Text, false);
}

SendResult WebsocketSession::sendCompressed(std::string_view payload, WebsocketType type) {
  const Opcode opcode = type.isBinary() ? Opcode::Binary : Opcode::Text;
  if (compressionFor(type, payload.size()) == 0) return sendFrame(payload, opcode, false);
  Borrowed<std::string> buffer;
  const std::string_view packed = compression_->compress(payload, *buffer);
  if (packed.empty()) return sendFrame(payload, opcode, false);
  const SendResult result = sendFrame(packed, opcode, true);
  // The peer never sees what was dropped for a full buffer.
  if (result == false) contextBroken();
  return result;
}

SendResult WebsocketSession::sendShared(SharedMessage& message) {
  const WebsocketType type = connection_.websocketType;
  if (phase_ != Phase::Open || role_ == Role::Client) return send(message.payload(), type);
  const Opcode opcode = type.isBinary() ? Opcode::Binary : Opcode::Text;
  const int windowBits = compressionFor(type, message.payload().size());
  const std::string_view packed = windowBits != 0 ? message.frame(opcode, windowBits) : std::string_view();
  noteSent();
  if (packed.empty()) return connection_.transmit({}, message.frame(opcode, 0));
  contextBroken();
  return connection_.transmit({}, packed);
}

int WebsocketSession::compressionFor(WebsocketType type, std::size_t size) const noexcept {
  if (!compression_ || phase_ != Phase::Open || !compression_->isWorth(size)) return 0;
  return type.isDeflate() || connection_.websocketDeflate ? compression_->windowBits() : 0;
}

void WebsocketSession::agreeOnCompression(const std::optional<DeflateAgreement>& agreed) {
  if (!agreed) return compression_.reset();
  if (!compression_) offerCompression();
  compression_->agree(*agreed);
  reader_.allowCompressed();
}

SendResult WebsocketSession::sendLater(std::string_view payload, Opcode opcode) {
  if (phase_ != Phase::Opening) return SendResult::failed();
  if (!pending_.empty() && !connection_.admits(pending_.size())) return SendResult::failed();
  char* const tail = pending_.reserve(kMaxFrameHeader + payload.size());
  pending_.commit(writeFrame(tail, payload, opcode, role_));
  connection_.announceIfFull(pending_.size());
  return SendResult::buffered();
}

SendResult WebsocketSession::sendText(std::string_view text) {
  if (owesPong_ && phase_ == Phase::Open && text.size() <= kMaxControlPayload) {
    sendPong(text);
    return SendResult::sent();
  }
  return send(text, connection_.websocketType);
}

void WebsocketSession::sendControl(Opcode opcode, std::string_view payload) {
  char bytes[kMaxFrameHeader + kMaxControlPayload];
  connection_.transmitControl({bytes, writeFrame(bytes, payload, opcode, role_)}, {});
}

void WebsocketSession::sendPong(std::string_view payload) {
  owesPong_ = false;
  // A peer that pings and does not read gets the latest pong when it reads
  // again, instead of a queue without end (RFC 6455 section 5.5.3).
  if (connection_.getSendBufferQueueSize() >= connection_.maxSendBufferSize) {
    latePong_ = std::make_unique<std::string>(payload);
  } else {
    sendControl(Opcode::Pong, payload);
  }
}

void WebsocketSession::drained() {
  // Our close frame has left only now.
  if (phase_ == Phase::Closing) limitClosing();
  if (phase_ == Phase::Closed) limitTimer_.reset();
  if (!latePong_ || phase_ != Phase::Open) return;
  const auto payload = std::move(latePong_);
  sendControl(Opcode::Pong, *payload);
}

void WebsocketSession::open() {
  phase_ = Phase::Open;
  opening_.reset();
  if (!pending_.empty()) {
    Connection::detail::ByteQueue waiting;
    waiting.swap(pending_);
    connection_.transmitControl(waiting.view(), {});
    if (connection_.stateOf(*owner()) != this) return;  // the socket was dead: connection_ has ended
  }
  startPings();
}

// -- receiving --------------------------------------------------------------------

void WebsocketSession::receive(Connection::Input& input) {
  while (input.size() != 0 && connection_.mayReceive(input)) {
    const Step step = reader_.next(input.data(), input.size(), connection_.maxPackageSize);
    input.consume(step.consumed);
    switch (step.kind) {
      case Step::Kind::Message:
        if (phase_ != Phase::Open) break;
        noteMessage();
        connection_.websocketMessageType =
            step.text ? WebsocketType::BINARY_TYPE_BLOB : WebsocketType::BINARY_TYPE_ARRAYBUFFER;
        if (step.compressed) [[unlikely]] {
          if (!deliverInflated(step)) return;
          break;
        }
        connection_.deliverText(step.payload);
        break;
      case Step::Kind::Ping:
        onPing(step.payload);
        break;
      case Step::Kind::Pong:
        awaitsPong_ = false;
        if (phase_ == Phase::Open) {
          limitTimer_.reset();
          connection_.emit(connection_.onWebSocketPong, step.payload);
        }
        break;
      case Step::Kind::Close:
        return onPeerClose(step.code, step.payload);
      case Step::Kind::Violation:
        return fail(step.code, step.payload);
      case Step::Kind::NeedMore:
        return input.want(step.wanted);
    }
  }
  if (isFinishing_) [[unlikely]]
    sayGoodbyeIfAnswered();
}

/// Inflates a whole message, never its first fragments: a peer that leaves one unfinished must not make us
/// hold a thousand times what it has sent. False: it breaks the rules, and the session is over.
bool WebsocketSession::deliverInflated(const Step& step) {
  Borrowed<InflateBuffer> buffer;
  switch (compression_->inflate(step.payload, connection_.maxPackageSize, step.text, *buffer)) {
    case Inflated::Whole:
      connection_.deliverText((*buffer).view());
      return true;
    case Inflated::TooLong:
      fail(CloseCode::kTooBig, "message is longer than maxPackageSize");
      return false;
    case Inflated::BadText:
      fail(CloseCode::kBadPayload, "text is not valid UTF-8");
      return false;
    case Inflated::BadData:
      break;
  }
  // Data that is not what its frame says, as text that is no UTF-8 (RFC 6455 section 7.4.1).
  fail(CloseCode::kBadPayload, "compressed message cannot be decompressed");
  return false;
}

void WebsocketSession::onPing(std::string_view payload) {
  if (phase_ != Phase::Open) return;
  if (!connection_.onWebSocketPing) return sendPong(payload);
  const std::string copy(payload);
  owesPong_ = true;
  connection_.emit(connection_.onWebSocketPing, payload);
  if (owesPong_ && phase_ == Phase::Open) sendPong(copy);
  owesPong_ = false;
}

// -- closing ------------------------------------------------------------------------

bool WebsocketSession::beginClose(int code, std::string_view reason) {
  if (code != -1 && !isValidCloseCode(code)) {
    throw std::invalid_argument("close(" + std::to_string(code) +
                                "): a websocket's close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999");
  }
  if (phase_ == Phase::Opening) return false;
  if (phase_ != Phase::Open) return true;
  const auto sent = static_cast<std::uint16_t>(code == -1 ? int{CloseCode::kNormal} : code);
  phase_ = Phase::Closing;
  pingTimer_.reset();
  limitClosing();
  TcpConnection& connection = connection_;
  connection.awaitGoodbye();
  sendControl(Opcode::Close, closePayload(sent, reason));
  // If it was paused, their close frame may have come already; this may be gone afterwards.
  connection.resumeRecv();
  return true;
}

void WebsocketSession::onPeerClose(std::uint16_t code, std::string_view reason) {
  const std::string why(reason);
  if (phase_ == Phase::Open) sendControl(Opcode::Close, closePayload(code));
  phase_ = Phase::Closed;
  report(code, why);
  finish();
}

void WebsocketSession::fail(std::uint16_t code, std::string_view cause) {
  const std::string why(cause);
  if (phase_ == Phase::Open) sendControl(Opcode::Close, closePayload(code, why));
  phase_ = Phase::Closed;
  report(code, why);
  finish();
}

void WebsocketSession::finish() {
  pingTimer_.reset();
  limitTimer_.reset();
  if (connection_.stateOf(*owner()) != this) return;  // onWebSocketClose has ended or renewed the connection
  // What is queued still leaves, to a peer that reads.
  if (connection_.getSendBufferQueueSize() != 0) limitClosing();
  // The server closes the socket first; a client waits for that
  // (RFC 6455 section 7.1.1).
  connection_.linger(role_ == Role::Server);
}

/// Gives the peer websocketCloseTimeout to answer, or to take more of what was
/// sent before our close frame.
void WebsocketSession::limitClosing() {
  bytesAtLimit_ = bytesTaken();
  if (!limitTimer_) limitTimer_ = std::make_unique<LoopTimer>(*connection_.eventLoop);
  const auto onLimit = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->closingOverdue(); };
  limitTimer_->start(connection_.websocketCloseTimeout, onLimit, this);
}

std::int64_t WebsocketSession::bytesTaken() const noexcept {
  const std::size_t underWay = Connection::detail::unacknowledgedBytes(connection_.getSocket());
  return connection_.bytesWritten - static_cast<std::int64_t>(underWay);
}

void WebsocketSession::closingOverdue() {
  // More than our close frame has been taken: a slow reader, which may still answer.
  constexpr std::int64_t closeFrame = kMaxFrameHeader + kMaxControlPayload;
  if (bytesTaken() - bytesAtLimit_ > closeFrame) return limitClosing();
  connection_.lost("the peer did not answer the close frame");
}

// -- finishing ------------------------------------------------------------------------

void WebsocketSession::finishSoon(double patience) {
  if (phase_ > Phase::Open || std::exchange(isFinishing_, true)) return;
  // One that was answered before needs no answer now, and its sender may be about to send the next.
  if (isAnswered()) traffic_ = 0;
  connection_.holdOutput();
  awaitsPong_ = false;
  limitTimer_.reset();
  bytesAtLimit_ = -1;
  // Twice this long without a byte: quiet, also for a peer that is far away.
  constexpr double longestLook = 0.25;
  const double look = std::clamp(patience / 4, 0.001, longestLook);
  patience_ = static_cast<std::uint8_t>(std::clamp(patience / look, 1.0, 255.0));
  pingTimer_ = std::make_unique<LoopTimer>(*connection_.eventLoop);
  pingTimer_->start(
      look, [](void* self) noexcept { static_cast<WebsocketSession*>(self)->lookIfQuiet(); }, this, true);
}

void WebsocketSession::sayGoodbyeIfAnswered() {
  if (isFinishing_ && phase_ == Phase::Open && isAnswered() && !isAmidInput()) {
    beginClose(CloseCode::kGoingAway, {});
  }
}

void WebsocketSession::lookIfQuiet() {
  if (patience_ != 0) --patience_;
  const bool isQuiet =
      std::exchange(bytesAtLimit_, connection_.bytesRead) == connection_.bytesRead && !isAmidInput();
  const bool isBusy = awaitsReply() || connection_.isPaused();
  if (phase_ == Phase::Open && isQuiet && (!isBusy || patience_ == 0)) beginClose(CloseCode::kGoingAway, {});
}

/// A message has come in part, or waits to be read.
bool WebsocketSession::isAmidInput() const noexcept {
  return reader_.midMessage() || connection_.hasUnreadInput();
}

void WebsocketSession::report(int code, std::string_view reason) {
  if (std::exchange(isReported_, true)) return;
  connection_.emit(connection_.onWebSocketClose, code, reason);
}

void WebsocketSession::ended(std::string_view cause) {
  const bool wasOpen = phase_ == Phase::Open || phase_ == Phase::Closing;
  phase_ = Phase::Closed;
  pingTimer_.reset();
  limitTimer_.reset();
  if (wasOpen) report(CloseCode::kAbnormal, cause);
}

// -- is the peer alive? -----------------------------------------------------------------

void WebsocketSession::startPings() {
  const double interval = connection_.websocketPingInterval;
  if (!(interval > 0) || isFinishing_) return;
  pingTimer_ = std::make_unique<LoopTimer>(*connection_.eventLoop);
  const auto onInterval = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->ping(); };
  pingTimer_->start(interval, onInterval, this, true);
}

void WebsocketSession::ping() {
  const bool isFull = connection_.getSendBufferQueueSize() >= connection_.maxSendBufferSize;
  if (!isFull) sendControl(Opcode::Ping, {});
  if (awaitsPong_ || phase_ != Phase::Open || connection_.isPaused()) return;
  const double limit = connection_.websocketPongTimeout < 0 ? connection_.websocketPingInterval
                                                            : connection_.websocketPongTimeout;
  if (!(limit > 0)) return;
  awaitsPong_ = true;
  bytesAtLimit_ = connection_.bytesRead;
  if (!limitTimer_) limitTimer_ = std::make_unique<LoopTimer>(*connection_.eventLoop);
  const auto onLimit = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->pongMissing(); };
  limitTimer_->start(limit, onLimit, this);
}

void WebsocketSession::pongMissing() {
  awaitsPong_ = false;
  if (connection_.isPaused()) return;  // it may have come: we do not read
  // A long message that is still arriving keeps the pong behind it: that peer lives.
  if (connection_.bytesRead != bytesAtLimit_ && reader_.midMessage()) return;
  connection_.lost("no pong in time");
}

}  // namespace Workerman::Protocols::detail
