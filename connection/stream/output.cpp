#include "output.h"

#include <sys/uio.h>

#include <cerrno>

namespace Workerman::Connection::detail {

void Output::append(std::string_view bytes) {
  if (bytes.empty()) return;
  tail().append(bytes);
  drainIsNews_ = true;
  if (!sources_) set(Bytes, true);
}

void Output::append(std::unique_ptr<OutputSource> source) {
  if (!sources_) sources_ = std::make_unique<std::deque<Entry>>();
  sources_->push_back({std::move(source), {}});
  drainIsNews_ = true;
  set(Sources, true);
}

void Output::clear() noexcept {
  queue_.clear();
  sources_.reset();
  sourceWaits_ = drainIsNews_ = false;
  set(Bytes, false);
  set(Sources, false);
}

void Output::renew(bool keepsBytes) noexcept {
  if (!keepsBytes) {
    clear();
    owesEnd_ = false;
  }
  set(Blocked, false);
  set(Held, false);
}

std::size_t Output::sizeOfSources() const noexcept {
  std::size_t all = 0;
  for (const Entry& entry : *sources_) all += entry.source->held() + entry.behind.size();
  return all;
}

Output::Moved Output::move(Transport& transport) noexcept {
  Moved moved;
  if (isBlocked()) {
    const Transport::Written written = transport.flush();
    moved.flushed = written.size;
    setBlocked(written.isBlocked);
    moved.error = written.error;
    if (written.error != 0 || written.isBlocked) return moved;
  }
  while (moveBytes(transport, moved) && sources_ && moveSource(transport, moved)) {
  }
  return moved;
}

/// False: there is no room for more, or it has failed.
bool Output::moveBytes(Transport& transport, Moved& moved) noexcept {
  if (queue_.empty()) return true;
  const std::size_t size = queue_.size();
  const iovec bytes{queue_.data(), size};
  const Transport::Written written = transport.write(&bytes, 1);
  queue_.consume(written.size);
  moved.size += written.size;
  moved.error = written.error;
  set(Bytes, !queue_.empty());
  setBlocked(written.isBlocked);
  return written.error == 0 && written.size == size && !written.isBlocked;
}

/// One step of the source at the front. False: it waits, or there is no room, or it has failed.
bool Output::moveSource(Transport& transport, Moved& moved) noexcept {
  if (sourceWaits_) return false;
  Entry& front = sources_->front();
  const OutputSource::Step step = front.source->give(transport);
  moved.size += step.written.size;
  moved.error = step.written.error != 0                     ? step.written.error
                : step.state == OutputSource::State::Failed ? EIO
                                                            : 0;
  setBlocked(step.written.isBlocked);
  if (moved.error != 0) return false;
  if (step.state == OutputSource::State::Waits) {
    sourceWaits_ = true;
    return false;
  }
  if (step.state != OutputSource::State::Done) return step.written.size != 0 && !step.written.isBlocked;
  queue_.swap(front.behind);
  sources_->pop_front();
  if (sources_->empty()) sources_.reset();
  set(Sources, sources_ != nullptr);
  set(Bytes, !queue_.empty());
  return !step.written.isBlocked;
}

}  // namespace Workerman::Connection::detail
