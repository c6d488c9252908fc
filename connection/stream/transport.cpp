#include "transport.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>

#include "loop_io.h"

namespace Workerman::Connection::detail {

/// By way of memory, where the bytes do not leave as they are in the file.
Transport::Written Transport::writeFile(int file, std::int64_t offset, std::size_t size) noexcept {
  constexpr std::size_t kPiece = 32 * 1024;
  Written all;
  while (size != 0 && waiting() == 0) {
    char piece[kPiece];
    ssize_t got;
    do {
      got = ::pread(file, piece, std::min(size, kPiece), offset);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
      all.error = got < 0 ? errno : ENODATA;
      return all;
    }
    const iovec bytes{piece, static_cast<std::size_t>(got)};
    const Written written = write(&bytes, 1);
    all.size += written.size;
    if (written.error != 0) {
      all.error = written.error;
      return all;
    }
    if (written.size < bytes.iov_len) break;
    offset += got;
    size -= written.size;
  }
  return all;
}

/// Made once for each thread and error, as nearly always nobody asks for it.
std::string Transport::describe(int error) const {
  static thread_local std::map<int, std::string> known;
  const auto found = known.find(error);
  if (found != known.end()) return found->second;
  return known.emplace(error, std::system_category().message(error)).first->second;
}

}  // namespace Workerman::Connection::detail
