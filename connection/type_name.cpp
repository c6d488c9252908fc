#include "type_name.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace Workerman::Connection::detail {

std::string nameOf(const std::type_info& type) {
  // Its full name fills half a line and tells nobody more.
  if (type == typeid(std::string)) {
    return "std::string";
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 && name != nullptr ? name.get() : type.name();
}

}  // namespace Workerman::Connection::detail
