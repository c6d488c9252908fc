#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace Workerman::Connection::detail {

/// What a connection asks a proxy for, before anything else is said on the socket. Pure: bytes in,
/// bytes out. Takes the proxy's answers in pieces of any size.
///
/// Send `start()`, then give every piece received to `feed()` until it says Done or Failed.
class ProxyHandshake {
 public:
  struct Step {
    enum class What {
      /// Wait for more bytes.
      NeedMore,
      /// Send `send`, then feed what is left of the piece, or the next one.
      Send,
      /// Bytes from now on are the peer's; so is what was not consumed.
      Done,
      /// The proxy refused, or spoke something else: `error` says which. Close the socket.
      Failed,
    };
    What what = What::NeedMore;
    std::string send{};
    std::string error{};
    /// Bytes of the piece just given that belong to the handshake; all of them for NeedMore.
    std::size_t consumed = 0;
  };

  /// SOCKS5; the proxy resolves `host`, an IP literal is sent as an address. With `user` and
  /// `password` both empty no authentication is offered.
  /// @throws std::invalid_argument when host, user or password has more than 255 bytes, host is
  ///         empty or holds control characters, or port is 0.
  /// @see RFC 1928, RFC 1929
  static ProxyHandshake socks5(std::string_view host, std::uint16_t port, std::string_view user = {},
                               std::string_view password = {});

  /// HTTP CONNECT. `authorization` is the whole value of Proxy-Authorization ("Basic …"), none if empty.
  /// @throws std::invalid_argument as socks5, and when `authorization` holds CR, LF or NUL.
  /// @see RFC 9110 section 9.3.6
  static ProxyHandshake httpConnect(std::string_view host, std::uint16_t port,
                                    std::string_view authorization = {});

  /// The value of Proxy-Authorization for a user name and a password: "Basic dXNlcjpwYXNz".
  /// @throws std::invalid_argument for a colon in the name, or a control character in either.
  /// @see RFC 7617 section 2
  static std::string basicAuthorization(std::string_view user, std::string_view password);

  /// Most bytes of an HTTP proxy's answer, up to and with the empty line.
  static constexpr std::size_t kMaxHead = 16 * 1024;

  /// What is to come next, in words: "the SOCKS5 proxy's answer to the login".
  const char* awaited() const noexcept;

  /// What to send first.
  const std::string& start() const noexcept { return start_; }

  /// Goes on with the next piece received. After Done or Failed it says the same again and consumes nothing.
  [[nodiscard]] Step feed(std::string_view piece);

 private:
  enum class State { SocksMethod, SocksAuth, SocksReply, HttpHead, Done, Failed };

  ProxyHandshake() = default;
  Step fail(std::string error, std::size_t consumed);
  /// Moves bytes from the piece until `received_` has `size`. @return whether it has.
  bool collect(std::string_view piece, std::size_t size, std::size_t& used);
  Step feedSocksMethod(std::string_view piece);
  Step feedSocksAuth(std::string_view piece);
  Step feedSocksReply(std::string_view piece);
  Step feedHttpHead(std::string_view piece);
  Step finishHttpHead(std::string_view statusLine, std::size_t used);

  State state_ = State::HttpHead;
  std::string start_;
  /// RFC 1929 request; empty when no authentication is offered.
  std::string authRequest_;
  std::string connectRequest_;
  /// The unfinished answer.
  std::string received_;
  /// Where in it the HTTP answer looked at begins, behind interim ones.
  std::size_t headStart_ = 0;
  std::string error_;
};

}  // namespace Workerman::Connection::detail
