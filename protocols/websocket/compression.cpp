#include "compression.h"

#include "../websocket.h"
#include "../ws.h"

namespace Workerman::Protocols::detail {

const DeflateOptions& Compression::options() const noexcept {
  return role_ == Role::Client ? Ws::deflate : Websocket::deflate;
}

void Compression::agree(const DeflateAgreement& agreed) noexcept {
  const bool isServer = role_ == Role::Server;
  keepsSent_ = !(isServer ? agreed.serverNoContextTakeover : agreed.clientNoContextTakeover);
  keepsReceived_ = !(isServer ? agreed.clientNoContextTakeover : agreed.serverNoContextTakeover);
  sendBits_ = isServer ? agreed.serverMaxWindowBits : agreed.clientMaxWindowBits;
  receiveBits_ = isServer ? agreed.clientMaxWindowBits : agreed.serverMaxWindowBits;
}

std::string_view Compression::compress(std::string_view payload, std::string& out) {
  const DeflateOptions& how = options();
  if (!keepsSent_) {
    const auto packed = compressShared(payload, sendBits_, out, how.level, how.memLevel);
    return packed.size() < payload.size() ? packed : std::string_view();
  }
  if (!deflater_) deflater_ = std::make_unique<Deflater>(DeflateSettings{sendBits_, how.level, how.memLevel});
  return deflater_->compress(payload, out);
}

Inflated Compression::inflate(Inflation& message, InflateBuffer& out, std::size_t most) {
  if (!keepsReceived_) return message.goOn(sharedInflater(), out, most);
  if (!inflater_) inflater_ = std::make_unique<Inflater>(receiveBits_);
  return message.goOn(*inflater_, out, most);
}

void Compression::keep(Inflation&& message, InflateBuffer&& out) {
  message.keep();
  unfinished_ = std::make_unique<Unfinished>(Unfinished{std::move(message), std::move(out)});
  if (!keepsReceived_) inflater_ = takeSharedInflater();
}

InflateBuffer Compression::takeInflated() {
  InflateBuffer whole = std::move(unfinished_->out);
  giveUp();
  return whole;
}

void Compression::giveUp() noexcept {
  unfinished_.reset();
  if (!keepsReceived_) inflater_.reset();
}

}  // namespace Workerman::Protocols::detail
