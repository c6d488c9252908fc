#include "udp_connection.h"

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <nlohmann/json.hpp>

#include "../../core/exceptions.h"
#include "datagram.h"

namespace Workerman::Connection {

std::string UdpConnection::getRemoteIp() const {
  return remoteEnd().ip();
}
int UdpConnection::getRemotePort() const {
  return remoteEnd().port();
}
std::string UdpConnection::getRemoteAddress() const {
  return remoteEnd().text();
}
detail::SocketAddress UdpConnection::localEnd() const {
  return detail::localAddress(getSocket());
}
std::string UdpConnection::getLocalIp() const {
  return localEnd().ip();
}
int UdpConnection::getLocalPort() const {
  return localEnd().port();
}
std::string UdpConnection::getLocalAddress() const {
  return localEnd().text();
}

bool UdpConnection::isIpV6() const {
  return getRemoteIp().find(':') != std::string::npos;
}
bool UdpConnection::isIpV4() const {
  return !isIpV6();
}

nlohmann::json UdpConnection::jsonSerialize() const {
  return {{"transport", std::string(transport)},
          {"getRemoteIp", getRemoteIp()},
          {"remotePort", getRemotePort()},
          {"getRemoteAddress", getRemoteAddress()},
          {"getLocalIp", getLocalIp()},
          {"getLocalPort", getLocalPort()},
          {"getLocalAddress", getLocalAddress()},
          {"isIpV4", isIpV4()},
          {"isIpV6", isIpV6()}};
}

SendResult UdpConnection::sendFailed() noexcept {
  const int error = errno;
  ++statistics.send_fail;
  if (onError) emitError(SEND_FAIL, std::system_category().message(error));
  return SendResult::failed();
}

void UdpConnection::emitError(int code, std::string_view text) noexcept {
  const UdpConnectionPtr self = weak_from_this().lock();
  // One that sends again in its callback would come here again.
  if (!onError || !self || isTellingError_) return;
  const UdpErrorCallback callback = onError;
  isTellingError_ = true;
  try {
    callback(self, code, text);
  } catch (...) {
    handleException();
  }
  isTellingError_ = false;
}

SendResult UdpConnection::sendText(std::string_view text, bool raw) {
  if (!raw) {
    if (const Protocol* spoken = protocol.get()) return spoken->sendDatagramText(*this, text);
  }
  return transmit({}, text);
}

SendResult UdpConnection::sendValue(Message value) {
  if (const Protocol* spoken = protocol.get()) return spoken->sendDatagram(*this, value);
  throw std::invalid_argument("a connection without a protocol sends text, not " +
                              std::string(value.type->name));
}

void UdpConnection::closeWithCode(int, std::string_view) {
  throw std::logic_error("close(code, reason) is for websockets; close(text) sends text");
}

void UdpConnection::receive(std::string_view datagram) {
  const Protocol* spoken = protocol.get();
  if (spoken == nullptr) return deliverText(datagram);
  spoken->receiveDatagram(*this, datagram);
}

void UdpConnection::refuse(std::string_view why) noexcept {
  try {
    refused().log(protocol.view(), why, remoteEnd());
  } catch (...) {
    // Without memory for the line there is none.
  }
}

void UdpConnection::refuseForException() noexcept {
  if (errorHandler) return handleException();
  Workerman::detail::withCurrentException(
      [this](const std::exception& exception) { refuse(Workerman::detail::describe(exception)); });
}

void UdpConnection::handleException() noexcept {
  Workerman::detail::withCurrentException([this](const std::exception& exception) { error(exception); });
}

}  // namespace Workerman::Connection
