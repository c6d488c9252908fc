#pragma once

/// A worker process's part of what `status` and `connections` show (internal).

#include <string>

#include "../fwd.h"

namespace Workerman::detail {

/// Where `connections` is answered; `status` is in Worker::statusFile.
std::string connectionsFile();

/// Adds what this process says of itself to the report that the master has
/// begun. What keeps it from that is logged.
void handInStatus(const Worker& worker);
/// The same with its connections.
void handInConnections(const Worker& worker);

}  // namespace Workerman::detail
