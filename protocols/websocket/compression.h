#pragma once

/// permessage-deflate on one connection (internal).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "deflate.h"
#include "extensions.h"
#include "frame_codec.h"

namespace Workerman::Protocols::detail {

/// A few bytes where no context is kept: the thread's streams do the work. Where it is, the connection's
/// own, made at the first message that needs them.
class Compression {
 public:
  explicit Compression(Role role) noexcept : role_(role) {}

  void agree(const DeflateAgreement& agreed) noexcept;
  /// The window, in bits, that the peer lets us use.
  int windowBits() const noexcept { return sendBits_; }
  /// Whether a message of this size is worth the work.
  bool isWorth(std::size_t size) const noexcept { return size != 0 && size >= options().threshold; }

  /// What to send instead of `payload`, in `out`; empty if the message had better go as it is.
  [[nodiscard]] std::string_view compress(std::string_view payload, std::string& out);
  /// @name Messages of the peer's, in pieces where they are long
  /// @{
  /// Begins with `message`: up to `most` bytes of it, into `out`.
  [[nodiscard]] Inflated inflate(Inflation& message, InflateBuffer& out, std::size_t most);
  /// It is unfinished: what is left of it is kept, with what came of it so far.
  void keep(Inflation&& message, InflateBuffer&& out);
  bool isInflating() const noexcept { return unfinished_ != nullptr; }
  std::size_t inflatedSoFar() const noexcept { return unfinished_->out.view().size(); }
  [[nodiscard]] Inflated goOn(std::size_t most) {
    return unfinished_->message.goOn(*inflater_, unfinished_->out, most);
  }
  /// What has come of it in the end; then none is unfinished.
  InflateBuffer takeInflated();
  /// Nobody wants the rest of it.
  void giveUp() noexcept;
  /// @}
  /// The peer's window is not what our compressor takes it for: that starts afresh.
  void contextBroken() noexcept {
    if (deflater_) deflater_->reset();
  }

 private:
  /// A message that has taken more than a turn.
  struct Unfinished {
    Inflation message;
    InflateBuffer out;
  };

  const DeflateOptions& options() const noexcept;

  std::unique_ptr<Deflater> deflater_;
  /// Where no context is kept: the thread's, while a message is unfinished.
  std::unique_ptr<Inflater> inflater_;
  std::unique_ptr<Unfinished> unfinished_;
  Role role_;
  bool keepsSent_ = false;
  bool keepsReceived_ = false;
  std::uint8_t sendBits_ = kMaxWindowBits;
  std::uint8_t receiveBits_ = kMaxWindowBits;
};

/// A buffer that this thread keeps from message to message, for as long as this lives; a second one, in a
/// callback's callback, is a new one.
template <class Buffer>
class Borrowed {
 public:
  Borrowed() noexcept { kept().swap(buffer_); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {
    if (buffer_.capacity() <= kMostKept) kept().swap(buffer_);
  }
  Buffer& operator*() noexcept { return buffer_; }

 private:
  static constexpr std::size_t kMostKept = 256 * 1024;
  static Buffer& kept() noexcept {
    static thread_local Buffer buffer;
    return buffer;
  }
  Buffer buffer_;
};

}  // namespace Workerman::Protocols::detail
