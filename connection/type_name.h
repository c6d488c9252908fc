#pragma once

#include <string>
#include <typeinfo>

namespace Workerman::Connection::detail {

/// The type as a person would write it, for error messages.
std::string nameOf(const std::type_info& type);

}  // namespace Workerman::Connection::detail
