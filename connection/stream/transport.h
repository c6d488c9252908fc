#pragma once

/// The seam between a stream connection and what carries its bytes (internal).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "../ssl_info.h"

struct iovec;

namespace Workerman {
class EventLoop;
}

namespace Workerman::Connection::detail {

/// Bytes there and back, without waiting. Nothing here calls back: who holds a transport is told by its
/// owner's poller, or in tests by the test, when there may be more to read or room to write.
class Transport {
 public:
  enum class Got : std::uint8_t {
    Bytes,   ///< these and no more for now; may be none at all
    More,    ///< these, and there are more that need no waiting
    Opened,  ///< the handshake is done: read again
    Ended,   ///< these, then the end: the peer sends no more
    CutOff,  ///< the end of the stream below, where the transport should have said so first
    Failed,
  };
  struct Read {
    std::size_t size = 0;
    Got got = Got::Bytes;
    /// Bytes of its own (an alert) wait in here for room.
    bool isBlocked = false;
    int error = 0;  ///< of Failed, for describe()
  };
  struct Written {
    std::size_t size = 0;  ///< taken: on their way, or waiting in here
    /// Bytes wait in here for room: nothing more is taken until flush() has moved them on.
    bool isBlocked = false;
    int error = 0;  ///< not 0: it has failed
  };

  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Reads at most `room` bytes, which is more than 0.
  virtual Read read(char* to, std::size_t room) noexcept = 0;
  /// Reads bytes that nobody wants, as they come.
  virtual Read drop(char* to, std::size_t room) noexcept { return read(to, room); }
  /// An error that has befallen it, to be told once; 0 for none.
  virtual int takeError() noexcept { return 0; }
  /// Takes as much of the pieces as there is room for; not while bytes wait in here.
  virtual Written write(const iovec* pieces, int count) noexcept = 0;
  /// As much of a file as there is room for.
  virtual Written writeFile(int file, std::int64_t offset, std::size_t size) noexcept;

  /// Begins what has to be said before any byte (a client's handshake).
  virtual Written open() noexcept { return {}; }
  /// Whether bytes can go: what has to be said before is said.
  virtual bool isOpen() const noexcept { return true; }
  /// How many bytes wait in here for room.
  virtual std::size_t waiting() const noexcept { return 0; }
  /// Moves them on; `size` tells how many have gone.
  virtual Written flush() noexcept { return {}; }
  /// Says that no more follows. False: the word waits in here for room; call again when it has gone.
  virtual bool endOutput() noexcept = 0;
  /// Closes; what can be said without waiting is said first.
  virtual void close() noexcept = 0;

  /// What to wait for: PollHandle::Events. Gives an error.
  virtual int watch(int events) noexcept = 0;
  /// The socket below, -1 if there is none.
  virtual int descriptor() const noexcept = 0;
  /// Bytes written that the peer has not acknowledged.
  virtual std::size_t unacknowledged() const noexcept = 0;
  /// Bytes that have arrived and were not read, in whatever form.
  virtual std::size_t unread() const noexcept = 0;
  /// The peer may be sending what nobody has asked for: closing now could take back what it has not read.
  virtual bool mayGetUnasked() const noexcept { return false; }
  /// The server's side of a handshake that nobody was told of.
  virtual bool isUnannounced() const noexcept { return false; }
  virtual std::optional<SslInfo> sslInfo() const { return std::nullopt; }
  /// An error of read(), write() or flush() in words.
  virtual std::string describe(int error) const;
};

}  // namespace Workerman::Connection::detail
