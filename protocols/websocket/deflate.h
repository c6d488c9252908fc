#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "utf8.h"

struct z_stream_s;

/// Messages of permessage-deflate, compressed and back (RFC 7692 section 7.2). Pure: bytes in, bytes
/// out, limits as arguments; the streams that serve all messages without a context belong to the thread.

namespace Workerman::Protocols::detail {

/// The base-2 logarithm of the LZ77 window's size. @see RFC 7692 section 7.1.2
constexpr int kMinWindowBits = 8;
constexpr int kMaxWindowBits = 15;

/// How to compress, in zlib's terms. A window of 8 bits is served by one of 9: zlib's deflate has no
/// smaller one, but looks back at most 512 - 262 bytes in it, which the peer's 256 cover.
struct DeflateSettings {
  int windowBits = kMaxWindowBits;  ///< 8 to 15
  int level = 6;                    ///< 0 (none) to 9 (smallest); -1 is zlib's choice
  int memLevel = 8;                 ///< 1 (least memory) to 9 (fastest)
  friend bool operator==(const DeflateSettings&, const DeflateSettings&) = default;
};

/// One direction's compressor. Holds 2^(windowBits + 2) + 2^(memLevel + 9) bytes and 6 KiB more:
/// 262 KiB for 15 and 8, 38 KiB for 12 and 5.
class Deflater {
 public:
  /// @throws std::invalid_argument for settings that zlib refuses, std::bad_alloc
  explicit Deflater(const DeflateSettings& settings);
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater();

  const DeflateSettings& settings() const noexcept { return settings_; }

  /// Compresses one message into `out`, whose memory is reused, and returns what goes on the wire: at
  /// least one byte, without the 00 00 FF FF at the end. It refers to the messages before it, back to
  /// the last reset().
  [[nodiscard]] std::string_view compress(std::string_view payload, std::string& out);

  /// Forgets all messages: what comes next refers to none of them.
  void reset() noexcept;

 private:
  void run(int flush, std::string& out, std::size_t& used);

  std::unique_ptr<z_stream_s> stream_;
  DeflateSettings settings_;
};

/// Memory for an inflated message, nothing of it zeroed.
class InflateBuffer {
 public:
  InflateBuffer() noexcept = default;
  InflateBuffer(InflateBuffer&& other) noexcept { swap(other); }
  InflateBuffer& operator=(InflateBuffer&& other) noexcept {
    InflateBuffer(std::move(other)).swap(*this);
    return *this;
  }
  void swap(InflateBuffer& other) noexcept {
    bytes_.swap(other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  std::string_view view() const noexcept { return {bytes_.get(), size_}; }
  std::size_t capacity() const noexcept { return capacity_; }

 private:
  friend class Inflation;
  friend class Inflater;
  struct Free {
    void operator()(char* bytes) const noexcept { std::free(bytes); }
  };
  std::size_t room(std::size_t limit, std::size_t first);

  std::unique_ptr<char, Free> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// What became of a compressed message.
enum class Inflated : std::uint8_t {
  Whole,
  TooLong,     ///< more than the limit
  BadData,     ///< no DEFLATE, or it ends in the middle of a block
  BadText,     ///< not UTF-8
  Unfinished,  ///< there is more, which may be asked for later
};

class Inflater;

/// One compressed message on its way, in as many pieces as its inflating takes.
///
/// Blocks marked as final may stand anywhere, as RFC 7692 section 7.2.3.4 allows, and the empty block after
/// the last of them may be missing; a message of no bytes at all is taken as an empty one.
class Inflation {
 public:
  /// `message` must outlive this, or the call of keep(). `limit`: the most bytes that it may be; never more
  /// are allocated.
  Inflation(std::string_view message, std::size_t limit, bool isText) noexcept;
  Inflation(Inflation&&) noexcept = default;

  /// Inflates up to `most` bytes more (a little more where it does not matter) to the end of `out`, always
  /// the same one with the same inflater. Stops for text at the first byte that cannot be UTF-8. Anything but
  /// Whole and Unfinished spoils the stream until it is reset.
  [[nodiscard]] Inflated goOn(Inflater& inflater, InflateBuffer& out, std::size_t most);
  /// Copies what is left of the message.
  void keep() {
    if (inTail_) return;
    kept_ = std::make_unique<std::string>(rest_);
    rest_ = *kept_;
  }

 private:
  Inflated run(Inflater& inflater, InflateBuffer& out, std::size_t most);

  std::string_view rest_;
  std::unique_ptr<std::string> kept_;
  std::size_t limit_;
  std::size_t first_;  ///< memory to begin with
  std::size_t sizeBeforeTail_ = 0;
  Utf8State utf8_;
  bool isText_;
  bool isEmpty_;
  bool isAtEnd_ = false;  ///< of a final block, with nothing behind it
  bool inTail_ = false;
};

/// One direction's decompressor. Holds 7 KiB, and the window of 2^windowBits bytes from its first message.
class Inflater {
 public:
  /// @param windowBits what the peer's compressor may use at most.
  explicit Inflater(int windowBits = kMaxWindowBits);
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater();

  /// Inflates one message into `out`, whose memory is used again. @see Inflation
  [[nodiscard]] Inflated inflate(std::string_view message, std::size_t limit, bool isText,
                                 InflateBuffer& out);

  /// Forgets all messages.
  void reset() noexcept;

 private:
  friend class Inflation;

  std::unique_ptr<z_stream_s> stream_;
};

/// @name Without a context: by streams that all connections of the thread share
/// @{

/// Compresses one message that refers to no other, so that one result can be sent to any number of peers
/// that accept `windowBits`. Otherwise like Deflater::compress().
/// @param windowBits 8 to 15: the smallest that one of the peers has agreed to.
std::string_view compressShared(std::string_view payload, int windowBits, std::string& out, int level = 6,
                                int memLevel = 8);
/// Inflates a message that refers to no other, whatever its window. @see Inflater::inflate()
[[nodiscard]] Inflated inflateShared(std::string_view message, std::size_t limit, bool isText,
                                     InflateBuffer& out);
/// What it does that with, knowing of no message.
Inflater& sharedInflater();
/// The same in the middle of a message that takes long; the thread makes another.
std::unique_ptr<Inflater> takeSharedInflater() noexcept;
/// @}

}  // namespace Workerman::Protocols::detail
