#pragma once

#include <string>
#include <string_view>

namespace Workerman::detail {

/// In the usual alphabet, padded. @see RFC 4648 section 4
std::string base64(std::string_view bytes);

}  // namespace Workerman::detail
