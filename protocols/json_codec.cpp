#include "json_codec.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>

namespace Workerman {
namespace {

constexpr std::size_t kMostLevels = 512;

/// How deep arrays and objects lie in each other; brackets in strings do not count.
std::size_t levels(std::string_view text) {
  std::size_t level = 0;
  std::size_t most = 0;
  bool isInString = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (isInString) {
      if (c == '\\') ++i;
      isInString = c != '"';
    } else if (c == '"') {
      isInString = true;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++level);
    } else if ((c == ']' || c == '}') && level > 0) {
      --level;
    }
  }
  return most;
}

}  // namespace

nlohmann::json jsonDecode(std::string_view text) {
  if (levels(text) > kMostLevels) return nullptr;
  auto value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) return nullptr;
  return value;
}

std::string jsonEncode(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace Workerman
