// TcpConnection: who talks to whom.

#include <nlohmann/json.hpp>

#include "../socket.h"
#include "tcp_connection.h"

namespace Workerman::Connection {
namespace {

/// "1.2.3.4:80" or "[::1]:80" in its two halves; a unix path has none.
struct Split {
  std::string ip;
  int port = 0;
};

Split split(std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos || address.find('/') != std::string_view::npos) return {};
  std::string_view ip = address.substr(0, colon);
  if (ip.size() > 1 && ip.front() == '[' && ip.back() == ']') ip = ip.substr(1, ip.size() - 2);
  return {std::string(ip), std::atoi(std::string(address.substr(colon + 1)).c_str())};
}

}  // namespace

std::string TcpConnection::getStatus(bool rawOutput) const {
  return rawOutput ? std::to_string(getStatus()) : STATUS_TO_STRING.at(getStatus());
}

std::string TcpConnection::getRemoteAddress() const {
  return remoteAddress_.isSet() ? remoteAddress_.text() : targetAddress();
}
std::string TcpConnection::getRemoteIp() const {
  return transport == "unix" ? "" : split(getRemoteAddress()).ip;
}
int TcpConnection::getRemotePort() const {
  return transport == "unix" ? 0 : split(getRemoteAddress()).port;
}

std::string TcpConnection::getLocalAddress() const {
  return getSocket() < 0 ? std::string() : detail::localAddress(getSocket()).text();
}
std::string TcpConnection::getLocalIp() const {
  return transport == "unix" ? "" : split(getLocalAddress()).ip;
}
int TcpConnection::getLocalPort() const {
  return transport == "unix" ? 0 : split(getLocalAddress()).port;
}

bool TcpConnection::isIpV6() const {
  return transport != "unix" && getRemoteIp().find(':') != std::string::npos;
}
bool TcpConnection::isIpV4() const {
  return transport != "unix" && !isIpV6();
}

nlohmann::json TcpConnection::jsonSerialize() const {
  return {{"id", id},
          {"status", getStatus()},
          {"transport", std::string(transport)},
          {"getRemoteIp", getRemoteIp()},
          {"remotePort", getRemotePort()},
          {"getRemoteAddress", getRemoteAddress()},
          {"getLocalIp", getLocalIp()},
          {"getLocalPort", getLocalPort()},
          {"getLocalAddress", getLocalAddress()},
          {"isIpV4", isIpV4()},
          {"isIpV6", isIpV6()}};
}

}  // namespace Workerman::Connection
