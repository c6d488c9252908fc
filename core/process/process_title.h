#pragma once

/// What `ps` and `top -c` show of a process (internal).

#include <string>
#include <string_view>

namespace Workerman::detail {

/// "WorkerMan: master process  start_file=/srv/app"
std::string masterTitle(std::string_view program);
/// "WorkerMan: worker process  name text://0.0.0.0:5678"
std::string workerTitle(std::string_view name, std::string_view socketName);

/// Shows `title`, cut to 4,095 bytes, instead of the command line, from now on
/// and in children forked later. argv's own memory stays as it is, since the
/// program may look at it; /proc/self/cmdline does not: read that before. The
/// short name (`ps -o comm`, `pgrep`, `killall`) stays the program's, as with
/// Workerman. Where the kernel cannot do it, the short name becomes the title's
/// first 15 bytes instead, and the answer is false. For one thread at a time.
bool setProcessTitle(std::string_view title) noexcept;

}  // namespace Workerman::detail
