#pragma once

/// What a service manager agrees on with a service through its environment
/// (internal). systemd's protocols, without its library.

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

namespace Workerman::detail {

/// Tells the service manager, if there is one (NOTIFY_SOCKET), for instance
/// "READY=1\nSTATUS=4 processes". Never waits. False if there is nobody to tell
/// or the message did not go out; a service goes on either way.
/// @see sd_notify(3)
bool notifyServiceManager(std::string_view state) noexcept;
/// The same for a socket that is named here: a path, or a name in the abstract
/// namespace that begins with '@'.
bool notifySocket(std::string_view socket, std::string_view state) noexcept;

/// The descriptors that the service manager has opened for this process, now
/// close-on-exec; empty if there are none or they are meant for another process.
/// The variables that told of them are gone afterwards, so it counts once and
/// children do not take them for theirs. Call it before detaching, as that
/// changes the pid. @see sd_listen_fds(3)
std::vector<int> takeListenFds();
/// The pure part: what the values of LISTEN_PID and LISTEN_FDS (null: not set)
/// say to the process `pid`. 0 unless both are numbers in order.
int countListenFds(const char* listenPid, const char* listenFds, int pid) noexcept;

/// Whether `fd` is a socket of this type, and for SOCK_STREAM one that listens.
bool isListeningSocket(int fd, int type) noexcept;
/// The place in `fds` of a socket of this type (SOCK_STREAM, SOCK_DGRAM) that
/// is bound to `address`; -1 if there is none. See isListeningSocket(), isSameEndpoint().
int findListenFd(const std::vector<int>& fds, int type, const sockaddr* address, socklen_t size) noexcept;
/// Whether who asks for `wanted` is served by a socket bound to `bound`: the
/// same address and port or path. [::] serves who wants 0.0.0.0, since that is
/// what a bare port number becomes in a socket unit.
bool isSameEndpoint(const sockaddr* bound, socklen_t boundSize, const sockaddr* wanted,
                    socklen_t wantedSize) noexcept;

}  // namespace Workerman::detail
