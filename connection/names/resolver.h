#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../socket.h"

struct uv_loop_s;

namespace Workerman::Connection::detail {

/// Given the addresses found, or none and why in the resolver's words.
using ResolveCallback = std::function<void(std::vector<SocketAddress> addresses, std::string error)>;

/// A name look-up under way, which keeps its loop running. Destroying it forgets the callback; the
/// look-up itself may go on in its thread and ends into nothing. Neither a loop nor the process' exit
/// waits for it.
class Resolution {
 public:
  Resolution() noexcept = default;
  Resolution(Resolution&&) noexcept = default;
  Resolution& operator=(Resolution&& other) noexcept;
  ~Resolution() { cancel(); }

  /// Forgets the callback. Harmless when it has run, and inside it.
  void cancel() noexcept;
  /// Whether the callback is still to come.
  bool isPending() const noexcept;

 private:
  struct Request;
  friend class LookUpThreads;
  friend Resolution resolve(uv_loop_s* loop, const std::string& host, std::uint16_t port,
                            ResolveCallback callback);

  std::shared_ptr<Request> request_;
};

/// Looks `host` up in another thread and calls back on the loop's thread, once, never before
/// it returns. An IP literal (with or without a zone) is only converted. The addresses come IPv6 and
/// IPv4 interleaved, in the resolver's order of preference, each with `port`.
/// `callback` must not throw: an exception ends the program.
/// @throws std::runtime_error when the system refuses a thread or a handle.
[[nodiscard]] Resolution resolve(uv_loop_s* loop, const std::string& host, std::uint16_t port,
                                 ResolveCallback callback);

/// Takes turns between the families, beginning with the first address's, keeping each one's order;
/// addresses that come twice come once.
/// @see RFC 8305 section 4
std::vector<SocketAddress> interleaveFamilies(const std::vector<SocketAddress>& addresses);

}  // namespace Workerman::Connection::detail
