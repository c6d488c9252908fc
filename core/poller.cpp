#include "poller.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "event_loop.h"

namespace Workerman::detail {
namespace {

constexpr std::uint32_t kFailed = EPOLLERR | EPOLLHUP;

std::uint32_t toEpoll(int events) noexcept {
  return ((events & PollHandle::Readable) ? std::uint32_t{EPOLLIN} : 0) |
         ((events & PollHandle::Writable) ? std::uint32_t{EPOLLOUT} : 0) |
         ((events & PollHandle::PeerEnd) ? std::uint32_t{EPOLLRDHUP} : 0);
}

int fromEpoll(std::uint32_t events) noexcept {
  if (events == EPOLLIN) [[likely]]
    return PollHandle::Readable;
  return ((events & (EPOLLIN | kFailed)) ? PollHandle::Readable : 0) |
         ((events & (EPOLLOUT | kFailed)) ? PollHandle::Writable : 0) |
         ((events & (EPOLLRDHUP | kFailed)) ? PollHandle::PeerEnd : 0);
}

}  // namespace

Poller* Poller::make(EventLoop& loop) {
  std::unique_ptr<Poller, void (*)(Poller*)> poller(new Poller(loop),
                                                    [](Poller* failed) { failed->detach(); });
  poller->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (poller->epoll_ < 0) throw std::system_error(errno, std::system_category(), "cannot make an epoll set");
  const int error = poller->poll_.open(
      loop, [&](uv_poll_t* poll) { return uv_poll_init(loop.uvLoop(), poll, poller->epoll_); });
  if (error != 0) throw std::system_error(-error, std::system_category(), "cannot watch an epoll set");
  poller->poll_.get()->data = poller.get();
  // For good, since libuv ends the process when the system refuses to watch it; see countWatched().
  uv_poll_start(poller->poll_.get(), UV_READABLE, &Poller::onReady);
  uv_unref(poller->poll_.base());
  return poller.release();
}

void Poller::detach() noexcept {
  loop_ = nullptr;
  poll_.close();
  if (epoll_ >= 0) ::close(std::exchange(epoll_, -1));
  ready_ = 0;
  release();
}

void Poller::release() noexcept {
  if (--references_ == 0) delete this;
}

void Poller::onReady(uv_poll_t* poll, int, int) noexcept {
  auto& self = *static_cast<Poller*>(poll->data);
  const DispatchScope scope(*self.loop_);
  ++self.references_;
  self.serve();
  self.release();
}

void Poller::serve() noexcept {
  ready_ = ::epoll_wait(epoll_, events_.data(), kBatch, 0);
  for (next_ = 0; next_ < ready_;) {
    const epoll_event& event = events_[static_cast<std::size_t>(next_++)];
    auto* const handle = static_cast<PollHandle*>(event.data.ptr);
    if (handle == nullptr) continue;
    // What a callback before this one has stopped waiting for is not told.
    if (const int events = fromEpoll(event.events) & handle->watched_)
      handle->handler_(handle->owner_, events);
  }
  ready_ = 0;
}

int Poller::control(int operation, PollHandle& handle, int events) noexcept {
  epoll_event event{};
  event.events = toEpoll(events);
  event.data.ptr = &handle;
  return ::epoll_ctl(epoll_, operation, handle.fd_, &event);
}

/// libuv's handle keeps the loop running only while there is something to wait for.
void Poller::countWatched(int change) noexcept {
  const bool wasActive = watched_ != 0;
  watched_ += change;
  if (!poll_ || wasActive == (watched_ != 0)) return;
  wasActive ? uv_unref(poll_.base()) : uv_ref(poll_.base());
}

void Poller::forget(const PollHandle& handle) noexcept {
  for (int i = next_; i < ready_; ++i) {
    epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &handle) event.data.ptr = nullptr;
  }
}

// -- one socket ---------------------------------------------------------------------

void PollHandle::open(EventLoop& loop, int fd, Handler handler, void* owner) {
  close();
  poller_ = &loop.poller();
  ++poller_->references_;
  handler_ = handler;
  owner_ = owner;
  fd_ = fd;
}

int PollHandle::change(int events) noexcept {
  if (poller_->epoll_ < 0) return 0;  // the loop is closed, and so is about to be what waits here
  if (events == None) {
    // A socket that nobody waits for must not wake the loop with its errors either.
    watched_ = None;
    poller_->control(EPOLL_CTL_DEL, *this, None);
    poller_->countWatched(-1);
    return 0;
  }
  if (poller_->control(watched_ == None ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, *this, events) != 0) return errno;
  if (std::exchange(watched_, events) == None) poller_->countWatched(1);
  return 0;
}

void PollHandle::close() noexcept {
  if (poller_ == nullptr) return;
  unwatch();
  poller_->forget(*this);
  std::exchange(poller_, nullptr)->release();
}

}  // namespace Workerman::detail
