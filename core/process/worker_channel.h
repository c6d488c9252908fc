#pragma once

/// What a master and one of its workers' processes tell each other, beside
/// signals (internal). Each process has a socket pair of its own with the
/// master, inherited at the fork, so that the master knows who speaks: a process
/// that gave up root, and is not its own any more, can say nothing for another
/// one, fill nobody's memory and hold nobody up.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "../descriptor.h"
#include "process_signals.h"

namespace Workerman {
class EventLoop;
}

namespace Workerman::detail {

/// What a process says.
enum class Answer : std::uint8_t {
  Ready,        ///< its onWorkerStart has returned
  Status,       ///< its part of `status`
  Connections,  ///< some of its part of `connections`
};

/// The greatest length of what is said at once, and of all that answers one question, in bytes.
constexpr std::size_t kMostSaid = std::size_t{1} << 20;
constexpr std::size_t kMostAnswered = std::size_t{64} << 20;

struct Said {
  Answer kind;
  /// Of the question that is answered.
  std::uint8_t number;
  bool isLast;
  /// Valid during the call.
  std::string_view text;
};

/// The master's end.
class ChannelToWorker {
 public:
  ChannelToWorker() = default;
  /// Goes on with one that another binary has opened.
  explicit ChannelToWorker(int fd) noexcept : fd_(fd) {}
  /// Opens one and gives the process's end. @throws std::system_error
  Descriptor open();

  /// -1 once it is closed.
  int descriptor() const noexcept { return fd_.get(); }
  /// How the process is to stop, which it finds out at the next signal that
  /// stops it. A terminal sends its signals to it as well as to the master,
  /// which then sends one: without this, one would pass for two.
  void order(StopLevel level) noexcept;
  /// The number of a question that a signal then asks.
  void number(std::uint8_t number) noexcept;

  /// Calls `each` with what has come. Gives why the channel is closed now, if
  /// that is the process's fault; also where it has only ended, without a word.
  std::string read(const std::function<void(const Said&)>& each);
  void close() noexcept;

 private:
  void send(unsigned char byte) noexcept;

  Descriptor fd_;
  std::string buffer_;
};

/// The process's end.
class ChannelToMaster {
 public:
  explicit ChannelToMaster(Descriptor fd) noexcept : fd_(std::move(fd)) {}
  ChannelToMaster(const ChannelToMaster&) = delete;
  ChannelToMaster& operator=(const ChannelToMaster&) = delete;

  /// Takes what the master has said, which both below then tell.
  void update() noexcept;
  StopLevel ordered() const noexcept { return ordered_; }
  /// Whether all that was said has been taken; else there is no room for more.
  bool isFree() const noexcept { return waiting_.empty(); }

  /// Says this, in its time: what the master does not take now waits for `loop`.
  /// What is longer than kMostSaid is left out.
  void say(EventLoop& loop, Answer kind, std::string_view text = {}, bool isLast = true);

 private:
  void sendWaiting(EventLoop& loop);

  Descriptor fd_;
  StopLevel ordered_ = StopLevel::None;
  std::uint8_t number_ = 0;
  std::string waiting_;
  std::size_t sent_ = 0;
  bool isWatched_ = false;
};

}  // namespace Workerman::detail
