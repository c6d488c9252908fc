// Sec-WebSocket-Extensions of a client and of a server: what is parsed prints as something that reads the
// same again, a server's answer to any offer pleases the client that made it, and nothing else gets through.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/websocket/extensions.h"

using namespace Workerman::Protocols;
using namespace Workerman::Protocols::detail;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string printed(const std::vector<Extension>& list) {
  std::string out;
  for (const auto& one : list) {
    out.append(out.empty() ? "" : ", ").append(one.name);
    for (const auto& parameter : one.parameters) {
      out.append("; ").append(parameter.name);
      if (parameter.value) out.append("=").append(*parameter.value);
    }
  }
  return out;
}

void checkAgreed(const DeflateAgreement& agreed) {
  require(agreed.serverMaxWindowBits >= 8 && agreed.serverMaxWindowBits <= 15);
  require(agreed.clientMaxWindowBits >= 8 && agreed.clientMaxWindowBits <= 15);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view value(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto list = parseExtensions(value);
  if (!list) return 0;
  const auto again = parseExtensions(printed(*list));
  require(again && *again == *list);

  DeflateOptions options{.serverNoContextTakeover = (data[0] & 1) != 0,
                         .clientNoContextTakeover = (data[0] & 2) != 0};
  options.serverMaxWindowBits = 8 + (data[0] >> 2 & 7);
  options.clientMaxWindowBits = 8 + (data[0] >> 5 & 7);
  if (const auto accepted = acceptDeflate(*list, options)) {
    checkAgreed(accepted->agreed);
    const DeflateOptions any{.serverNoContextTakeover = false, .clientNoContextTakeover = false};
    const auto answer = parseExtensions(accepted->answer);
    require(answer.has_value());
    const DeflateAnswer understood = readDeflateAnswer(*answer, any);
    require(understood.error.empty() && understood.agreed.has_value());
    require(accepted->agreed.serverMaxWindowBits <= options.serverMaxWindowBits);
  }
  const DeflateAnswer answer = readDeflateAnswer(*list, options);
  require(!answer.agreed || answer.error.empty());
  require(answer.error.find('\n') == std::string::npos);
  if (!answer.agreed) return 0;
  checkAgreed(*answer.agreed);
  require(answer.agreed->serverMaxWindowBits <= options.serverMaxWindowBits);
  require(answer.agreed->clientMaxWindowBits <= options.clientMaxWindowBits);
  return 0;
}
