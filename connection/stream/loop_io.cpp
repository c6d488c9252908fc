#include "loop_io.h"

#include "../../core/event_loop.h"
#include "../protocol.h"
#include "link_inline.h"
#include "topics.h"

namespace Workerman::Connection::detail {

constinit thread_local LoopIo* LoopIo::current_ = nullptr;

LoopIo::LoopIo() : memory_(new Memory) {  // not zeroed
  spares_.reserve(kMostSpares);
}
LoopIo::~LoopIo() = default;

LoopIo& LoopIo::make() {
  static thread_local struct Owner {
    std::unique_ptr<LoopIo> io;
    ~Owner() { current_ = nullptr; }
  } owner;
  if (!owner.io) owner.io.reset(new LoopIo);
  current_ = owner.io.get();
  return *current_;
}

char* LoopIo::largeScratch(std::size_t size) {
  // Kept for the next long message, but not beyond what is common.
  constexpr std::size_t kKept = 4 * 1024 * 1024;
  const bool isTooLong = largeScratchSize_ > kKept && size <= kKept;
  if (size > largeScratchSize_ || isTooLong) {
    largeScratch_.reset(new char[size]);
    largeScratchSize_ = size;
  }
  return largeScratch_.get();
}

ByteQueue LoopIo::takeLarge() {
  ByteQueue taken;
  if (spares_.empty()) {
    taken.reserve(kMostReserved);
  } else {
    taken.swap(spares_.back());
    spares_.pop_back();
  }
  return taken;
}

void LoopIo::keepLarge(ByteQueue&& used) noexcept {
  if (used.capacity() != kMostReserved || spares_.size() == kMostSpares) return;
  used.rewind();
  spares_.push_back(std::move(used));
}

void LoopIo::bury(EventLoop* loop, std::unique_ptr<ProtocolState> state) {
  if (!state) return;
  buried_.push_back(std::move(state));
  if (loop != nullptr) loop->requestFlush();
}

void LoopIo::release(EventLoop& loop, Link& connection) {
  released_.push_back(&connection);
  loop.requestFlush();
}

void LoopIo::takeTurnLater(EventLoop& loop, const TcpConnectionPtr& connection) {
  waiting_.push_back(connection);
  if (turnOf_ == &loop) return;
  turnOf_ = &loop;
  loop.defer([this] { takeTurns(); });
}

/// What is left of the input of those that had their share; who has more left than that waits once more.
void LoopIo::takeTurns() noexcept {
  turnOf_ = nullptr;
  const auto now = std::move(waiting_);
  waiting_.clear();
  for (const TcpConnectionPtr& connection : now) Link::of(*connection).takeTurn();
}

void LoopIo::attachTo(EventLoop& loop) {
  // Of a loop that is closed.
  waiting_.clear();
  turnOf_ = nullptr;
  loop.setFlushHook(&LoopIo::onCallbackEnd, this);
}

void LoopIo::onCallbackEnd(void* self) noexcept {
  auto& io = *static_cast<LoopIo*>(self);
  // What flushing calls back may publish and send again.
  do {
    const auto publishing = std::move(io.publishing_);
    io.publishing_.clear();
    for (const auto& hub : publishing) hub->flush();
    while (io.corkOwner_ != nullptr) io.corkOwner_->flushCork();
  } while (!io.publishing_.empty());
  io.buried_.clear();
  while (!io.released_.empty()) {
    Link* const connection = io.released_.back();
    io.released_.pop_back();
    connection->dropSelf();
  }
}

}  // namespace Workerman::Connection::detail
