#pragma once

/// Schemes and the protocols they stand for. Process-wide; filled before the
/// first connection or worker is made.

#include <memory>
#include <string_view>
#include <vector>

#include "../core/text_view.h"
#include "protocol.h"

namespace Workerman::Connection::detail {

/// Makes `protocol` known by its name. @throws std::invalid_argument when the
/// name is not a letter followed by letters and digits, is one of the
/// transports (tcp, udp, unix, ssl, …), or is taken by another type. The same
/// type under the same name once more changes nothing.
void addProtocol(std::unique_ptr<Protocol> protocol);

/// The protocol of a scheme, as PHP finds a class: the first letter's case does
/// not count. Null when there is none. The pointer is good for ever.
const Protocol* findProtocol(std::string_view scheme);

/// Same, for when there must be one. @throws std::runtime_error with advice.
const Protocol* requireProtocol(std::string_view scheme);

/// Seam: the protocols that come with the library; defined in protocols/.
std::vector<std::unique_ptr<Protocol>> builtinProtocols();

}  // namespace Workerman::Connection::detail

namespace Workerman::Connection {

/// `$connection->protocol`: the scheme's name, empty for raw bytes. Assigning a
/// registered name changes what is spoken from the next message on.
class ProtocolName : public Workerman::detail::JoinsWithPlus {
 public:
  ProtocolName() noexcept = default;
  explicit ProtocolName(const Protocol* protocol) noexcept : protocol_(protocol) {}

  /// @throws std::runtime_error for a name that nobody registered.
  ProtocolName& operator=(std::string_view scheme) {
    protocol_ = scheme.empty() ? nullptr : detail::requireProtocol(scheme);
    return *this;
  }
  ProtocolName& operator=(std::nullptr_t) noexcept {
    protocol_ = nullptr;
    return *this;
  }
  ProtocolName& operator=(const char* scheme) { return *this = std::string_view(scheme ? scheme : ""); }
  ProtocolName& operator=(const std::string& scheme) { return *this = std::string_view(scheme); }

  std::string_view view() const noexcept { return protocol_ ? protocol_->name() : std::string_view(); }
  operator std::string_view() const noexcept { return view(); }
  explicit operator std::string() const { return std::string(view()); }
  bool empty() const noexcept { return protocol_ == nullptr; }
  friend bool operator==(const ProtocolName& a, std::string_view b) noexcept { return a.view() == b; }
  template <class Stream>
  friend Stream& operator<<(Stream& out, const ProtocolName& name) {
    out << name.view();
    return out;
  }

  /// The protocol itself, null for raw bytes (internal).
  const Protocol* get() const noexcept { return protocol_; }

 private:
  const Protocol* protocol_ = nullptr;
};

}  // namespace Workerman::Connection
