#include "exceptions.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

namespace Workerman::detail {

std::string describe(const std::exception& exception) {
  if (dynamic_cast<const ForeignException*>(&exception)) {
    return exception.what();
  }
  const char* mangled = typeid(exception).name();
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr),
                                                    std::free);
  return std::string(name ? name.get() : mangled) + ": " + exception.what();
}

}  // namespace Workerman::detail
