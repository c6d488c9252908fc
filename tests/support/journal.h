#pragma once

/// Writes down a connection's callbacks, to compare their order.

#include <workerman/workerman.h>
#include <memory>
#include <string>

namespace testing {

/// "connect message:hi close ": one word for each callback that has run. The
/// code of onError is its word's end; its last text is in `error`.
struct Journal {
  std::string text;
  std::string error;
  /// Held by the callbacks only: expired once they are released.
  std::weak_ptr<int> captured;

  /// Takes all callbacks of a connection or a worker; lives longer than they do.
  template <class Target>
  void record(Target& target) {
    const auto token = std::make_shared<int>(0);
    captured = token;
    target.onConnect = [this, token] { text += "connect "; };
    target.onMessage = [this, token](Workerman::Connection::TcpConnectionPtr, std::string_view data) {
      text += "message:" + std::string(data) + " ";
    };
    target.onError = [this, token](Workerman::Connection::TcpConnectionPtr, int code, std::string message) {
      text += "error:" + std::to_string(code) + " ";
      error = message;
    };
    target.onClose = [this, token] { text += "close "; };
    target.onBufferFull = [this, token] { text += "full "; };
    target.onBufferDrain = [this, token] { text += "drain "; };
  }
  bool has(std::string_view word) const { return text.find(word) != std::string::npos; }
};

}  // namespace testing
