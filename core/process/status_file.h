#pragma once

/// The file through which the master answers the command that asks (internal).
/// Only the master writes it, and only its user and root can read it.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../descriptor.h"

namespace Workerman::detail {

/// A report that is longer, in bytes, is cut off by its master and read by no command.
constexpr std::size_t kMostReported = std::size_t{256} << 20;

/// A report that is being written.
class StatusFile {
 public:
  /// Nothing that could be written to.
  StatusFile() = default;

  /// Replaces what is in `path` by a new file with this record, 0600. Gives what
  /// went wrong, empty if nothing; then the old file is as it was. What is no
  /// report is left alone.
  std::string begin(const std::string& path, std::string_view record);
  /// Adds a record, which is whole then or not there. As above.
  std::string add(std::string_view record);

 private:
  std::string path_;
  Descriptor fd_;
  std::size_t size_ = 0;
};

/// Removes the file, if it is a report.
void removeReport(const std::string& path) noexcept;

/// For the command: a report as it is now.
class ReportReader {
 public:
  /// `owner`: whose file it must be.
  ReportReader(std::string path, uid_t owner) : path_(std::move(path)), owner_(owner) {}

  /// The contents, if they end with `end` or `anyway`, and are not those given
  /// before; else empty. So are those of a file that is not the owner's.
  std::string read(std::string_view end, bool anyway);
  /// Why there is nothing to read, if it is not that there is no file yet.
  std::string problem() const;

 private:
  std::string path_;
  uid_t owner_;
  std::uint64_t seenFile_ = 0;
  off_t seenSize_ = -1;
  std::int64_t seenTime_ = 0;
};

}  // namespace Workerman::detail
