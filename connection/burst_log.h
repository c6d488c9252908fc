#pragma once

/// One line for many events that are alike (internal).

#include <cstdint>
#include <string>

namespace Workerman::Connection::detail {

/// What others can cause as often as they like must not fill the log: the first event is a line in it, and
/// then one every ten seconds, which says how many there were in between.
class BurstLog {
 public:
  static constexpr std::uint64_t kGapMilliseconds = 10'000;

  /// One event, described by `line`.
  void tell(std::string line) noexcept;
  /// The same at `now`, in milliseconds; gives what is to be logged, nothing if the event is only counted.
  std::string told(std::string line, std::uint64_t now);

 private:
  std::uint64_t last_ = 0;
  std::uint64_t untold_ = 0;
  bool isAny_ = false;
};

}  // namespace Workerman::Connection::detail
