#pragma once

/// Protocols of one's own.

#include <memory>
#include <string>
#include <string_view>

#include "../connection/protocol_registry.h"
#include "static_protocol.h"

namespace Workerman::Protocols {

/// Makes the protocol class `P` known under a scheme: after
/// `Protocols::add<JsonNL>("JsonNL")`, `JsonNL://…` works for Worker and
/// AsyncTcpConnection. Process-wide; call it before the first worker runs.
///
/// `P` has static functions
/// - `input(std::string_view buffer[, connection])`: any integer; 0: more is
///   needed, negative: the connection is closed, else the package's length;
/// - `decode(std::string_view package[, connection])`: what onMessage gets;
/// - `encode(data[, connection])`: what converts to a std::string_view;
/// and, if it likes, `onConnect([connection])` (of an AsyncTcpConnection) and
/// `onClose([connection])`.
///
/// @throws std::invalid_argument if the name is no scheme or is taken.
/// @see Workerman manual: protocols/how-protocols
template <ProtocolInterface P>
void add(std::string_view scheme) {
  Connection::detail::addProtocol(std::make_unique<detail::StaticProtocol<P>>(std::string(scheme)));
}
template <class P>
requires(!ProtocolInterface<P>) __attribute__((unavailable(
    "a protocol class has static input(std::string_view[, connection]), which returns an integer, "
    "and static decode(std::string_view[, connection])"))) void add(std::string_view) {}

}  // namespace Workerman::Protocols
