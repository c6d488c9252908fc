#pragma once

/// The inside of a stream connection: what protocols, listeners and the loop may ask of it (internal).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../core/fwd.h"
#include "../../core/message.h"
#include "../protocol.h"
#include "../send_result.h"
#include "byte_queue.h"
#include "life.h"
#include "output.h"
#include "socket_transport.h"

namespace Workerman::Connection::detail {

class LoopIo;
class Subscriber;
class TcpListener;

/// Ties the rooms together: where in life the connection is (Life), what carries its bytes (Transport), what
/// has come and why it is held back, and what has to leave (Output). The part of a TcpConnection that its
/// users do not see; one is never without the other.
class Link {
 protected:
  enum Hold : std::uint8_t {
    ForUser = 1,      ///< pauseRecv()
    ForProtocol = 2,  ///< holdInput()
    ForOthers = 4,    ///< this turn's share is used up; the next one's will come by itself
  };

 public:
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  static Link& of(TcpConnection& connection) noexcept;
  static const Link& of(const TcpConnection& connection) noexcept;
  TcpConnection& connection() noexcept;
  const TcpConnection& connection() const noexcept;

  /// @name For protocols: input
  /// @{
  /// Whether there is somebody for the next message, and this turn still has time for it. To be asked before
  /// each: it counts.
  bool mayReceive(Input& input) noexcept {
    // What is abandoned is nobody's input any more.
    return pump_ == &input && holds_ == 0 && life_.takesInput() && (input.spend() || mayGoOn(input));
  }
  /// Lets everybody else have a turn before Protocol::receive() is called again, with what is left.
  void yield() noexcept { holds_ |= ForOthers; }
  /// During receive(): a handle of this connection.
  const TcpConnectionPtr& pinned() const noexcept { return pump_->connection(); }
  /// Hands a decoded message to onMessage and counts it.
  void deliver(const Message& message) noexcept;
  [[gnu::always_inline]] void deliverText(std::string_view text) noexcept { deliver(Message::of(text)); }
  /// The peer's bytes make no sense: one line in the log (one for a burst of them), and the connection ends.
  void refusePackage(std::string_view why) noexcept;
  /// Inside a catch block, of what a protocol's input() or decode() has thrown at the peer's bytes:
  /// errorHandler gets it, and without one it is a bad package. True: errorHandler has taken it.
  bool refuseForException() noexcept;
  /// Holds what comes back until releaseInput(), whatever the application does about pauseRecv().
  void holdInput() noexcept { hold(ForProtocol); }
  void releaseInput() { release(ForProtocol); }
  /// Nobody holds what comes back any more: what is awaited is the peer's answer to a good-bye.
  void heedInput() { release(static_cast<Hold>(ForUser | ForProtocol)); }
  /// Input is held back: by pauseRecv(), by the protocol, or since others have their turn.
  bool isInputHeld() const noexcept { return holds_ != 0; }
  /// Held by the application.
  bool isPaused() const noexcept { return (holds_ & ForUser) != 0; }
  /// Bytes have come that the protocol has not been given, or not in whole packages or records.
  bool hasUnreadInput() const noexcept;
  /// @}

  /// @name For protocols: output
  /// @{
  /// Sends bytes as application data: buffer limits apply.
  SendResult transmit(std::string_view head, std::string_view body, std::string_view tail = {});
  /// Sends bytes that are never dropped for a full buffer. False: closed.
  bool transmitControl(std::string_view head, std::string_view body);
  /// Sends what `source` gives, in its turn. Whatever is sent later waits for it.
  SendResult transmit(std::unique_ptr<OutputSource> source);
  /// The source at the front, which had nothing to give, has something.
  void sourceReady();
  /// Encodes in place, if the message may leave together with others: `write(char*)` is given room for `size`
  /// bytes and returns how many it has used. Where there is no such room `otherwise()` sends instead.
  template <class Write, class Otherwise>
  SendResult compose(std::size_t size, Write&& write, Otherwise&& otherwise);
  /// Whether `queued` bytes leave room for another message; if not, tells onError.
  bool admits(std::size_t queued);
  /// Tells onBufferFull if `queued` bytes have reached the limit.
  void announceIfFull(std::size_t queued);
  /// From now on what is sent waits for the loop's next iteration, so that the
  /// protocol's beforeWrite() can add to it what is to arrive with it.
  void holdOutput() noexcept { output_.hold(); }
  std::size_t unsentBytes() const noexcept;
  /// The same with what the protocol keeps until it can be sent.
  std::size_t queuedBytes() const noexcept;
  /// How much of what was written the peer has taken, as far as is known: it only grows.
  std::int64_t bytesTaken() const noexcept;
  /// @}

  /// @name For protocols: life
  /// @{
  const Life& life() const noexcept { return life_; }
  bool isEstablished() const noexcept { return life_.is(Life::Phase::Established); }
  /// What `spoken` keeps here; null if it keeps nothing.
  ProtocolState* stateOf(const Protocol& spoken) const noexcept {
    return state_ && state_->owner() == &spoken ? state_.get() : nullptr;
  }
  void setState(std::unique_ptr<ProtocolState> state);
  /// From the next package on `next` is spoken (null: raw bytes), by a connection that is up. What the former
  /// protocol kept is gone. Gives what is wrong with it, and changes nothing then: onMessage declares a type
  /// that `next` does not give, or this side does not speak it.
  [[nodiscard]] std::string changeProtocol(const Protocol* next);
  /// The client's handshake is done: its connection time limit is over.
  void protocolReady();
  /// The connection is lost or useless: tells the protocol why, then closes.
  void lost(std::string_view cause);
  /// Ends once all is written: with FIN, or, where the peer is to close first, without; drops what comes
  /// until the peer closes or lingerTimeout is over.
  void linger(bool shutdownWrite);
  /// The protocol's good-bye is on its way; input goes on.
  void awaitGoodbye() noexcept;
  /// Calls a callback; what it throws goes to error().
  template <class Slot, class... Args>
  void emit(const Slot& slot, Args&&... args) noexcept;
  /// @}

  /// @name For the rooms around
  /// @{
  /// Takes a connected socket. @throws std::system_error; then `fd` stays the caller's.
  void takeSocket(EventLoop& loop, int fd);
  /// What the socket just taken is spoken over with; tests give one without a socket.
  void carryOver(EventLoop& loop, std::unique_ptr<Transport> transport);
  Transport& socket() noexcept { return socket_; }
  /// Begins with what is there, after takeSocket(); true: it is open, and bytes can go.
  bool openTransport();
  /// There is a transport, and it is not closed.
  bool isUp() const noexcept { return transport_ != nullptr && life_.isCarried(); }
  bool isSecuring() const noexcept { return life_.is(Life::Phase::Connecting) && transport_ != nullptr; }
  int descriptor() const noexcept { return isUp() ? transport_->descriptor() : -1; }
  /// Nothing without TLS, and before its handshake is done.
  std::optional<SslInfo> sslInfo() const {
    return transport_ != nullptr ? transport_->sslInfo() : std::nullopt;
  }
  /// What is watched has happened: PollHandle::Events.
  static void onReady(void* self, int events) noexcept;
  /// Of an accepted one, after the worker has set it up.
  void startAccepted();
  /// Whether an accepted connection still owes a handshake: TLS or its protocol's.
  bool isOpening() const noexcept;
  /// isOpening() when the worker's handshakeTimeout is over.
  void handshakeOverdue();
  /// How many looks in a row, this one included, have found that no byte moved.
  unsigned sweptIdle() noexcept;
  void markActive() noexcept { idleSweeps_ = 0; }
  /// Its worker is gone.
  void disown() noexcept;
  const Subscriber* subscriber() const noexcept;
  /// Sends what was published for this connection and still waits, so that it
  /// stays in front of what comes now.
  void sendPublished() noexcept {
    if (rare_) [[unlikely]]
      catchUp();
  }
  /// Writes what is corked for this connection.
  void flushCork() noexcept;
  /// Goes on with what was left when others had their turn.
  void takeTurn() noexcept;
  /// No callback is running any more: nothing holds it but who has a handle.
  void dropSelf() noexcept;
  /// The connection's id, whatever the application makes of the property.
  std::int64_t realId() const noexcept { return realId_; }
  /// @}

 protected:
  Link() noexcept;
  ~Link();

  struct Rare;

  void hold(Hold why) noexcept;
  void release(Hold why);
  /// As TcpConnection::close() and end().
  void closeSoon();
  void endSoon();
  void destroyBecause(std::string_view cause);
  void handleException() noexcept;
  /// Holds this object until the final close.
  void holdSelf();
  /// The opposite; this may be gone afterwards unless the caller has a handle.
  void releaseSelf();
  /// Gives the socket up for another, telling nobody: what is corked is written,
  /// what is queued for it goes. Without a socket, what is queued waits for one.
  void leaveSocket();
  /// Parses bytes that came before the socket was taken.
  void receiveLeftOver(std::string_view bytes);
  void receive();
  void writeQueued();
  bool sendFinIfDue();
  void updateWatch() noexcept;
  bool endPiped();
  void endOutput();
  void consumeReceived(std::size_t length) noexcept;
  std::size_t receivedBytes() const noexcept { return pump_ != nullptr ? pump_->size() : received_.size(); }
  Rare& rare();

  Life life_;
  /// Reasons why input is held back: a union of Hold.
  std::uint8_t holds_ = 0;
  Output output_;
  std::unique_ptr<Rare> rare_;

 private:
  friend class LoopIo;
  struct Parts;

  SendResult push(const Parts& parts);
  Output::Moved moveOutput() noexcept;
  /// As transport_'s, without the detour where it is the socket.
  Transport::Written writeSome(const iovec* pieces, int count) noexcept {
    return transport_ == &socket_ ? socket_.write(pieces, count) : transport_->write(pieces, count);
  }
  void takeIn(char* data, std::size_t size);
  bool mayGoOn(Input& input) noexcept;
  Transport::Got readOnce();
  void cameInstead(const Transport* from, Transport::Read read);
  std::size_t pump(char* data, std::size_t size, bool isResumed);
  void receiveQueued(bool isResumed);
  void peerEnded();
  void cutOff();
  void readFailed(int error);
  void opened();
  void resume() noexcept;
  void noticeEnd();
  char* openCork(std::size_t size) noexcept;
  SendResult closeCork(std::size_t size) noexcept;
  bool flushOwnCork(bool isLast = false) noexcept;
  void enqueue(const Parts& parts, std::size_t skip);
  void sendFailed();
  void allWritten();
  void shutdownAndDrain();
  void limitClosing();
  void closingOverdue();
  void tellClosed(std::string_view cause) noexcept;
  void finalClose();
  void catchUp() noexcept;
  void watchFailed(int error) noexcept;
  void dropTransport() noexcept;

  /// The peer's stream has ended, and nothing more is read.
  bool inputEnded_ : 1 = false;
  /// The end has been read while what came before it is still held back.
  bool endWaits_ : 1 = false;
  /// It has been noticed behind more than is read while input is held back.
  bool endNoticed_ : 1 = false;
  /// It stands in LoopIo for the next turn: once, whatever happens until then.
  bool waitsForTurn_ : 1 = false;
  bool isHeldByLoop_ : 1 = false;
  bool isParked_ : 1 = false;
  std::uint8_t idleSweeps_ = 0;
  /// What the protocol said of the size of the package at the front.
  std::uint32_t wanted_ = 0;
  Transport* transport_ = nullptr;
  SocketTransport socket_;
  ByteQueue received_;
  Input* pump_ = nullptr;
  std::unique_ptr<ProtocolState> state_;
  /// Set while the framework holds this, and until the callbacks that run when
  /// it lets go have returned: no event needs a handle of its own.
  TcpConnectionPtr self_;
  const std::int64_t realId_;
};

}  // namespace Workerman::Connection::detail
