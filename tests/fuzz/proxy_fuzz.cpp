// The first byte chooses the kind of proxy and the size of the pieces, the rest is what it answers.
// However the answer is cut, the outcome is the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "connection/proxy/proxy.h"

using Workerman::Connection::detail::ProxyHandshake;
using What = ProxyHandshake::Step::What;

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct Outcome {
  What what = What::NeedMore;
  std::string sent;
  std::string error;
  std::size_t consumed = 0;
};

Outcome run(ProxyHandshake handshake, std::string_view bytes, std::size_t pieceSize) {
  Outcome outcome;
  while (outcome.consumed < bytes.size()) {
    // A copy of exactly its size, so that a read past its end is seen.
    const std::string piece(bytes.substr(outcome.consumed, pieceSize));
    const ProxyHandshake::Step step = handshake.feed(piece);
    require(step.consumed <= piece.size());
    require(step.consumed > 0 || step.what == What::Failed);
    outcome.what = step.what;
    outcome.sent += step.send;
    outcome.error = step.error;
    if (step.what == What::Failed) {
      return outcome;
    }
    outcome.consumed += step.consumed;
    if (step.what == What::Done) {
      return outcome;
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t pieceSize = 1 + (data[0] >> 2);
  const ProxyHandshake handshake = (data[0] & 3) == 0   ? ProxyHandshake::socks5("example.com", 443)
                                   : (data[0] & 3) == 1 ? ProxyHandshake::socks5("::1", 443, "tom", "secret")
                                                        : ProxyHandshake::httpConnect("example.com", 443);
  const Outcome whole = run(handshake, bytes, bytes.size() + 1);
  const Outcome pieces = run(handshake, bytes, pieceSize);
  require((whole.what == What::Done) == (pieces.what == What::Done));
  require((whole.what == What::Failed) == (pieces.what == What::Failed));
  require(whole.sent == pieces.sent && whole.error == pieces.error);
  // A refusal ends the connection: how much of the last piece was looked at does not matter.
  require(whole.what == What::Failed || whole.consumed == pieces.consumed);
  return 0;
}
