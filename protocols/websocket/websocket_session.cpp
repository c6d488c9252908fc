#include "websocket_session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "../../connection/stream/link_inline.h"
#include "../../core/event_loop.h"
#include "../../core/random.h"
#include "shared_message.h"

namespace Workerman::Protocols::detail {

using Connection::Input;
using Connection::SendResult;
using Connection::TcpConnection;
using Connection::WebsocketType;
using Connection::detail::LoopIo;

inline TcpConnection& WebsocketSession::connection() const noexcept {
  return link_.connection();
}

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
  return link_.compose(
      kMaxFrameHeader + payload.size(),
      [&](char* bytes) { return writeFrame(bytes, payload, opcode, role_, isCompressed); },
      [&] {
        if (role_ == Role::Client) return link_.transmit({}, maskedFrame(payload, opcode, isCompressed));
        char head[kMaxFrameHeader];
        const std::size_t size =
            encodeFrameHeader(head, opcode, true, isCompressed, payload.size(), role_, 0);
        return link_.transmit({head, size}, payload);
      });
}

[[gnu::always_inline]] inline SendResult WebsocketSession::sendNow(std::string_view payload,
                                                                   WebsocketType type) {
  if (compression_) [[unlikely]]
    return sendCompressed(payload, type);
  return sendFrame(payload, type.isBinary() ? Opcode::Binary : Opcode::Text, false);
}

SendResult WebsocketSession::send(std::string_view payload, WebsocketType type) {
  return sendNow(payload, type);
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
  const WebsocketType type = connection().websocketType;
  if (phase_ != Phase::Open || role_ == Role::Client) return send(message.payload(), type);
  const Opcode opcode = type.isBinary() ? Opcode::Binary : Opcode::Text;
  const int windowBits = compressionFor(type, message.payload().size());
  const std::string_view packed = windowBits != 0 ? message.frame(opcode, windowBits) : std::string_view();
  noteSent();
  if (packed.empty()) return link_.transmit({}, message.frame(opcode, 0));
  contextBroken();
  return link_.transmit({}, packed);
}

int WebsocketSession::compressionFor(WebsocketType type, std::size_t size) const noexcept {
  if (!compression_ || phase_ != Phase::Open || !compression_->isWorth(size)) return 0;
  return type.isDeflate() || connection().websocketDeflate ? compression_->windowBits() : 0;
}

void WebsocketSession::agreeOnCompression(const std::optional<DeflateAgreement>& agreed) {
  if (!agreed) return compression_.reset();
  if (!compression_) offerCompression();
  compression_->agree(*agreed);
  reader_.allowCompressed();
}

SendResult WebsocketSession::sendLater(std::string_view payload, Opcode opcode) {
  if (phase_ != Phase::Opening) return SendResult::failed();
  if (!pending_.empty() && !link_.admits(pending_.size())) return SendResult::failed();
  char* const tail = pending_.reserve(kMaxFrameHeader + payload.size());
  pending_.commit(writeFrame(tail, payload, opcode, role_));
  link_.announceIfFull(pending_.size());
  return SendResult::buffered();
}

SendResult WebsocketSession::sendText(std::string_view text) {
  if (owesPong_ && phase_ == Phase::Open && text.size() <= kMaxControlPayload) {
    sendPong(text);
    return SendResult::sent();
  }
  return sendNow(text, connection().websocketType);
}

void WebsocketSession::sendControl(Opcode opcode, std::string_view payload) {
  char bytes[kMaxFrameHeader + kMaxControlPayload];
  link_.transmitControl({bytes, writeFrame(bytes, payload, opcode, role_)}, {});
}

void WebsocketSession::sendPong(std::string_view payload) {
  owesPong_ = false;
  // A peer that pings and does not read gets the latest pong when it reads
  // again, instead of a queue without end (RFC 6455 section 5.5.3).
  if (link_.queuedBytes() >= connection().maxSendBufferSize) {
    latePong_ = std::make_unique<std::string>(payload);
  } else {
    sendControl(Opcode::Pong, payload);
  }
}

void WebsocketSession::drained() {
  // Our close frame has left only now.
  if (phase_ == Phase::Closing) limitClosing();
  if (phase_ == Phase::Closed) closing_.reset();
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
    link_.transmitControl(waiting.view(), {});
    if (link_.stateOf(*owner()) != this) return;  // the socket was dead: all is over
  }
  startPings();
}

// -- receiving --------------------------------------------------------------------

void WebsocketSession::receive(Input& input) {
  if (compression_ && compression_->isInflating()) [[unlikely]] {
    if (!goOnInflating(input)) return;
  }
  while (input.size() != 0 && link_.mayReceive(input)) {
    const Step step = reader_.next(input.data(), input.size(), connection().maxPackageSize);
    input.consume(step.consumed);
    switch (step.kind) {
      case Step::Kind::Message:
        if (phase_ != Phase::Open) break;
        noteMessage();
        connection().websocketMessageType =
            step.text ? WebsocketType::BINARY_TYPE_BLOB : WebsocketType::BINARY_TYPE_ARRAYBUFFER;
        if (step.compressed) [[unlikely]] {
          if (!inflate(step, input)) return;
          break;
        }
        link_.deliverText(step.payload);
        break;
      case Step::Kind::Fragment:
        break;
      case Step::Kind::Ping:
        onPing(step.payload);
        break;
      case Step::Kind::Pong:
        if (phase_ == Phase::Open) {
          if (heartbeat_) heartbeat_->pong.stop();
          link_.emit(connection().onWebSocketPong, step.payload);
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
  if (quiet_) [[unlikely]]
    sayGoodbyeIfAnswered();
}

/// Inflates a whole message, never its first fragments: a peer that leaves one unfinished must not make us
/// hold a thousand times what it has sent. A long one is inflated in pieces over several turns of the loop.
/// False: it is not done yet, or breaks the rules, and the session is over.
bool WebsocketSession::inflate(const Step& step, Input& input) {
  Borrowed<InflateBuffer> buffer;
  Inflation message(step.payload, connection().maxPackageSize, step.text);
  const Inflated result = compression_->inflate(message, *buffer, input.outputLeft());
  input.spendOutput((*buffer).view().size());
  if (input.outputLeft() == 0) link_.yield();
  if (result != Inflated::Unfinished) return inflated(result, (*buffer).view());
  compression_->keep(std::move(message), std::move(*buffer));
  return false;
}

/// The next piece of a message that was too long for the turns before.
bool WebsocketSession::goOnInflating(Input& input) {
  if (phase_ != Phase::Open) {
    compression_->giveUp();
    return true;
  }
  const std::size_t before = compression_->inflatedSoFar();
  const Inflated result = compression_->goOn(input.outputLeft());
  input.spendOutput(compression_->inflatedSoFar() - before);
  if (input.outputLeft() == 0) link_.yield();
  if (result == Inflated::Unfinished) return false;
  const InflateBuffer whole = compression_->takeInflated();
  return inflated(result, whole.view());
}

/// Delivers an inflated message. False: it breaks the rules, and the session is over.
bool WebsocketSession::inflated(Inflated result, std::string_view message) {
  switch (result) {
    case Inflated::Whole:
      link_.deliverText(message);
      return true;
    case Inflated::TooLong:
      fail(CloseCode::kTooBig, "message is longer than maxPackageSize");
      return false;
    case Inflated::BadText:
      fail(CloseCode::kBadPayload, "text is not valid UTF-8");
      return false;
    case Inflated::Unfinished:
    case Inflated::BadData:
      break;
  }
  // Data that is not what its frame says, as text that is no UTF-8 (RFC 6455 section 7.4.1).
  fail(CloseCode::kBadPayload, "compressed message cannot be decompressed");
  return false;
}

void WebsocketSession::onPing(std::string_view payload) {
  if (phase_ != Phase::Open) return;
  if (!connection().onWebSocketPing) return sendPong(payload);
  const std::string copy(payload);
  owesPong_ = true;
  link_.emit(connection().onWebSocketPing, payload);
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
  quiet_.reset();
  heartbeat_.reset();
  limitClosing();
  Connection::Link& link = link_;
  link.awaitGoodbye();
  sendControl(Opcode::Close, closePayload(sent, reason));
  // If it was paused, their close frame may have come already; this may be gone afterwards.
  link.heedInput();
  return true;
}

void WebsocketSession::onPeerClose(std::uint16_t code, std::string_view reason) {
  const std::string why(reason);
  if (phase_ == Phase::Open) sendControl(Opcode::Close, closePayload(code));
  phase_ = Phase::Closed;
  report(code, why);
  conclude();
}

void WebsocketSession::fail(std::uint16_t code, std::string_view cause) {
  const std::string why(cause);
  if (phase_ == Phase::Open) sendControl(Opcode::Close, closePayload(code, why));
  phase_ = Phase::Closed;
  report(code, why);
  conclude();
}

void WebsocketSession::conclude() {
  stopTimers();
  if (link_.stateOf(*owner()) != this) return;  // onWebSocketClose has ended or renewed the connection
  // What is queued still leaves, to a peer that reads.
  if (link_.queuedBytes() != 0) limitClosing();
  // The server closes the socket first; a client waits for that
  // (RFC 6455 section 7.1.1).
  link_.linger(role_ == Role::Server);
}

void WebsocketSession::stopTimers() noexcept {
  heartbeat_.reset();
  quiet_.reset();
  closing_.reset();
}

/// Gives the peer websocketCloseTimeout to answer, or to take more of what was
/// sent before our close frame.
void WebsocketSession::limitClosing() {
  if (!closing_) closing_ = std::make_unique<ClosingLimit>(*connection().eventLoop);
  closing_->taken = link_.bytesTaken();
  const auto onLimit = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->closingOverdue(); };
  closing_->limit.start(connection().websocketCloseTimeout, onLimit, this);
}

void WebsocketSession::closingOverdue() {
  // More than our close frame has been taken: a slow reader, which may still answer.
  constexpr std::int64_t closeFrame = kMaxFrameHeader + kMaxControlPayload;
  if (link_.bytesTaken() - closing_->taken > closeFrame) return limitClosing();
  link_.lost("the peer did not answer the close frame");
}

// -- before the process ends --------------------------------------------------------------

void WebsocketSession::finishUp(double patience) {
  if (phase_ > Phase::Open || quiet_) return;
  // One that was answered before needs no answer now, and its sender may be about to send the next.
  if (isAnswered()) traffic_ = 0;
  link_.holdOutput();
  heartbeat_.reset();
  // Twice this long without a byte: quiet, also for a peer that is far away.
  constexpr double longestLook = 0.25;
  const double look = std::clamp(patience / 4, 0.001, longestLook);
  quiet_ = std::make_unique<QuietWatch>(*connection().eventLoop);
  quiet_->patience = static_cast<std::uint8_t>(std::clamp(patience / look, 1.0, 255.0));
  const auto onLook = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->lookIfQuiet(); };
  quiet_->looks.start(look, onLook, this, true);
}

void WebsocketSession::sayGoodbyeIfAnswered() {
  if (quiet_ && phase_ == Phase::Open && isAnswered() && !isAmidInput())
    beginClose(CloseCode::kGoingAway, {});
}

void WebsocketSession::lookIfQuiet() {
  if (quiet_->patience != 0) --quiet_->patience;
  const std::int64_t received = connection().bytesRead;
  const bool isQuiet = std::exchange(quiet_->received, received) == received && !isAmidInput();
  const bool isBusy = awaitsReply() || link_.isPaused();
  if (phase_ == Phase::Open && isQuiet && (!isBusy || quiet_->patience == 0)) {
    beginClose(CloseCode::kGoingAway, {});
  }
}

/// A message has come in part, or waits to be read.
bool WebsocketSession::isAmidInput() const noexcept {
  return reader_.midMessage() || (compression_ && compression_->isInflating()) || link_.hasUnreadInput();
}

void WebsocketSession::report(int code, std::string_view reason) {
  if (std::exchange(isReported_, true)) return;
  link_.emit(connection().onWebSocketClose, code, reason);
}

void WebsocketSession::ended(std::string_view cause) {
  const bool wasOpen = phase_ == Phase::Open || phase_ == Phase::Closing;
  phase_ = Phase::Closed;
  stopTimers();
  if (wasOpen) report(CloseCode::kAbnormal, cause);
}

// -- is the peer alive? -----------------------------------------------------------------

void WebsocketSession::startPings() {
  const double interval = connection().websocketPingInterval;
  if (!(interval > 0) || quiet_) return;
  heartbeat_ = std::make_unique<Heartbeat>(*connection().eventLoop);
  const auto onInterval = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->ping(); };
  heartbeat_->pings.start(interval, onInterval, this, true);
}

void WebsocketSession::ping() {
  const TcpConnection& mine = connection();
  const std::int64_t sentBefore = mine.bytesWritten + static_cast<std::int64_t>(link_.unsentBytes());
  // To a peer that does not take what it has been sent a ping would only be more of it.
  if (link_.queuedBytes() < mine.maxSendBufferSize) sendControl(Opcode::Ping, {});
  if (phase_ == Phase::Open && heartbeat_ && !heartbeat_->pong.active() && !link_.isInputHeld()) {
    awaitPong(sentBefore);
  }
}

/// A pong, or for as long as it cannot be there yet, any byte that the peer takes: what was sent before the
/// ping is in front of it.
void WebsocketSession::awaitPong(std::int64_t sentBefore) {
  const double limit = connection().websocketPongTimeout < 0 ? connection().websocketPingInterval
                                                             : connection().websocketPongTimeout;
  if (!(limit > 0)) return;
  heartbeat_->received = connection().bytesRead;
  heartbeat_->sentBefore = sentBefore;
  heartbeat_->taken = link_.bytesTaken();
  const auto onLimit = [](void* self) noexcept { static_cast<WebsocketSession*>(self)->pongMissing(); };
  heartbeat_->pong.start(limit, onLimit, this);
}

void WebsocketSession::pongMissing() {
  if (link_.isInputHeld()) return;  // it may have come: we do not read
  // A long message that is still arriving keeps the pong behind it: that peer lives.
  if (connection().bytesRead != heartbeat_->received && reader_.midMessage()) return;
  // So does one of ours that is still on its way keep the ping.
  const bool isBehind = heartbeat_->taken < heartbeat_->sentBefore;
  if (isBehind && link_.bytesTaken() > heartbeat_->taken) return awaitPong(heartbeat_->sentBefore);
  link_.lost("no pong in time");
}

}  // namespace Workerman::Protocols::detail
