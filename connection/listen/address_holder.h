#pragma once

/// Who has the address that a worker cannot listen on (internal).

#include <string>

#include "../socket.h"

namespace Workerman::Connection::detail {

/// As the end of a sentence: "; process 4711 (nginx) of user root has it", with
/// what keeps a process of ours that is stopped; empty where nobody is found, as
/// for who may not look at others' processes.
std::string describeHolder(const SocketAddress& where, bool isDatagram);

}  // namespace Workerman::Connection::detail
