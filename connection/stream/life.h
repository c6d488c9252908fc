#pragma once

/// Where in its life a stream connection is (internal).

#include <cstdint>

namespace Workerman::Connection::detail {

/// @see Life
enum class LifePhase : std::uint8_t {
  // In this order, so that what is asked for each message is one comparison.
  Renewing,     ///< onClose is told, and has asked for another connection
  Initial,      ///< not connected, or waiting to reconnect
  Connecting,   ///< on the way up to the end of the TLS handshake
  Established,  ///< bytes go both ways
  Farewell,     ///< the protocol's good-bye is under way, and its answer awaited
  Ending,       ///< end(): what is queued leaves, then FIN; what comes is dropped
  Lingering,    ///< the same after the last word of close() or of a protocol
  AwaitingEnd,  ///< the last word is said, and the peer is the one to close first; what comes is dropped
  Closing,      ///< close(): what is queued leaves; nothing is read
  Failed,       ///< it could not be made, and onError is told of it
  Dying,        ///< onClose is told
  Closed,       ///< for good
};

constexpr unsigned phaseBit(LifePhase phase) noexcept {
  return 1u << static_cast<int>(phase);
}

/// The one thing that says what a connection may do. Changed by moveTo() only, which knows the moves that
/// there are; all else is derived from it.
class Life {
 public:
  using Phase = LifePhase;
  static constexpr int kPhases = static_cast<int>(Phase::Closed) + 1;

  constexpr explicit Life(Phase phase = Phase::Established) noexcept : phase_(phase) {}

  constexpr Phase phase() const noexcept { return phase_; }
  constexpr bool is(Phase phase) const noexcept { return phase_ == phase; }

  /// Whether there is a move from one to the other.
  static constexpr bool leads(Phase from, Phase to) noexcept {
    return (kMoves[static_cast<int>(from)] >> static_cast<int>(to) & 1) != 0;
  }
  /// The only way to another phase. False: there is no such move, and it stays where it is.
  constexpr bool moveTo(Phase next) noexcept {
    if (!leads(phase_, next)) return false;
    phase_ = next;
    return true;
  }

  /// TcpConnection::STATUS_*.
  constexpr int status() const noexcept { return kStatus[static_cast<int>(phase_)]; }
  /// Input goes to the protocol and to onMessage.
  constexpr bool takesInput() const noexcept { return isBetween(Phase::Established, Phase::Farewell); }
  /// Input is read, so that its end is noticed, and dropped.
  constexpr bool dropsInput() const noexcept {
    return in(phaseBit(Phase::Ending) | phaseBit(Phase::Lingering) | phaseBit(Phase::AwaitingEnd));
  }
  /// It is not open, but may come to be.
  constexpr bool isBeforeOpen() const noexcept {
    return in(phaseBit(Phase::Initial) | phaseBit(Phase::Connecting) | phaseBit(Phase::Renewing));
  }
  /// send() takes more.
  constexpr bool maySend() const noexcept { return phase_ <= Phase::Established; }
  /// Nothing of the application's goes either way any more, and the socket ends when the output is gone.
  constexpr bool isOver() const noexcept { return phase_ > Phase::Established; }
  /// There may be something that carries bytes.
  constexpr bool isCarried() const noexcept { return isBetween(Phase::Connecting, Phase::Closing); }
  /// onClose is running.
  constexpr bool isTelling() const noexcept { return in(phaseBit(Phase::Dying) | phaseBit(Phase::Renewing)); }
  /// There is no socket, nor will there be one unless somebody asks for it.
  constexpr bool isDown() const noexcept {
    return in(phaseBit(Phase::Initial) | phaseBit(Phase::Failed) | phaseBit(Phase::Closed));
  }

 private:
  constexpr bool isBetween(Phase first, Phase last) const noexcept {
    const auto from = static_cast<unsigned>(first);
    return static_cast<unsigned>(phase_) - from <= static_cast<unsigned>(last) - from;
  }
  constexpr bool in(unsigned phases) const noexcept { return (phases >> static_cast<int>(phase_) & 1) != 0; }

  static constexpr unsigned kBegun = phaseBit(Phase::Dying) | phaseBit(Phase::Initial);
  static constexpr unsigned kMoves[] = {
      /* Renewing */ phaseBit(Phase::Dying) | phaseBit(Phase::Initial) | phaseBit(Phase::Closed),
      /* Initial */ phaseBit(Phase::Connecting) | phaseBit(Phase::Dying) | phaseBit(Phase::Closed),
      /* Connecting */ phaseBit(Phase::Established) | phaseBit(Phase::Lingering) | phaseBit(Phase::Failed) |
          kBegun,
      /* Established */ phaseBit(Phase::Ending) | phaseBit(Phase::Lingering) | phaseBit(Phase::AwaitingEnd) |
          phaseBit(Phase::Closing) | phaseBit(Phase::Farewell) | phaseBit(Phase::Failed) | kBegun,
      /* Farewell */ phaseBit(Phase::Lingering) | phaseBit(Phase::AwaitingEnd) | phaseBit(Phase::Closing) |
          kBegun,
      /* Ending */ kBegun,
      /* Lingering */ kBegun,
      /* AwaitingEnd */ phaseBit(Phase::Lingering) | kBegun,
      /* Closing */ phaseBit(Phase::Lingering) | kBegun,
      /* Failed */ phaseBit(Phase::Connecting) | kBegun,
      /* Dying */ phaseBit(Phase::Renewing) | phaseBit(Phase::Closed),
      /* Closed */ phaseBit(Phase::Initial) | phaseBit(Phase::Connecting),
  };
  static constexpr std::uint8_t kStatus[] = {0, 0, 1, 2, 8, 4, 8, 8, 8, 8, 16, 16};

  Phase phase_;
};

}  // namespace Workerman::Connection::detail
