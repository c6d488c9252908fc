#include "fd_watch.h"

#include <poll.h>
#include <sys/ioctl.h>

#include <stdexcept>
#include <string>

namespace Workerman::detail {

namespace {

[[noreturn]] void refuse(int fd, int error) {
  std::string text = "cannot watch descriptor " + std::to_string(fd) + ": ";
  text += error == UV_EPERM ? "it is of a kind (such as a regular file) that is always ready"
                            : uv_strerror(error);
  throw std::runtime_error(text);
}

int unreadBytes(int fd) noexcept {
  int unread = 0;
  return ioctl(fd, FIONREAD, &unread) == 0 ? unread : 0;
}

}  // namespace

FdWatches::Watch& FdWatches::findOrOpen(int fd) {
  if (auto found = watches_.find(fd); found != watches_.end()) {
    return *found->second;
  }
  auto watch = std::make_unique<Watch>(Watch{this, fd, ++lastSerial_, {}, {}, {}});
  const int error =
      watch->poll.open(loop_, [&](uv_poll_t* poll) { return uv_poll_init(loop_.uvLoop(), poll, fd); });
  if (error < 0) {
    refuse(fd, error);
  }
  watch->poll.get()->data = watch.get();
  return *watches_.emplace(fd, std::move(watch)).first->second;
}

void FdWatches::set(int fd, BoundCallback Watch::*direction, BoundCallback task) {
  if (!task) {
    drop(fd, direction);
    return;
  }
  Watch& watch = findOrOpen(fd);
  std::swap(watch.*direction, task);
  if (const int error = restart(watch); error < 0) {
    std::swap(watch.*direction, task);
    if (!watch.readable && !watch.writable) {
      watches_.erase(fd);
    }
    refuse(fd, error);
  }
}

bool FdWatches::drop(int fd, BoundCallback Watch::*direction) {
  auto found = watches_.find(fd);
  if (found == watches_.end() || !(found->second.get()->*direction)) {
    return false;
  }
  Watch& watch = *found->second;
  const BoundCallback gone = std::exchange(watch.*direction, nullptr);
  if (watch.readable || watch.writable) {
    restart(watch);
  } else {
    watches_.erase(found);
  }
  return true;
}

void FdWatches::clear() noexcept {
  // Emptied first: destructors of captures may come back here.
  std::unordered_map<int, std::unique_ptr<Watch>> gone;
  gone.swap(watches_);
}

FdWatches::Watch* FdWatches::find(int fd, std::uint64_t serial) noexcept {
  auto found = watches_.find(fd);
  return found != watches_.end() && found->second->serial == serial ? found->second.get() : nullptr;
}

int FdWatches::restart(Watch& watch) noexcept {
  const int events = (watch.readable ? UV_READABLE : 0) | (watch.writable ? UV_WRITABLE : 0);
  return uv_poll_start(watch.poll.get(), events, &FdWatches::onPoll);
}

void FdWatches::onPoll(uv_poll_t* poll, int status, int events) noexcept {
  const auto& watch = *static_cast<Watch*>(poll->data);
  FdWatches& self = *watch.owner;
  const int fd = watch.fd;
  const std::uint64_t serial = watch.serial;
  DispatchScope scope(self.loop_);
  if (status == 0) {
    self.dispatch(fd, serial, events);
    return;
  }
  // libuv makes UV_EBADF of POLLERR and stops polling. Reading or writing
  // tells what happened, so that both directions are told.
  const int unread = unreadBytes(fd);
  self.dispatch(fd, serial, UV_READABLE | UV_WRITABLE);
  self.afterError(fd, serial, unread);
}

void FdWatches::dispatch(int fd, std::uint64_t serial, int events) noexcept {
  // Looked up again for each: the first callback may have ended the watch.
  if (Watch* watch = (events & UV_READABLE) ? find(fd, serial) : nullptr; watch && watch->readable) {
    BoundCallback task = watch->readable;
    loop_.guarded([&] { task(fd); });
  }
  if (Watch* watch = (events & UV_WRITABLE) ? find(fd, serial) : nullptr; watch && watch->writable) {
    BoundCallback task = watch->writable;
    loop_.guarded([&] { task(fd); });
  }
}

/// Polls on if the callback has cleared the error or is still reading what
/// came before it. Otherwise the same error would be told for ever.
void FdWatches::afterError(int fd, std::uint64_t serial, int unreadBefore) noexcept {
  Watch* watch = find(fd, serial);
  if (!watch || uv_is_active(watch->poll.base())) {
    return;
  }
  pollfd state{fd, POLLIN | POLLOUT, 0};
  if (::poll(&state, 1, 0) < 0 || (state.revents & POLLNVAL)) {
    return;
  }
  if (!(state.revents & POLLERR) || unreadBytes(fd) < unreadBefore) {
    restart(*watch);
  }
}

}  // namespace Workerman::detail
