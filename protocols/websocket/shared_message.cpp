#include "shared_message.h"

#include "../websocket.h"
#include "compression.h"
#include "websocket_protocol.h"

namespace Workerman::Protocols::detail {

Connection::SendResult SharedMessage::sendTo(Connection::Link& link) {
  return protocol_.session(link).sendShared(*this);
}

std::string_view SharedMessage::frame(Opcode opcode, int windowBits) {
  for (const Frame& known : frames_) {
    if (known.opcode == opcode && known.windowBits == windowBits) return known.bytes;
  }
  return frames_.emplace_front(Frame{opcode, windowBits, encode(opcode, windowBits)}).bytes;
}

std::string SharedMessage::encode(Opcode opcode, int windowBits) const {
  std::string frame;
  if (windowBits == 0) {
    appendFrame(frame, opcode, payload_, Role::Server, 0);
    return frame;
  }
  Borrowed<std::string> buffer;
  const DeflateOptions& how = Websocket::deflate;
  const auto packed = compressShared(payload_, windowBits, *buffer, how.level, how.memLevel);
  if (packed.size() < payload_.size()) appendFrame(frame, opcode, packed, Role::Server, 0, true);
  return frame;
}

}  // namespace Workerman::Protocols::detail
