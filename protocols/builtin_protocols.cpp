// The protocols that come with the library, by their schemes.

#include <stdexcept>

#include "frame.h"
#include "package_protocols.h"
#include "protocols.h"
#include "websocket/client.h"
#include "websocket/server.h"

namespace Workerman::Protocols::detail {

void throwNoEncoding(std::string_view protocol, const TypeTag& type) {
  throw std::invalid_argument(std::string(protocol) + ":// has no encoding for " + std::string(type.name) +
                              ": send text, or what its encode() takes");
}

}  // namespace Workerman::Protocols::detail

namespace Workerman::Connection::detail {

std::vector<std::unique_ptr<Protocol>> builtinProtocols() {
  std::vector<std::unique_ptr<Protocol>> all;
  all.push_back(std::make_unique<Protocols::detail::TextProtocol>("text"));
  all.push_back(std::make_unique<Protocols::detail::FrameProtocol>("frame"));
  all.push_back(std::make_unique<Protocols::detail::WebsocketClient>("ws"));
  all.push_back(std::make_unique<Protocols::detail::WebsocketServer>("websocket"));
  return all;
}

}  // namespace Workerman::Connection::detail
