#pragma once

/// Which TLS connections of a thread keep OpenSSL's buffers (internal).

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "../../core/loop_timer.h"

namespace Workerman::Connection::detail {

class TlsStream;

/// Those that were used last do; the others have theirs only while a record is
/// on its way. To get and to free them costs a twelfth of what a short message
/// does, and to keep them would cost every idle connection 33 KiB.
///
/// A stream is kept here for two seconds after its last use at most, and goes
/// by itself when it is destroyed.
class TlsBuffers {
 public:
  /// How many there are at most: 4 MiB of each thread.
  static constexpr std::uint8_t kMost = 128;
  /// Of a stream that is not among them.
  static constexpr std::uint8_t kNowhere = 255;

  TlsBuffers() = default;
  TlsBuffers(const TlsBuffers&) = delete;
  TlsBuffers& operator=(const TlsBuffers&) = delete;
  ~TlsBuffers();

  /// `stream` has sent or received something, on `loop`.
  void used(TlsStream& stream, EventLoop& loop);
  /// `stream` is about to go.
  void forget(TlsStream& stream) noexcept;
  /// How many streams keep theirs.
  std::size_t count() const noexcept { return count_; }

 private:
  struct Place {
    TlsStream* stream = nullptr;
    bool isUsed = false;  // since the last sweep
  };

  void add(TlsStream& stream, EventLoop& loop);
  void release(Place& place) noexcept;
  void sweep() noexcept;

  std::array<Place, kMost> places_;
  /// Who goes next when all are taken.
  std::uint8_t next_ = 0;
  std::uint8_t count_ = 0;
  std::optional<Workerman::detail::LoopTimer> timer_;
};

}  // namespace Workerman::Connection::detail
