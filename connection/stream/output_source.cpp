#include "output_source.h"

#include <sys/uio.h>

#include <string_view>

namespace Workerman::Connection::detail {

OutputSource::Step FileSource::give(Transport& transport) noexcept {
  if (left_ == 0) return {{}, State::Done};
  Step step;
  step.written = transport.writeFile(file_.get(), offset_, left_);
  offset_ += static_cast<std::int64_t>(step.written.size);
  left_ -= step.written.size;
  if (left_ == 0) step.state = State::Done;
  return step;
}

OutputSource::Step ProducedSource::give(Transport& transport) noexcept {
  if (piece_.empty()) {
    try {
      const auto next = produce_();
      if (!next) return {{}, State::Done};
      piece_ = *next;
    } catch (...) {
      return {{}, State::Failed};
    }
    if (piece_.empty()) return {{}, State::Waits};
  }
  const iovec bytes{const_cast<char*>(piece_.data()), piece_.size()};
  Step step;
  step.written = transport.write(&bytes, 1);
  piece_.remove_prefix(step.written.size);
  return step;
}

}  // namespace Workerman::Connection::detail
