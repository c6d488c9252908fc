#pragma once

/// A worker process's part of what `status` and `connections` show (internal).

#include <string>

#include "../fwd.h"
#include "worker_channel.h"

namespace Workerman::detail {

/// Where `connections` is answered; `status` is in Worker::statusFile.
std::string connectionsFile();

/// Tells the master what this process says of itself.
void handInStatus(const Worker& worker, ChannelToMaster& channel);
/// The same with its connections.
void handInConnections(const Worker& worker, ChannelToMaster& channel);

}  // namespace Workerman::detail
