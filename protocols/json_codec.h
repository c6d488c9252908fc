#pragma once

/// PHP's json_decode and json_encode, which do not throw.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace Workerman {

/// The value that `text` says; null for what is no JSON, and for more than 512 levels, as in PHP. (An
/// exception, as `nlohmann::json::parse` throws it, would end the worker.) Using the result takes
/// `<nlohmann/json.hpp>`, which
/// `<workerman/workerman.h>` includes.
nlohmann::json jsonDecode(std::string_view text);

/// The value as text. Bytes that are no UTF-8 become U+FFFD.
/// Differs from Workerman: PHP's gives false for them, and escapes slashes and what is not ASCII.
std::string jsonEncode(const nlohmann::json& value);

}  // namespace Workerman
