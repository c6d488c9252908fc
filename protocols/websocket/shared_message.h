#pragma once

/// One message to many websockets (internal).

#include <forward_list>
#include <string>
#include <string_view>

#include "../../connection/protocol.h"
#include "frame_codec.h"

namespace Workerman::Protocols::detail {

class WebsocketProtocol;

/// A server's frames of one message: each kind is made when the first connection needs it, and then sent to
/// all that do.
class SharedMessage final : public Connection::Broadcast {
 public:
  /// Both must outlive this.
  SharedMessage(const WebsocketProtocol& protocol, std::string_view payload) noexcept
      : protocol_(protocol), payload_(payload) {}

  Connection::SendResult sendTo(Connection::Link& connection) override;

  std::string_view payload() const noexcept { return payload_; }
  /// The whole frame, compressed for a window of `windowBits`; 0: plain. Empty: compressing does not make it
  /// shorter. Good for as long as this lives.
  std::string_view frame(Opcode opcode, int windowBits);

 private:
  struct Frame {
    Opcode opcode;
    int windowBits;
    std::string bytes;
  };
  std::string encode(Opcode opcode, int windowBits) const;

  const WebsocketProtocol& protocol_;
  std::string_view payload_;
  std::forward_list<Frame> frames_;
};

}  // namespace Workerman::Protocols::detail
