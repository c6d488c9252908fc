#include "fd_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include "log.h"

namespace Workerman::detail {

namespace {

constexpr int kBatch = 64;
constexpr double kCheckSeconds = 1;
/// Looked at in one check, so that it stays short however many are watched.
constexpr std::size_t kChecked = 256;

std::string describe(int error) {
  return std::system_category().message(error);
}

[[noreturn]] void refuse(int fd, int error) {
  throw std::runtime_error(
      "cannot watch descriptor " + std::to_string(fd) + ": " +
      (error == EPERM ? "it is of a kind (such as a regular file) that is always ready" : describe(error)));
}

int unreadBytes(int fd) noexcept {
  int unread = 0;
  return ioctl(fd, FIONREAD, &unread) == 0 ? unread : 0;
}

/// 0, or the system's error number.
int makeNonBlocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  return (flags & O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : errno;
}

}  // namespace

// -- what is watched ------------------------------------------------------------

void FdWatches::requireSet() {
  if (poll_) return;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw std::system_error(errno, std::system_category(), "cannot make an epoll set");
  const int error =
      poll_.open(loop_, [&](uv_poll_t* poll) { return uv_poll_init(loop_.uvLoop(), poll, epoll); });
  if (error != 0) {
    ::close(epoll);
    throw std::system_error(-error, std::system_category(), "cannot watch an epoll set");
  }
  epoll_ = epoll;
  poll_.get()->data = this;
  // For good: it keeps the loop running only while something is watched.
  uv_poll_start(poll_.get(), UV_READABLE, &FdWatches::onReady);
  uv_unref(poll_.base());
}

/// Waits for what there are callbacks for. 0, or the system's error number.
int FdWatches::arm(int operation, int fd, Watch& watch) noexcept {
  epoll_event event{};
  // Once: what cannot be taken out of the set any more, since its number is gone, must not spin.
  event.events = (watch.readable ? std::uint32_t{EPOLLIN} : 0) |
                 (watch.writable ? std::uint32_t{EPOLLOUT} : 0) | EPOLLONESHOT;
  event.data.u64 = std::uint64_t{watch.serial} << 32 | static_cast<std::uint32_t>(fd);
  if (::epoll_ctl(epoll_, operation, fd, &event) != 0) return errno;
  if (!std::exchange(watch.isArmed, true) && ++armed_ == 1) {
    uv_ref(poll_.base());
    startCheck(kCheckSeconds);
  }
  return 0;
}

void FdWatches::disarm(Watch& watch) noexcept {
  if (!std::exchange(watch.isArmed, false) || --armed_ != 0) return;
  uv_unref(poll_.base());
  check_.stop();
  new_.clear();
}

void FdWatches::set(int fd, BoundCallback Watch::*direction, BoundCallback task) {
  if (!task) {
    drop(fd, direction);
    return;
  }
  if (const auto found = watches_.find(fd); found != watches_.end()) {
    Watch& watch = found->second;
    std::swap(watch.*direction, task);
    const int error = arm(EPOLL_CTL_MOD, fd, watch);
    if (error == 0) return;
    if (error != EBADF && error != ENOENT) {
      std::swap(watch.*direction, task);
      refuse(fd, error);
    }
    // Nobody waits for the descriptor that had this number any more; only the other direction is lost.
    task = std::exchange(watch.*direction, nullptr);
    if (watch.readable || watch.writable) {
      lose(fd, error);
    } else {
      const auto replaced = take(found);
    }
  }
  add(fd, direction, std::move(task));
}

void FdWatches::add(int fd, BoundCallback Watch::*direction, BoundCallback task) {
  requireSet();
  Watch& watch = watches_[fd];
  watch.serial = ++lastSerial_;
  watch.*direction = std::move(task);
  int error = arm(EPOLL_CTL_ADD, fd, watch);
  if (error == 0) error = makeNonBlocking(fd);
  if (error != 0) {
    const auto gone = take(watches_.find(fd));
    refuse(fd, error);
  }
  new_.push_back(fd);
  if (new_.size() == 1) startCheck(0);
}

bool FdWatches::drop(int fd, BoundCallback Watch::*direction) {
  const auto found = watches_.find(fd);
  if (found == watches_.end() || !(found->second.*direction)) return false;
  Watch& watch = found->second;
  const BoundCallback gone = std::exchange(watch.*direction, nullptr);
  if (!watch.readable && !watch.writable) {
    const auto last = take(found);
  } else if (watch.isArmed) {
    if (const int error = arm(EPOLL_CTL_MOD, fd, watch); error != 0) lose(fd, error);
  }
  return true;
}

/// Hands out what goes last: destructors of captures may come back here.
FdWatches::Watches::node_type FdWatches::take(Watches::iterator found) noexcept {
  disarm(found->second);
  // Of a closed descriptor there is nothing to take out, and the number may be another set's by now.
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, found->first, nullptr);
  return watches_.extract(found);
}

void FdWatches::clear() noexcept {
  Watches gone;
  gone.swap(watches_);
  new_.clear();
  check_.stop();
  armed_ = 0;
  poll_.close();
  if (epoll_ >= 0) ::close(std::exchange(epoll_, -1));
}

FdWatches::Watch* FdWatches::find(int fd, std::uint32_t serial) noexcept {
  const auto found = watches_.find(fd);
  return found != watches_.end() && found->second.serial == serial ? &found->second : nullptr;
}

// -- what is closed while it is watched -------------------------------------------

void FdWatches::lose(int fd, int error) noexcept {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  const auto gone = take(found);
  const Watch& watch = gone.mapped();
  const bool isClosed = error == EBADF || error == ENOENT;
  loop_.guarded([&] {
    log("descriptor " + std::to_string(fd) +
        (isClosed ? " was closed" : " failed (" + describe(error) + ")") + " while " +
        (!watch.writable  ? "onReadable"
         : watch.readable ? "onReadable and onWritable"
                          : "onWritable") +
        " watched it: the watch is ended" +
        (isClosed ? "; offReadable() and offWritable() come before close()" : ""));
  });
}

/// Whether the number does not stand for what is watched any more.
bool FdWatches::isGone(int fd) noexcept {
  epoll_event event{};
  event.events = EPOLLONESHOT;
  // Added again only if it is another file.
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    return true;
  }
  // Short of memory the kernel does not say; there is a next time.
  return errno == EBADF || errno == EPERM;
}

void FdWatches::startCheck(double seconds) {
  check_.start(
      seconds, [](void* self) noexcept { static_cast<FdWatches*>(self)->check(); }, this);
}

void FdWatches::check() noexcept {
  loop_.guarded([this] {
    std::vector<std::pair<int, std::uint32_t>> gone;
    const auto look = [&](const Watches::value_type& each) {
      if (isGone(each.first)) gone.emplace_back(each.first, each.second.serial);
    };
    for (const int fd : std::exchange(new_, {})) {
      if (const auto found = watches_.find(fd); found != watches_.end()) look(*found);
    }
    const std::size_t buckets = watches_.bucket_count();
    for (std::size_t i = 0, seen = 0; i < buckets && seen < kChecked; ++i) {
      nextBucket_ = (nextBucket_ + 1) % buckets;
      for (auto each = watches_.begin(nextBucket_); each != watches_.end(nextBucket_); ++each, ++seen)
        look(*each);
    }
    // Looked up again: what goes with one of them may end and begin others.
    for (const auto& [fd, serial] : gone) {
      if (find(fd, serial) != nullptr) lose(fd, EBADF);
    }
    if (armed_ != 0 && !check_.active()) startCheck(kCheckSeconds);
  });
}

// -- what is ready ----------------------------------------------------------------

void FdWatches::onReady(uv_poll_t* poll, int, int) noexcept {
  auto& self = *static_cast<FdWatches*>(poll->data);
  const DispatchScope scope(self.loop_);
  self.serve();
}

void FdWatches::serve() noexcept {
  std::array<epoll_event, kBatch> events;
  const int ready = ::epoll_wait(epoll_, events.data(), kBatch, 0);
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    tell(static_cast<int>(event.data.u64 & UINT32_MAX), static_cast<std::uint32_t>(event.data.u64 >> 32),
         event.events);
  }
}

void FdWatches::tell(int fd, std::uint32_t serial, std::uint32_t events) noexcept {
  Watch* const watch = find(fd, serial);
  if (watch == nullptr) return;
  if (events & EPOLLERR) return tellError(fd, serial);
  // Before the callback, which may close it, and which must not be called for another file.
  if (const int error = arm(EPOLL_CTL_MOD, fd, *watch); error != 0) return lose(fd, error);
  if (events & (EPOLLIN | EPOLLHUP)) dispatch(fd, serial, &Watch::readable);
  if (events & (EPOLLOUT | EPOLLHUP)) dispatch(fd, serial, &Watch::writable);
}

void FdWatches::dispatch(int fd, std::uint32_t serial, BoundCallback Watch::*direction) noexcept {
  // Looked up again for each: the first callback may have ended the watch.
  if (Watch* const watch = find(fd, serial); watch != nullptr && watch->*direction) {
    BoundCallback task = watch->*direction;
    loop_.guarded([&] { task(fd); });
  }
}

/// Reading or writing tells what happened, so that both directions are told.
/// Waits on if the callback has cleared the error or is still reading what
/// came before it. Otherwise the same error would be told for ever.
void FdWatches::tellError(int fd, std::uint32_t serial) noexcept {
  if (isGone(fd)) return lose(fd, EBADF);
  disarm(*find(fd, serial));
  const int unreadBefore = unreadBytes(fd);
  dispatch(fd, serial, &Watch::readable);
  dispatch(fd, serial, &Watch::writable);
  Watch* const watch = find(fd, serial);
  if (watch == nullptr || watch->isArmed) return;
  pollfd state{fd, POLLIN | POLLOUT, 0};
  if (::poll(&state, 1, 0) < 0 || (state.revents & POLLNVAL)) return lose(fd, EBADF);
  if (!(state.revents & POLLERR) || unreadBytes(fd) < unreadBefore) {
    if (const int error = arm(EPOLL_CTL_MOD, fd, *watch); error != 0) lose(fd, error);
  }
}

}  // namespace Workerman::detail
