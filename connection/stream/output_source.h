#pragma once

/// Something that gives its bytes when there is room for them (internal).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "../../core/descriptor.h"
#include "transport.h"

namespace Workerman::Connection::detail {

/// Sent in its turn: behind what was sent before it, and all that is sent after it waits until it is done.
/// Nothing of it is asked for before there is room.
class OutputSource {
 public:
  enum class State : std::uint8_t {
    More,   ///< as much as there was room for
    Waits,  ///< nothing to give for now: Link::sourceReady() when there is
    Done,
    Failed,  ///< what is promised cannot be kept: the connection is lost
  };
  struct Step {
    Transport::Written written;
    State state = State::More;
  };

  OutputSource() = default;
  OutputSource(const OutputSource&) = delete;
  OutputSource& operator=(const OutputSource&) = delete;
  virtual ~OutputSource() = default;
  /// Gives some of its bytes to `transport`, which has room.
  virtual Step give(Transport& transport) noexcept = 0;
  /// Bytes that it holds in memory and that still have to leave.
  virtual std::size_t held() const noexcept { return 0; }
};

/// `size` bytes of a file from `offset`, by sendfile() where the transport can.
class FileSource final : public OutputSource {
 public:
  FileSource(Workerman::detail::Descriptor file, std::int64_t offset, std::uint64_t size) noexcept
      : file_(std::move(file)), offset_(offset), left_(size) {}
  Step give(Transport& transport) noexcept override;

 private:
  Workerman::detail::Descriptor file_;
  std::int64_t offset_;
  std::uint64_t left_;
};

/// What a function makes, a piece at a time.
class ProducedSource final : public OutputSource {
 public:
  /// The next piece, which stays valid until the next call; empty: nothing for now; none: that was all.
  /// What it throws loses the connection.
  using Produce = std::function<std::optional<std::string_view>()>;
  explicit ProducedSource(Produce produce) : produce_(std::move(produce)) {}
  Step give(Transport& transport) noexcept override;
  std::size_t held() const noexcept override { return piece_.size(); }

 private:
  Produce produce_;
  std::string_view piece_;
};

}  // namespace Workerman::Connection::detail
