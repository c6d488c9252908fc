#pragma once

/// The manual's own protocol: one JSON value on a line of its own.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

struct JsonNL {
  /// The length of the package at the front, its newline included; 0 while that is not there.
  static std::size_t input(std::string_view buffer) { return buffer.find('\n') + 1; }

  /// What onMessage gets. As PHP's json_decode, null for what is no JSON (an exception here
  /// would be one of our program, and this is only a mistake of the peer) and for what is
  /// nested too deep, since printing or copying it needs stack for every level.
  static nlohmann::json decode(std::string_view package) {
    bool isTooDeep = false;
    const auto watchDepth = [&isTooDeep](int depth, auto&&...) { return !(isTooDeep |= depth > 512); };
    auto data = nlohmann::json::parse(package, watchDepth, false);
    return data.is_discarded() || isTooDeep ? nlohmann::json() : data;
  }

  /// What send() puts on the wire.
  static std::string encode(const nlohmann::json& data) { return data.dump() + "\n"; }
};
