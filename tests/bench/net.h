#pragma once

/// Blocking set-up of loopback sockets, and what /proc tells about another process.

#include <cstdint>
#include <string_view>

namespace bench {

/// A connected TCP socket to 127.0.0.1, blocking, TCP_NODELAY. Waits up to four seconds for a server that is
/// still starting; ends the process if none answers.
int connectTo(uint16_t port);
/// connectTo() and the websocket upgrade, with `extension`, if there is one, offered and accepted.
/// Reads nothing past the head of the answer.
int openWebSocket(uint16_t port, std::string_view path, std::string_view extension = {});
void setNonBlocking(int fd);
/// Closes with RST, which leaves no TIME_WAIT behind: that would use up the ports.
void resetConnection(int fd);
/// A listening, non-blocking TCP socket on 127.0.0.1; port 0 chooses a free one. `port` becomes the real one.
int listenOn(uint16_t& port);

/// CPU seconds that process `pid` has used, to the nanosecond where the kernel keeps schedstat.
double cpuOf(int pid);
/// Resident bytes of process `pid`.
long residentBytesOf(int pid);

}  // namespace bench
