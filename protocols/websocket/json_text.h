#pragma once

#include <string>
#include <string_view>

#include "../../core/message.h"

namespace Workerman::Protocols::detail {

/// The text that a websocket sends for a value: text as it is; of JSON a string
/// bare and anything else dumped, as PHP does. `storage` holds it if need be.
/// @throws std::invalid_argument for any other type.
std::string_view websocketText(Message message, std::string& storage);

}  // namespace Workerman::Protocols::detail
