#pragma once

#include <string>

namespace Workerman::Connection::detail {

class FileDescriptor;

/// Who a Connector works for (internal). Exactly one of the two is called,
/// once, never before start() has returned; the connector may be destroyed
/// inside.
class ConnectorClient {
 public:
  /// `leftOver`: what the proxy sent behind its answer.
  virtual void onConnected(FileDescriptor socket, std::string leftOver) = 0;
  virtual void onConnectFailed(const std::string& cause) = 0;

 protected:
  ~ConnectorClient() = default;
};

}  // namespace Workerman::Connection::detail
