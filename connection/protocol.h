#pragma once

/// The seam between a connection and what is spoken on it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../core/fwd.h"
#include "../core/message.h"
#include "send_result.h"

namespace Workerman::Connection {

class Protocol;
namespace detail {
class Link;
}
using detail::Link;

/// Which end of a connection: the one that connects, or the one that listens.
enum class Side { Client, Server };

/// One message on its way to many connections, encoded once for all of them.
class Broadcast {
 public:
  Broadcast() = default;
  Broadcast(const Broadcast&) = delete;
  Broadcast& operator=(const Broadcast&) = delete;
  virtual ~Broadcast() = default;
  /// As send() to a connection of that protocol.
  virtual SendResult sendTo(Link& connection) = 0;
};

/// The bytes of one connection that wait to be parsed, while they are being
/// parsed. A protocol takes from the front; the bytes may be changed in place.
/// They stay where they are until the read event is over, so a view into what
/// was consumed is good for the whole callback, whatever the callback does to
/// the connection.
class Input {
 public:
  /// `wanted`: what the protocol said of the package at the front last time.
  /// `connection` must outlive this.
  Input(const TcpConnectionPtr& connection, char* data, std::size_t size, std::size_t wanted) noexcept
      : connection_(connection), data_(data), size_(size), wanted_(wanted) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// Whose they are.
  const TcpConnectionPtr& connection() const noexcept { return connection_; }

  char* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::string_view view() const noexcept { return {data_, size_}; }

  /// Takes `n` bytes off the front. Call it before the callback that the bytes
  /// cause, so that the connection can tell what is left.
  void consume(std::size_t n) noexcept {
    data_ += n;
    size_ -= n;
    wanted_ = 0;
  }

  /// Says how many bytes the package at the front needs in all, so that the
  /// connection can read the rest to where it stays. 0: not known.
  void want(std::size_t total) noexcept { wanted_ = total; }
  std::size_t wanted() const noexcept { return wanted_; }

  /// The connection was closed or connected anew: nobody wants the rest.
  void abandon() noexcept {
    size_ = 0;
    abandoned_ = true;
  }
  bool abandoned() const noexcept { return abandoned_; }

  /// @name This turn's share, counted by Link
  /// @{
  /// Messages between two looks at the clock.
  static constexpr std::uint32_t kLook = 32;
  /// Inflated bytes of one turn: half a millisecond's work.
  static constexpr std::uint32_t kOutput = 256 * 1024;
  /// One message. False: it is time for a look.
  bool spend() noexcept { return --untilLook_ != 0; }
  /// How many looks there have been before this one.
  unsigned lookAgain(std::int64_t now) noexcept {
    untilLook_ = kLook;
    if (looks_ == 0) since_ = now;
    return looks_++;
  }
  /// Bytes that a message may still grow to beyond what has come, as inflating makes of it.
  std::size_t outputLeft() const noexcept { return outputLeft_; }
  void spendOutput(std::size_t size) noexcept {
    outputLeft_ = size < outputLeft_ ? outputLeft_ - static_cast<std::uint32_t>(size) : 0;
  }
  /// When the first one was.
  std::int64_t since() const noexcept { return since_; }
  /// @}

 private:
  const TcpConnectionPtr& connection_;
  char* data_;
  std::size_t size_;
  std::size_t wanted_;
  std::int64_t since_;  // set by the first look
  std::uint32_t untilLook_ = kLook;
  std::uint32_t looks_ = 0;
  std::uint32_t outputLeft_ = kOutput;
  bool abandoned_ = false;
};

/// What a protocol remembers about one connection. Dies with the connection's
/// socket: a reconnect starts with a new one.
class ProtocolState {
 public:
  explicit ProtocolState(const Protocol& owner) noexcept : owner_(&owner) {}
  ProtocolState(const ProtocolState&) = delete;
  ProtocolState& operator=(const ProtocolState&) = delete;
  virtual ~ProtocolState() = default;
  /// Whose it is: a connection's protocol may be changed.
  const Protocol* owner() const noexcept { return owner_; }
  /// Bytes that wait inside the protocol, for getSendBufferQueueSize().
  virtual std::size_t pendingBytes() const noexcept { return 0; }

 private:
  const Protocol* owner_;
};

/// One application protocol. One object serves all connections of the process
/// and is never changed after registration; what belongs to a connection lives
/// in its ProtocolState.
class Protocol {
 public:
  explicit Protocol(std::string name) : name_(std::move(name)) {}
  virtual ~Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  /// The scheme it is registered under, as registered.
  const std::string& name() const noexcept { return name_; }

  /// The type that onMessage gets.
  virtual const TypeTag* messageType() const noexcept = 0;

  /// Why an end of that side cannot speak this protocol, to stand behind its
  /// name; null if it can, as is the rule.
  virtual const char* refusal(Side) const noexcept { return nullptr; }

  /// Parses what it can of `input` and delivers messages. Must return when
  /// there is too little data or `connection.mayReceive(input)` is false.
  virtual void receive(Link& connection, Input& input) const = 0;

  /// Sends one message. @throws std::invalid_argument for a type of message
  /// that this protocol has no encoding for.
  virtual SendResult send(Link& connection, Message message) const = 0;
  /// Sends one text: the hot path of the above.
  virtual SendResult sendText(Link& connection, std::string_view text) const = 0;

  /// The text that `message` is sent as, in `storage` if need be; nothing: it is
  /// no text. @throws std::invalid_argument as send()
  virtual std::optional<std::string_view> asText(Message /*message*/, std::string& /*storage*/) const {
    return std::nullopt;
  }
  /// Encodes `text`, which outlives the result, for many connections. Null: each
  /// encodes for itself.
  virtual std::unique_ptr<Broadcast> encodeForMany(std::string_view /*text*/) const { return nullptr; }

  /// An AsyncTcpConnection is about to connect. @throws std::invalid_argument
  /// for settings that could never be sent.
  virtual void prepare(Link&) const {}
  /// An AsyncTcpConnection is connected (after the user's onConnect).
  virtual void onConnect(Link&) const {}
  /// The connection is closed (after the user's onClose).
  virtual void onClose(Link&) const {}

  /// All that was queued has been written.
  virtual void onDrained(Link&) const {}

  /// Whether a client is ready to talk as soon as its socket is connected. If
  /// not, the protocol calls Link::protocolReady() when it is.
  virtual bool readyOnConnect() const noexcept { return true; }
  /// Whether an accepted connection still owes its opening handshake.
  virtual bool isOpening(const Link&) const noexcept { return false; }
  /// isOpening() when the worker's handshakeTimeout is over: refuse and close.
  virtual void handshakeOverdue(Link&) const {}
  /// Says good-bye, with `code` -1 the usual one. True: the protocol closes the connection itself when the
  /// peer has answered or a time limit is over. False: nothing to say.
  /// @throws std::invalid_argument for a code that must not be sent.
  virtual bool beginClose(Link&, int /*code*/, std::string_view /*reason*/) const { return false; }
  /// This process is about to end and lets its connections finish: says good-bye
  /// once nothing is under way, not waiting longer than `patience` seconds for a
  /// reply that the application makes. Without a good-bye the peer ends it.
  virtual void finishUp(Link&, double /*patience*/) const {}
  /// After Link::holdOutput(): what is queued is about to be written.
  virtual void beforeWrite(Link&) const {}
  /// Whether close() takes a code and a reason.
  virtual bool hasCloseCodes() const noexcept { return false; }
  /// The connection ends now, before the user's onClose. `cause` names what
  /// happened on the network; empty when this side decided to end it.
  virtual void beforeClose(Link&, std::string_view /*cause*/) const {}

  /// @name Datagrams (udp)
  /// @{
  /// Why this protocol cannot be spoken in datagrams, to stand behind its name;
  /// null if it can.
  virtual const char* datagramRefusal() const noexcept {
    return "is spoken in streams, not in datagrams (udp)";
  }
  /// Takes one datagram apart and delivers its messages; what is incomplete in
  /// it is dropped, what is bad is refused. Must return when
  /// `connection.mayReceive()` is false.
  virtual void receiveDatagram(UdpConnection&, std::string_view) const {}
  /// Sends one message in a datagram of its own. @throws std::invalid_argument
  /// for a type of message that this protocol has no encoding for.
  virtual SendResult sendDatagram(UdpConnection&, Message) const { throwNoDatagrams(); }
  virtual SendResult sendDatagramText(UdpConnection&, std::string_view) const { throwNoDatagrams(); }
  /// @}

 private:
  [[noreturn]] void throwNoDatagrams() const {
    throw std::invalid_argument(name_ + ":// " + datagramRefusal());
  }

  std::string name_;
};

}  // namespace Workerman::Connection
