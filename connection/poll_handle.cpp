#include "poll_handle.h"

#include <uv.h>

#include <memory>
#include <system_error>

#include "../core/event_loop.h"

namespace Workerman::Connection::detail {

struct PollHandle::Block {
  uv_poll_t poll;
  Handler handler = nullptr;
  void* owner = nullptr;
  int watched = None;

  static void onEvent(uv_poll_t* poll, int status, int events) noexcept {
    auto* block = static_cast<Block*>(poll->data);
    // libuv stops the handle when it reports an error.
    if (status < 0) block->watched = None;
    block->handler(block->owner, status, events);
  }
  static void onClosed(uv_handle_t* handle) noexcept { delete static_cast<Block*>(handle->data); }
};

void PollHandle::open(EventLoop& loop, int fd, Handler handler, void* owner) {
  close();
  auto block = std::make_unique<Block>();
  if (const int error = uv_poll_init(loop.uvLoop(), &block->poll, fd); error != 0) {
    throw std::system_error(-error, std::system_category(), "cannot watch the socket");
  }
  block->poll.data = block.get();
  block->handler = handler;
  block->owner = owner;
  block_ = block.release();
}

void PollHandle::watch(int events) noexcept {
  if (block_ == nullptr || block_->watched == events) return;
  block_->watched = events;
  if (events == None) {
    uv_poll_stop(&block_->poll);
  } else {
    static_assert(int{Readable} == int{UV_READABLE} && int{Writable} == int{UV_WRITABLE});
    uv_poll_start(&block_->poll, events, &Block::onEvent);
  }
}

void PollHandle::close() noexcept {
  if (block_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&std::exchange(block_, nullptr)->poll), &Block::onClosed);
}

}  // namespace Workerman::Connection::detail
