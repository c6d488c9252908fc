#include "tls_buffers.h"

#include <algorithm>
#include <new>

#include "tls_stream.h"

namespace Workerman::Connection::detail {
namespace {

constexpr double kSweepSeconds = 1;

}  // namespace

TlsBuffers::~TlsBuffers() {
  for (Place& place : places_) release(place);
}

void TlsBuffers::used(TlsStream& stream, EventLoop& loop) {
  if (stream.bufferPlace != kNowhere) {
    places_[stream.bufferPlace].isUsed = true;
  } else if (stream.isOpen()) {
    add(stream, loop);
  }
}

void TlsBuffers::add(TlsStream& stream, EventLoop& loop) {
  try {
    // Also where the loop that it was on is closed.
    if (!timer_ || !timer_->active()) {
      timer_.emplace(loop);
      timer_->start(
          kSweepSeconds, [](void* self) noexcept { static_cast<TlsBuffers*>(self)->sweep(); }, this, true);
    }
  } catch (const std::bad_alloc&) {
    return;
  }
  Place* place = &places_[next_];
  if (place->stream != nullptr && count_ < kMost) {
    place = std::find_if(places_.begin(), places_.end(),
                         [](const Place& each) { return each.stream == nullptr; });
  }
  release(*place);
  stream.bufferPlace = static_cast<std::uint8_t>(place - places_.data());
  next_ = static_cast<std::uint8_t>((stream.bufferPlace + 1) % kMost);
  *place = {&stream, true};
  ++count_;
  stream.keepBuffers(true);
}

void TlsBuffers::release(Place& place) noexcept {
  if (place.stream == nullptr) return;
  place.stream->keepBuffers(false);
  place.stream->bufferPlace = kNowhere;
  place = {};
  --count_;
}

void TlsBuffers::forget(TlsStream& stream) noexcept {
  if (stream.bufferPlace == kNowhere) return;
  release(places_[stream.bufferPlace]);
  // A timer would keep the loop running.
  if (count_ == 0) timer_.reset();
}

void TlsBuffers::sweep() noexcept {
  for (Place& place : places_) {
    if (!place.isUsed) release(place);
    place.isUsed = false;
  }
  if (count_ == 0) timer_.reset();
}

}  // namespace Workerman::Connection::detail
