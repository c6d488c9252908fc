#include "protocol_registry.h"

#include <array>
#include <cctype>
#include <mutex>
#include <stdexcept>
#include <typeinfo>

#include "names/address.h"

namespace Workerman::Connection::detail {
namespace {

constexpr std::array<std::string_view, 7> kTransports{"tcp", "udp", "unix", "ssl", "sslv2", "sslv3", "tls"};

struct Registry {
  std::mutex mutex;
  std::vector<std::unique_ptr<Protocol>> protocols = builtinProtocols();
};

Registry& registry() {
  static Registry instance;
  return instance;
}

bool isLetter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

/// PHP's name of a protocol's class is taken for its scheme: `Workerman\\Protocols\\Text`, of whatever
/// namespace.
std::string_view withoutNamespace(std::string_view name) {
  return name.substr(name.find_last_of('\\') + 1);
}

const Protocol* findLocked(const Registry& all, std::string_view name) {
  const std::string_view scheme = withoutNamespace(name);
  for (const auto& protocol : all.protocols) {
    if (isSameScheme(protocol->name(), scheme)) return protocol.get();
  }
  return nullptr;
}

void checkName(std::string_view name) {
  bool good = !name.empty() && isLetter(name[0]);
  for (const char c : name) good = good && (isLetter(c) || (c >= '0' && c <= '9'));
  if (!good) {
    throw std::invalid_argument("Protocols::add: a scheme is a letter followed by letters and digits, not '" +
                                std::string(name) + "'");
  }
  for (const auto transport : kTransports) {
    if (isSameScheme(transport, name)) {
      throw std::invalid_argument("Protocols::add: '" + std::string(name) +
                                  "' is a transport, not a protocol");
    }
  }
}

}  // namespace

void addProtocol(std::unique_ptr<Protocol> protocol) {
  checkName(protocol->name());
  auto& all = registry();
  const std::lock_guard lock(all.mutex);
  if (const Protocol* known = findLocked(all, protocol->name())) {
    const Protocol& added = *protocol;
    if (typeid(*known) == typeid(added)) return;
    throw std::invalid_argument("Protocols::add: '" + protocol->name() + "' is already registered");
  }
  all.protocols.push_back(std::move(protocol));
}

const Protocol* findProtocol(std::string_view scheme) {
  auto& all = registry();
  const std::lock_guard lock(all.mutex);
  return findLocked(all, scheme);
}

const Protocol* requireProtocol(std::string_view scheme) {
  if (const Protocol* protocol = findProtocol(scheme)) return protocol;
  throw std::runtime_error("unknown protocol '" + std::string(scheme) +
                           "': make it known with Protocols::add<YourProtocol>(\"" + std::string(scheme) +
                           "\")");
}

}  // namespace Workerman::Connection::detail
