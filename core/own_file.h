#pragma once

/// Opening the files that this program writes, in folders that others may write
/// too (internal).

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "descriptor.h"

namespace Workerman::detail {

struct OwnFile {
  Descriptor fd;
  /// Why there is no descriptor: what is in the place of the file, if that is not ours; else see `error`.
  const char* refusal = nullptr;
  int error = 0;

  /// As part of a sentence; empty if it is open.
  std::string why() const;
};

/// Opens `path` for writing, with the open(2) flags given and close-on-exec,
/// without waiting for anything. What has the name must be a file, or fifo, of
/// this process's user or of root that has no other name, or a device; symbolic
/// links are not followed, but for those of /dev ("/dev/stdout"). Allocates nothing.
OwnFile openOwnFile(const char* path, int flags, mode_t mode) noexcept;

/// Which file it is, also after another one has got its name and its number:
/// where the file system knows when a file was born.
struct FileId {
  std::uint64_t device = 0, inode = 0;
  std::int64_t born = 0;  ///< nanoseconds since 1970; 0: not known

  explicit operator bool() const noexcept { return inode != 0; }
  bool operator==(const FileId&) const = default;
};
/// What has this name, links not followed; nothing if nothing has.
FileId fileIdOf(const char* path) noexcept;
/// Removes the file unless the name is another one's by now, or nobody's.
void removeIfStill(const char* path, const FileId& file) noexcept;

/// Whether `path` is a name of the open file, with links followed where openOwnFile() does.
bool isNameOf(const char* path, int fd) noexcept;

}  // namespace Workerman::detail
