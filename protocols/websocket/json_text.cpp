#include "json_text.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace Workerman::Protocols::detail {

std::string_view websocketText(Message message, std::string& storage) {
  if (message.type == textTag()) return message.as<const std::string_view>();
  if (message.type != typeTag<nlohmann::json>()) {
    throw std::invalid_argument("a websocket sends text or nlohmann::json, not " +
                                std::string(message.type->name));
  }
  const auto& json = message.as<const nlohmann::json>();
  if (json.is_string()) return json.get_ref<const std::string&>();
  storage = json.dump();
  return storage;
}

}  // namespace Workerman::Protocols::detail
