#include "package_protocols.h"

#include <stdexcept>
#include <string>

#include "../connection/datagram/udp_connection.h"
#include "../connection/stream/link_inline.h"
#include "frame.h"
#include "static_protocol.h"
#include "text.h"

namespace Workerman::Protocols::detail {

using Connection::Input;
using Connection::Link;
using Connection::SendResult;
using Connection::UdpConnection;

namespace {

/// Where the search for a long line's end goes on; only while one is awaited.
struct LineSearch final : Connection::ProtocolState {
  using ProtocolState::ProtocolState;
  std::size_t scanned = 0;
};

}  // namespace

void PackageProtocol::receive(Link& link, Input& input) const {
  while (input.size() != 0 && link.mayReceive(input) && link.connection().protocol.get() == this) {
    auto length = static_cast<std::ptrdiff_t>(input.wanted());
    if (length == 0) length = measure(link, input.view());
    if (length == 0) return;
    const std::size_t most = link.connection().maxPackageSize;
    if (length < 0 || static_cast<std::size_t>(length) > most) {
      return link.refusePackage("package_length=" + std::to_string(length) +
                                ", maxPackageSize=" + std::to_string(most));
    }
    const std::string_view package(input.data(), static_cast<std::size_t>(length));
    if (package.size() > input.size()) return input.want(package.size());
    input.consume(package.size());
    link.deliverText(decode(package));
  }
}

namespace {

std::string_view textOf(const std::string& protocol, const Message& message) {
  if (message.type == textTag()) return message.as<const std::string_view>();
  throw std::invalid_argument(protocol + ":// sends text, not " + std::string(message.type->name) +
                              ": make text of it first");
}

}  // namespace

SendResult PackageProtocol::send(Link& link, Message message) const {
  return sendText(link, textOf(name(), message));
}

void PackageProtocol::receiveDatagram(UdpConnection& connection, std::string_view datagram) const {
  while (!datagram.empty() && connection.mayReceive() && connection.protocol.get() == this) {
    const std::ptrdiff_t length = measureDatagram(datagram, connection.takesUnfinished());
    if (length < 0) return connection.refuse("package_length=" + std::to_string(length));
    const auto size = static_cast<std::size_t>(length);
    if (size == 0 || size > datagram.size()) return;
    const std::string_view package = datagram.substr(0, size);
    datagram.remove_prefix(size);
    connection.deliverText(decode(package));
  }
}

SendResult PackageProtocol::sendDatagram(UdpConnection& connection, Message message) const {
  return sendDatagramText(connection, textOf(name(), message));
}

std::ptrdiff_t TextProtocol::measure(Link& link, std::string_view buffer) const {
  auto* search = static_cast<LineSearch*>(link.stateOf(*this));
  std::size_t scanned = search != nullptr ? search->scanned : 0;
  const std::ptrdiff_t length = Text::inputFrom(buffer, scanned, link.connection().maxPackageSize);
  if (search != nullptr) {
    search->scanned = scanned;
  } else if (scanned != 0) {
    auto started = std::make_unique<LineSearch>(*this);
    started->scanned = scanned;
    link.setState(std::move(started));
  }
  return length;
}

std::ptrdiff_t TextProtocol::measureDatagram(std::string_view rest, bool takesUnfinished) const {
  const std::ptrdiff_t length = Text::input(rest);
  return length == 0 && takesUnfinished ? static_cast<std::ptrdiff_t>(rest.size()) : length;
}

std::string_view TextProtocol::decode(std::string_view package) const {
  return Text::decode(package);
}

SendResult TextProtocol::sendText(Link& link, std::string_view text) const {
  return link.transmit({}, text, Text::terminator);
}

SendResult TextProtocol::sendDatagramText(UdpConnection& connection, std::string_view text) const {
  return connection.transmit({}, text, Text::terminator);
}

std::ptrdiff_t FrameProtocol::measureDatagram(std::string_view rest, bool) const {
  return Frame::input(rest);
}

std::ptrdiff_t FrameProtocol::measure(Link&, std::string_view buffer) const {
  return Frame::input(buffer);
}

std::string_view FrameProtocol::decode(std::string_view package) const {
  return Frame::decode(package);
}

SendResult FrameProtocol::sendText(Link& link, std::string_view text) const {
  const auto header = Frame::encodeHeader(text.size());
  return link.transmit({header.data(), header.size()}, text);
}

SendResult FrameProtocol::sendDatagramText(UdpConnection& connection, std::string_view text) const {
  const auto header = Frame::encodeHeader(text.size());
  return connection.transmit({header.data(), header.size()}, text);
}

}  // namespace Workerman::Protocols::detail
