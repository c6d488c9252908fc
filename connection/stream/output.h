#pragma once

/// What a connection still has to send (internal).

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>

#include "byte_queue.h"
#include "output_source.h"

namespace Workerman::Connection::detail {

/// Owns what the application has sent and the transport not taken: bytes and sources, in order. (What is
/// corked stands in LoopIo until the callback ends, what is encrypted in the transport.) Says whether more
/// may go straight to the transport, and whether the end of our stream is due.
class Output {
 public:
  /// Nothing stands in the way of new bytes.
  bool isIdle() const noexcept { return why_ == 0; }
  /// Something waits for room, or for a source.
  bool isQueued() const noexcept { return (why_ & (Bytes | Blocked | Sources)) != 0; }
  /// Whether room would help.
  bool wantsRoom() const noexcept {
    return (why_ & (Bytes | Blocked)) != 0 || ((why_ & Sources) != 0 && !sourceWaits_);
  }
  /// Bytes in memory, those that wait in the transport not counted.
  std::size_t size() const noexcept { return queue_.size() + (sources_ ? sizeOfSources() : 0); }
  bool isBlocked() const noexcept { return (why_ & Blocked) != 0; }

  /// Behind everything. @throws std::bad_alloc
  void append(std::string_view bytes);
  void reserve(std::size_t size) { tail().reserve(size); }
  void append(std::unique_ptr<OutputSource> source);
  void clear() noexcept;

  struct Moved {
    std::size_t size = 0;     ///< of the application's bytes, taken by the transport
    std::size_t flushed = 0;  ///< of the transport's own, gone from there
    int error = 0;            ///< not 0: the transport, or a source, has failed
  };
  /// Moves on what the transport has room for.
  Moved move(Transport& transport) noexcept;
  /// Whether bytes wait inside the transport, be they its own (an alert).
  void setBlocked(bool isBlocked) noexcept { set(Blocked, isBlocked); }
  /// The transport has taken bytes of the application's; whether some wait inside it.
  void tookBytes(bool isBlocked) noexcept {
    setBlocked(isBlocked);
    if (isBlocked) drainIsNews_ = true;
  }
  /// Once nothing is queued any more: whether there has been anything of the application's, since the last
  /// call.
  bool takeDrained() noexcept { return std::exchange(drainIsNews_, false); }
  /// A source that had nothing to give has something.
  void wakeSource() noexcept { sourceWaits_ = false; }

  /// From now on new bytes wait for move(), so that more can be put to them.
  void hold() noexcept { set(Held, true); }
  bool isHeld() const noexcept { return (why_ & Held) != 0; }

  /// @name The end of our stream, while input goes on
  /// @{
  void owesEnd() noexcept { owesEnd_ = true; }
  bool isEndOwed() const noexcept { return owesEnd_; }
  /// @}
  /// For another socket: what is queued may stay.
  void renew(bool keepsBytes) noexcept;

 private:
  /// Why new bytes cannot go straight to the transport.
  enum Why : std::uint8_t { Bytes = 1, Blocked = 2, Sources = 4, Held = 8 };
  /// A source, and the bytes that were sent after it.
  struct Entry {
    std::unique_ptr<OutputSource> source;
    ByteQueue behind;
  };

  void set(Why why, bool isSo) noexcept { why_ = static_cast<std::uint8_t>(isSo ? why_ | why : why_ & ~why); }
  ByteQueue& tail() noexcept { return sources_ ? sources_->back().behind : queue_; }
  std::size_t sizeOfSources() const noexcept;
  bool moveBytes(Transport& transport, Moved& moved) noexcept;
  bool moveSource(Transport& transport, Moved& moved) noexcept;

  ByteQueue queue_;
  std::unique_ptr<std::deque<Entry>> sources_;
  std::uint8_t why_ = 0;
  bool sourceWaits_ = false;
  bool owesEnd_ = false;
  bool drainIsNews_ = false;
};

}  // namespace Workerman::Connection::detail
