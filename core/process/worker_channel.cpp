#include "worker_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "../event_loop.h"

namespace Workerman::detail {
namespace {

/// Before a text.
struct Head {
  std::uint32_t length;
  Answer kind;
  std::uint8_t number;
  std::uint8_t isLast;
  std::uint8_t zero;
};
static_assert(sizeof(Head) == 8);

/// What the master says is one byte: a level, or with this a question's number.
constexpr unsigned char kNumber = 0x80;
/// What the master reads of one process before it turns to the next.
constexpr int kPieces = 4;

}  // namespace

Descriptor ChannelToWorker::open() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  fd_.reset(ends[0]);
  buffer_.clear();
  return Descriptor(ends[1]);
}

void ChannelToWorker::close() noexcept {
  fd_.reset();
  buffer_ = {};
}

/// One that has never taken what it was told is stopped by the signals alone, and by force.
void ChannelToWorker::send(unsigned char byte) noexcept {
  if (fd_) static_cast<void>(::send(fd_.get(), &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT));
}

void ChannelToWorker::order(StopLevel level) noexcept {
  send(static_cast<unsigned char>(level));
}

void ChannelToWorker::number(std::uint8_t number) noexcept {
  send(static_cast<unsigned char>(kNumber | number));
}

std::string ChannelToWorker::read(const std::function<void(const Said&)>& each) {
  static std::array<char, 65536> piece;
  for (int i = 0; i < kPieces && fd_; ++i) {
    const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      close();
      return {};
    }
    buffer_.append(piece.data(), static_cast<std::size_t>(got));
    std::string_view rest = buffer_;
    while (rest.size() >= sizeof(Head)) {
      Head head{};
      std::memcpy(&head, rest.data(), sizeof head);
      if (head.length > kMostSaid || head.kind > Answer::Connections) {
        close();
        return "says what is no answer";
      }
      if (rest.size() - sizeof head < head.length) break;
      each({head.kind, head.number, head.isLast != 0, rest.substr(sizeof head, head.length)});
      if (!fd_) return {};
      rest.remove_prefix(sizeof head + head.length);
    }
    buffer_.erase(0, buffer_.size() - rest.size());
  }
  return {};
}

void ChannelToMaster::update() noexcept {
  std::array<unsigned char, 64> bytes{};
  for (ssize_t got; (got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT)) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      const unsigned char byte = bytes[static_cast<std::size_t>(i)];
      if ((byte & kNumber) != 0) {
        number_ = byte & static_cast<unsigned char>(~kNumber);
      } else {
        ordered_ = std::max(ordered_, static_cast<StopLevel>(std::min<unsigned char>(
                                          byte, static_cast<unsigned char>(StopLevel::AtOnce))));
      }
    }
  }
}

void ChannelToMaster::say(EventLoop& loop, Answer kind, std::string_view text, bool isLast) {
  if (text.size() > kMostSaid) return;
  const Head head{static_cast<std::uint32_t>(text.size()), kind, number_, isLast, 0};
  waiting_.append(reinterpret_cast<const char*>(&head), sizeof head);
  waiting_.append(text);
  if (!isWatched_) sendWaiting(loop);
}

void ChannelToMaster::sendWaiting(EventLoop& loop) {
  while (sent_ < waiting_.size()) {
    const ssize_t sent =
        ::send(fd_.get(), waiting_.data() + sent_, waiting_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      if (!std::exchange(isWatched_, true)) {
        loop.onWritable(fd_.get(), [this, &loop] { sendWaiting(loop); });
      }
      return;
    }
    if (sent < 0) break;  // The master has gone: nobody asks any more.
    sent_ += static_cast<std::size_t>(sent);
  }
  waiting_ = {};
  sent_ = 0;
  if (std::exchange(isWatched_, false)) loop.offWritable(fd_.get());
}

}  // namespace Workerman::detail
