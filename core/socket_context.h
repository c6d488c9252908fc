#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "context_option.h"

namespace Workerman {

/// @name PHP's constants for SslOptions::crypto_method
/// Added up with `|`. Whether it says CLIENT or SERVER does not matter. Versions
/// before 1.2 are broken; OpenSSL speaks them with `.security_level = 0` only.
/// @{
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_0_CLIENT = 9;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_1_CLIENT = 17;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT = 33;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT = 65;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_0_SERVER = 8;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_1_SERVER = 16;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_2_SERVER = 32;
inline constexpr int STREAM_CRYPTO_METHOD_TLSv1_3_SERVER = 64;
/// @}

/// The digests a peer's certificate must have: PHP's `peer_fingerprint`.
///
/// Either one hexadecimal digest, whose length tells md5 (32), sha1 (40) or sha256 (64), or pairs of
/// a digest's name and its value, all of which must match.
class PeerFingerprint {
 public:
  PeerFingerprint() = default;
  PeerFingerprint(const char* digest) : PeerFingerprint(std::string(digest)) {}
  PeerFingerprint(const std::string& digest) {
    if (!digest.empty()) {
      digests_.emplace(nameFor(digest.size()), digest);
    }
  }
  PeerFingerprint(std::initializer_list<std::pair<const std::string, std::string>> digests)
      : digests_(digests) {}
  PeerFingerprint(OptionNames digests) : digests_(std::move(digests)) {}
  /// A pair of SslOptions that this member was given.
  PeerFingerprint(const char* name, OptionValue value) : pending(name, std::move(value)) {}

  bool empty() const noexcept { return digests_.empty(); }
  /// Name (`md5`, `sha1`, `sha256`, …; empty when the length told none) to hexadecimal value.
  const std::map<std::string, std::string>& digests() const noexcept { return digests_; }

  detail::PendingOption pending;

 private:
  static const char* nameFor(std::size_t hexLength) noexcept {
    return hexLength == 32 ? "md5" : hexLength == 40 ? "sha1" : hexLength == 64 ? "sha256" : "";
  }

  std::map<std::string, std::string> digests_;
};

struct SocketOptions;
struct SslOptions;

namespace detail {

/// The last member of the structs: when it is made, the others are, and it hands the pairs that they were
/// given to those that they name. It finds them by its own address (GCC 12 cannot compile everything with a
/// default member initializer that says `*this`), so it is of no use elsewhere.
/// @throws std::invalid_argument for a name that is none, with the nearest that is one, and for a value of
/// another kind.
template <class Options>
struct OptionOrder {
  OptionOrder();
  OptionOrder(const OptionOrder&) noexcept {}
  OptionOrder& operator=(const OptionOrder&) noexcept { return *this; }
};
template <>
OptionOrder<SocketOptions>::OptionOrder();
template <>
OptionOrder<SslOptions>::OptionOrder();

}  // namespace detail

/// Options of a socket, under PHP's names. Every one may be left out.
/// @see PHP manual: context/socket
struct SocketOptions {
  /// Local "ip:port" a client connects from; port 0 lets the kernel choose.
  TextOption bindto = {};
  /// Length of the queue of connections not yet accepted.
  MaybeOption<int> backlog = {};
  FlagOption so_reuseport = false;
  FlagOption so_broadcast = false;
  /// On unless it is set to false.
  MaybeOption<bool> tcp_nodelay = {};
  /// The system's default while not given.
  MaybeOption<bool> ipv6_v6only = {};
  /// Not an option: puts the others in order.
  detail::OptionOrder<SocketOptions> order = {};
};

/// Options of TLS, under PHP's names. Every one may be left out.
/// @see PHP manual: context/ssl
struct SslOptions {
  /// File with the certificate (chain), PEM.
  TextOption local_cert = {};
  /// File with the private key, PEM; looked for in `local_cert` while empty.
  TextOption local_pk = {};
  TextOption passphrase = {};
  FlagOption allow_self_signed = false;
  /// Not given: true for a client, false for a server.
  MaybeOption<bool> verify_peer = {};
  /// Not given: true for a client, false for a server.
  MaybeOption<bool> verify_peer_name = {};
  /// Most certificates between the peer's and a trusted one.
  MaybeOption<int> verify_depth = {};
  TextOption cafile = {};
  TextOption capath = {};
  /// Name expected in the peer's certificate, whole (it does not begin with a dot), and sent as SNI; the
  /// address's host while empty.
  TextOption peer_name = {};
  PeerFingerprint peer_fingerprint = {};
  TextOption ciphers = {};
  /// PHP's `STREAM_CRYPTO_METHOD_*` bits; TLS 1.2 and newer while not given.
  MaybeOption<int> crypto_method = {};
  /// OpenSSL's security level, 0 to 5.
  MaybeOption<int> security_level = {};
  FlagOption SNI_enabled = true;
  /// A server's certificates: host name to PEM file.
  NamesOption SNI_server_certs = {};
  /// Names separated by commas, the preferred one first.
  TextOption alpn_protocols = {};
  /// Not an option: puts the others in order.
  detail::OptionOrder<SslOptions> order = {};
};

/// PHP's stream context array, as designated initialisers, whose order is fixed:
/// `SocketContext{.socket = {.bindto = "127.0.0.1:0"}, .ssl = {.verify_peer = false}}`, or with the options
/// in any order: `SocketContext{.ssl = {{"verify_peer", false}, {"cafile", "ca.pem"}}}`. The latter throws
/// std::invalid_argument for a name that is none, and for a value of another kind.
struct SocketContext {
  SocketOptions socket = {};
  SslOptions ssl = {};
};

}  // namespace Workerman
