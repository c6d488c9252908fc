#pragma once

/// What the connections of one thread share while bytes move (internal).

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "../../core/fwd.h"
#include "byte_queue.h"

namespace Workerman {
class EventLoop;
}

namespace Workerman::Connection {
class ProtocolState;
namespace detail {
class Link;
class TopicHub;
}  // namespace detail
}  // namespace Workerman::Connection

namespace Workerman::Connection::detail {

/// The one receive buffer of a thread, the cork, and the parked objects that
/// code further up the stack may still be using.
///
/// The cork collects what is sent on ONE connection while a callback runs, so
/// that it leaves in one system call: when the outermost callback returns, when
/// another connection starts sending, or when it is full.
class LoopIo {
 public:
  static constexpr std::size_t kReceiveSize = 512 * 1024;
  static constexpr std::size_t kCorkSize = 64 * 1024;
  /// Longer messages leave at once, straight from the caller's bytes…
  static constexpr std::size_t kCorkedMessage = 4096;
  /// …unless more are likely to follow, when this is the limit.
  static constexpr std::size_t kLongCorkedMessage = 24 * 1024;
  /// How much of a package announced by the peer is given memory before it comes: a megabyte with its
  /// framing.
  static constexpr std::size_t kMostReserved = 1024 * 1024 + 4096;

  /// This thread's, made at the first call.
  static LoopIo& ofThisThread() { return current_ ? *current_ : make(); }
  /// The same where it is there already.
  static LoopIo& afterFirstUse() noexcept { return *current_; }
  ~LoopIo();

  char* receiveBuffer() noexcept { return memory_->received; }
  /// Room for one outgoing message in the making; good until the next call.
  char* scratch(std::size_t size) { return size <= kScratchSize ? memory_->scratch : largeScratch(size); }

  /// Memory for the bytes of a large package that comes in pieces, kMostReserved of them: what another has
  /// left, or new. New each time, a megabyte is 256 page faults, which cost more than receiving it.
  ByteQueue takeLarge();
  /// Keeps memory that takeLarge() gave; of at most eight at a time, so 8 MiB of each thread.
  void keepLarge(ByteQueue&& used) noexcept;

  Link* corked() const noexcept { return corkOwner_; }
  std::string_view corkedBytes() const noexcept { return {cork(), corkUsed_}; }
  /// Where the next bytes go; then addToCork() says whose and how many.
  char* corkTail() noexcept { return cork() + corkUsed_; }
  void addToCork(Link& owner, std::size_t size) noexcept {
    corkOwner_ = &owner;
    corkUsed_ += size;
  }
  std::size_t corkRoom() const noexcept { return kCorkSize - corkUsed_; }
  void clearCork() noexcept {
    corkOwner_ = nullptr;
    corkUsed_ = 0;
  }

  /// Lets `hub` send what it has gathered when no callback is running any more.
  void flushLater(std::shared_ptr<TopicHub> hub) { publishing_.push_back(std::move(hub)); }
  /// Frees `state` once no callback is running any more.
  void bury(EventLoop* loop, std::unique_ptr<ProtocolState> state);
  /// Lets go of `connection` once no callback is running any more, so that
  /// code further up the stack needs no handle of its own.
  void release(EventLoop& loop, Link& connection);
  /// Lets `connection`, whose share of this turn is used up, go on in the loop's next.
  void takeTurnLater(EventLoop& loop, const TcpConnectionPtr& connection);

  /// Makes this the loop's end-of-callback hook.
  void attachTo(EventLoop& loop);

 private:
  static constexpr std::size_t kScratchSize = 32 * 1024;
  static constexpr std::size_t kMostSpares = 8;
  /// Aligned, as the kernel copies 16 KiB a tenth faster to where a cache line starts.
  struct alignas(4096) Memory {
    char received[kReceiveSize];
    char cork[kCorkSize];
    char scratch[kScratchSize];
  };

  LoopIo();
  static LoopIo& make();
  char* largeScratch(std::size_t size);
  static void onCallbackEnd(void* self) noexcept;
  void takeTurns() noexcept;
  char* cork() const noexcept { return memory_->cork; }

  static constinit thread_local LoopIo* current_;
  std::unique_ptr<Memory> memory_;
  Link* corkOwner_ = nullptr;
  std::size_t corkUsed_ = 0;
  std::unique_ptr<char[]> largeScratch_;
  std::size_t largeScratchSize_ = 0;
  std::vector<std::shared_ptr<TopicHub>> publishing_;
  std::vector<ByteQueue> spares_;
  std::vector<std::unique_ptr<ProtocolState>> buried_;
  std::vector<Link*> released_;
  /// Those that go on in the next turn.
  std::vector<TcpConnectionPtr> waiting_;
  /// Somebody will see to them: the loop that they are on.
  EventLoop* turnOf_ = nullptr;
};

}  // namespace Workerman::Connection::detail
