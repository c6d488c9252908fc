// Any text either is an address whose parts are clean, or throws invalid_argument.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "connection/names/address.h"

using namespace Workerman::Connection::detail;

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

bool isClean(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return false;
    }
  }
  return true;
}

void check(const Address& address) {
  require(!address.scheme.empty() && isClean(address.scheme));
  require(isClean(address.host) && isClean(address.target) && isClean(address.unixPath) &&
          isClean(address.zone));
  if (address.isUnix) {
    require(!address.unixPath.empty() && address.host.empty());
    return;
  }
  require(!address.host.empty() && address.host.find_first_of(" /?#@[]%") == std::string::npos);
  require(address.target.front() == '/' && address.target.find_first_of(" #") == std::string::npos);
  // Written out again it is the same address.
  const std::string again =
      address.scheme + "://" + formatAddress(address.hostWithZone(), address.port) + address.target;
  // "%25" in front of a zone is the sign itself once more, so such a zone does not come round.
  if (address.zone.rfind("25", 0) != 0) {
    const Address same = parseRemoteAddress(again);
    require(same.scheme == address.scheme && same.host == address.host && same.port == address.port &&
            same.target == address.target && same.zone == address.zone);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const AddressKind kind : {AddressKind::Inet, AddressKind::Unix}) {
    try {
      check(parseRemoteAddress(text, kind));
    } catch (const std::invalid_argument& error) {
      require(isClean(error.what()));
    }
  }
  return 0;
}
