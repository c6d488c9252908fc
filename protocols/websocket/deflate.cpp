#include "deflate.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>
#include <vector>

namespace Workerman::Protocols::detail {
namespace {

/// What ends every message, and does not go on the wire. @see RFC 7692 section 7.2.1
constexpr std::string_view kTail("\x00\x00\xFF\xFF", 4);
/// How much is inflated before the text is looked at: it fits the processor's caches.
constexpr std::size_t kPiece = 64 * 1024;
/// zlib counts in unsigned int.
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;

Bytef* bytesOf(const char* data) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

void requireMade(int result, const char* what) {
  if (result == Z_MEM_ERROR) throw std::bad_alloc();
  if (result != Z_OK) throw std::invalid_argument(what);
}

}  // namespace

// -- compressing ----------------------------------------------------------------

Deflater::Deflater(const DeflateSettings& settings)
    : stream_(std::make_unique<z_stream>()), settings_(settings) {
  const int windowBits = settings.windowBits == kMinWindowBits ? kMinWindowBits + 1 : settings.windowBits;
  requireMade(deflateInit2(stream_.get(), settings.level, Z_DEFLATED, -windowBits, settings.memLevel,
                           Z_DEFAULT_STRATEGY),
              "deflate: bad window bits (8 to 15), level (-1 to 9) or memory level (1 to 9)");
}

Deflater::~Deflater() {
  deflateEnd(stream_.get());
}

void Deflater::reset() noexcept {
  deflateReset(stream_.get());
}

std::string_view Deflater::compress(std::string_view payload, std::string& out) {
  // Where nothing is new zlib's flush writes nothing; this is the empty block's head.
  if (payload.empty()) return out.assign(1, '\0');
  std::size_t used = 0;
  // With less than seven bytes left over the flush would be written twice.
  out.resize(deflateBound(stream_.get(), static_cast<uLong>(payload.size())) + 16);
  while (!payload.empty()) {
    const std::string_view piece = payload.substr(0, kMostAtOnce);
    payload.remove_prefix(piece.size());
    stream_->next_in = bytesOf(piece.data());
    stream_->avail_in = static_cast<uInt>(piece.size());
    run(payload.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH, out, used);
  }
  return {out.data(), used - kTail.size()};
}

/// Takes all of the input; `out` grows where the estimate was too low.
void Deflater::run(int flush, std::string& out, std::size_t& used) {
  do {
    if (out.size() - used < 16) out.resize(out.size() * 2);
    const std::size_t room = std::min(out.size() - used, kMostAtOnce);
    stream_->next_out = bytesOf(out.data()) + used;
    stream_->avail_out = static_cast<uInt>(room);
    ::deflate(stream_.get(), flush);
    used += room - stream_->avail_out;
  } while (stream_->avail_out == 0);
}

// -- inflating ------------------------------------------------------------------

/// Makes the next piece of room, at most up to `limit`; 0 when that is reached.
std::size_t InflateBuffer::room(std::size_t limit, std::size_t first) {
  if (size_ >= limit) return 0;
  if (size_ == capacity_) {
    const std::size_t wanted = std::min(limit, std::max(first, capacity_ * 2));
    auto* grown = static_cast<char*>(std::realloc(bytes_.get(), wanted));
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(bytes_.release());
    bytes_.reset(grown);
    capacity_ = wanted;
  }
  return std::min({capacity_ - size_, limit - size_, kPiece});
}

Inflater::Inflater(int windowBits) : stream_(std::make_unique<z_stream>()) {
  // Peers that agreed on 8 and use zlib have a window of 9: see DeflateSettings.
  requireMade(inflateInit2(stream_.get(), -std::max(windowBits, kMinWindowBits + 1)),
              "inflate: bad window bits (8 to 15)");
}

Inflater::~Inflater() {
  inflateEnd(stream_.get());
}

void Inflater::reset() noexcept {
  inflateReset(stream_.get());
}

Inflated Inflater::inflate(std::string_view message, std::size_t limit, bool isText, InflateBuffer& out) {
  return Inflation(message, limit, isText).goOn(*this, out, SIZE_MAX);
}

Inflation::Inflation(std::string_view message, std::size_t limit, bool isText) noexcept
    : rest_(message),
      limit_(limit),
      first_(std::max<std::size_t>(message.size() > SIZE_MAX / 4 ? SIZE_MAX : message.size() * 4, 512)),
      isText_(isText),
      isEmpty_(message.empty()) {}

Inflated Inflation::goOn(Inflater& inflater, InflateBuffer& out, std::size_t most) {
  if (!kept_ && !inTail_) out.size_ = 0;
  if (isEmpty_) return Inflated::Whole;
  Inflated result = Inflated::Whole;
  if (!inTail_) {
    result = run(inflater, out, most);
    if (result == Inflated::Whole && !isAtEnd_) {
      inTail_ = true;
      rest_ = kTail;
      sizeBeforeTail_ = out.size_;
    }
  }
  if (inTail_ && result == Inflated::Whole) {
    result = run(inflater, out, SIZE_MAX);
    // The tail completes the head of an empty block, and that is all it does: no other may be under way.
    constexpr int kBetweenBlocks = 128;
    const bool isDone = isAtEnd_ || inflater.stream_->data_type == kBetweenBlocks;
    if (result == Inflated::Whole && (!isDone || out.size_ != sizeBeforeTail_)) return Inflated::BadData;
  }
  if (result == Inflated::Whole && isText_ && !utf8_.complete()) return Inflated::BadText;
  return result;
}

/// Inflates all that is left, or until `most` bytes or more have come of it.
Inflated Inflation::run(Inflater& inflater, InflateBuffer& out, std::size_t most) {
  z_stream_s& stream = *inflater.stream_;
  std::size_t made = 0;
  for (;;) {
    const std::string_view piece = rest_.substr(0, kMostAtOnce);
    const std::size_t room = out.room(limit_, first_);
    char tooMuch;  // where the first byte beyond the limit would go
    char* const fresh = room != 0 ? out.bytes_.get() + out.size_ : &tooMuch;
    stream.next_in = bytesOf(piece.data());
    stream.avail_in = static_cast<uInt>(piece.size());
    stream.next_out = bytesOf(fresh);
    stream.avail_out = static_cast<uInt>(std::max<std::size_t>(room, 1));
    const int result = ::inflate(&stream, Z_SYNC_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return Inflated::BadData;
    const std::size_t size = std::max<std::size_t>(room, 1) - stream.avail_out;
    if (size > room) return Inflated::TooLong;
    out.size_ += size;
    made += size;
    if (isText_ && !utf8_.feed(fresh, size)) return Inflated::BadText;
    rest_.remove_prefix(piece.size() - stream.avail_in);
    isAtEnd_ = result == Z_STREAM_END && rest_.empty();
    // Goes on behind a final block with the window as it is.
    if (result == Z_STREAM_END) inflateResetKeep(&stream);
    if (rest_.empty() && (stream.avail_out != 0 || isAtEnd_)) return Inflated::Whole;
    if (made >= most) return Inflated::Unfinished;
  }
}

// -- shared by the thread ---------------------------------------------------------

std::string_view compressShared(std::string_view payload, int windowBits, std::string& out, int level,
                                int memLevel) {
  // One for each combination in use, of which a program has few.
  static thread_local std::vector<std::unique_ptr<Deflater>> deflaters;
  const DeflateSettings settings{windowBits, level, memLevel};
  for (const auto& known : deflaters) {
    if (known->settings() != settings) continue;
    known->reset();
    return known->compress(payload, out);
  }
  return deflaters.emplace_back(std::make_unique<Deflater>(settings))->compress(payload, out);
}

namespace {

thread_local std::unique_ptr<Inflater> shared;

}  // namespace

Inflater& sharedInflater() {
  if (!shared) shared = std::make_unique<Inflater>();
  shared->reset();
  return *shared;
}

std::unique_ptr<Inflater> takeSharedInflater() noexcept {
  return std::move(shared);
}

Inflated inflateShared(std::string_view message, std::size_t limit, bool isText, InflateBuffer& out) {
  return sharedInflater().inflate(message, limit, isText, out);
}

}  // namespace Workerman::Protocols::detail
