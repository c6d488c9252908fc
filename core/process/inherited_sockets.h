#pragma once

/// Listening sockets that a process has from the one before it: a service
/// manager, or itself under its old binary (internal).

#include <sys/socket.h>
#include <sys/types.h>

#include <vector>

#include "../own_file.h"

namespace Workerman::detail {

struct InheritedSocket {
  int fd = -1;
  /// The file of a unix socket, which goes with us if it is still that; none: another's affair.
  FileId file{};
  /// Was asked for with port 0, and serves who does so again.
  bool anyPort = false;
};

/// Those that wait for a worker who wants them. What is left at the end is
/// closed, and removed are the files that are ours, in the process that made this.
class InheritedSockets {
 public:
  InheritedSockets() = default;
  /// Takes the descriptors over, and makes them close-on-exec.
  explicit InheritedSockets(std::vector<InheritedSocket> sockets);
  /// What a service manager has opened; see takeListenFds().
  static InheritedSockets ofServiceManager();
  InheritedSockets(InheritedSockets&& other) noexcept;
  InheritedSockets& operator=(InheritedSockets&& other) noexcept;
  ~InheritedSockets() { clear(); }

  const std::vector<InheritedSocket>& all() const noexcept { return sockets_; }
  void add(InheritedSocket socket);
  /// The first socket of this type (SOCK_STREAM: one that listens; SOCK_DGRAM)
  /// that serves who asks for `address`; who gets it owns it. One with fd -1 if
  /// there is none.
  InheritedSocket take(int type, const sockaddr* address, socklen_t size);
  void clear() noexcept;
  /// The same, with a line in the log for each.
  void closeUnwanted();

 private:
  std::vector<InheritedSocket> sockets_;
  pid_t owner_ = 0;
};

}  // namespace Workerman::detail
