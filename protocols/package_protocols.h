#pragma once

/// text:// and frame:// as connections speak them: without a copy (internal).

#include <memory>

#include "../connection/protocol.h"

namespace Workerman::Protocols::detail {

/// Packages of text that can be measured; the rest is the same for both.
class PackageProtocol : public Connection::Protocol {
 public:
  using Protocol::Protocol;
  const TypeTag* messageType() const noexcept override { return textTag(); }
  void receive(Connection::Link& link, Connection::Input& input) const override;
  Connection::SendResult send(Connection::Link& link, Message message) const override;

  const char* datagramRefusal() const noexcept override { return nullptr; }
  void receiveDatagram(Connection::UdpConnection& connection, std::string_view datagram) const override;
  Connection::SendResult sendDatagram(Connection::UdpConnection& connection, Message message) const override;

 private:
  /// As measure(), of what a datagram holds from here on. `takesUnfinished`:
  /// its end may stand for the package's.
  virtual std::ptrdiff_t measureDatagram(std::string_view rest, bool takesUnfinished) const = 0;
  /// Length of the package at the front, 0: not known yet, negative: bad.
  virtual std::ptrdiff_t measure(Connection::Link& link, std::string_view buffer) const = 0;
  virtual std::string_view decode(std::string_view package) const = 0;
};

class TextProtocol final : public PackageProtocol {
 public:
  using PackageProtocol::PackageProtocol;
  Connection::SendResult sendText(Connection::Link& link, std::string_view text) const override;
  Connection::SendResult sendDatagramText(Connection::UdpConnection& connection,
                                          std::string_view text) const override;

 private:
  std::ptrdiff_t measureDatagram(std::string_view rest, bool takesUnfinished) const override;
  std::ptrdiff_t measure(Connection::Link& link, std::string_view buffer) const override;
  std::string_view decode(std::string_view package) const override;
};

class FrameProtocol final : public PackageProtocol {
 public:
  using PackageProtocol::PackageProtocol;
  Connection::SendResult sendText(Connection::Link& link, std::string_view text) const override;
  Connection::SendResult sendDatagramText(Connection::UdpConnection& connection,
                                          std::string_view text) const override;

 private:
  std::ptrdiff_t measureDatagram(std::string_view rest, bool takesUnfinished) const override;
  std::ptrdiff_t measure(Connection::Link& link, std::string_view buffer) const override;
  std::string_view decode(std::string_view package) const override;
};

}  // namespace Workerman::Protocols::detail
