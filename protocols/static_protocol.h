#pragma once

/// Makes a registered protocol of a class with static functions (internal; use
/// it through Protocols::add).

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../connection/datagram/udp_connection.h"
#include "../connection/protocol.h"
#include "../connection/stream/link_inline.h"
#include "../core/callable_traits.h"
#include "../core/exceptions.h"

namespace Workerman::Protocols {

/// What a protocol class needs: static functions `input`, `decode`, `encode`,
/// each of which may leave out the trailing connection.
/// @see Workerman manual: protocols/how-protocols
template <class P>
concept ProtocolInterface = requires(std::string_view buffer,
                                     const Connection::TcpConnectionPtr& connection) {
  requires requires {
    { P::input(buffer, connection) } -> std::integral;
  } || requires {
    { P::input(buffer) } -> std::integral;
  };
  requires requires {
    P::decode(buffer, connection);
  } || requires {
    P::decode(buffer);
  };
};

namespace detail {

[[noreturn]] void throwNoEncoding(std::string_view protocol, const TypeTag& type);

template <class E>
struct FirstParameter {
  using Type = void;
};
template <class First, class... Rest>
struct FirstParameter<Workerman::detail::TypeList<First, Rest...>> {
  using Type = std::remove_cvref_t<First>;
};

/// How a function of a protocol takes a datagram's connection. Only what it declares counts: trying it out
/// would compile the body of one with `auto`, which is written for TcpConnectionPtr.
enum class DatagramCall { Refused, Alone, WithConnection };

template <class List>
struct DatagramCallOf {
  static constexpr DatagramCall value = DatagramCall::Refused;
};
template <class Data>
struct DatagramCallOf<Workerman::detail::TypeList<Data>> {
  static constexpr DatagramCall value = DatagramCall::Alone;
};
template <class Data, class Handle>
struct DatagramCallOf<Workerman::detail::TypeList<Data, Handle>> {
  static constexpr DatagramCall value = std::is_same_v<std::remove_cvref_t<Handle>, Connection::ConnectionPtr>
                                            ? DatagramCall::WithConnection
                                            : DatagramCall::Refused;
};

/// The same bytes for every connection.
class EncodedOnce final : public Connection::Broadcast {
 public:
  explicit EncodedOnce(std::string_view bytes) : bytes_(bytes) {}
  Connection::SendResult sendTo(Connection::Link& link) override { return link.transmit({}, bytes_); }

 private:
  std::string bytes_;
};

template <class P>
class StaticProtocol final : public Connection::Protocol {
  using Handle = const Connection::TcpConnectionPtr&;

  static auto callInput(std::string_view buffer, Handle connection) {
    if constexpr (requires { P::input(buffer, connection); }) {
      return P::input(buffer, connection);
    } else {
      return P::input(buffer);
    }
  }
  static decltype(auto) callDecode(std::string_view package, Handle connection) {
    if constexpr (requires { P::decode(package, connection); }) {
      return P::decode(package, connection);
    } else {
      return P::decode(package);
    }
  }

  /// Whether P::encode takes a V, with or without the connection.
  template <class V>
  static constexpr bool encodes = requires(V value, Handle connection) {
    P::encode(value, connection);
  }
  || requires(V value) { P::encode(value); };

  template <class V>
  static decltype(auto) callEncode(V& value, Connection::Link& link) {
    if constexpr (requires(Handle handle) { P::encode(value, handle); }) {
      return P::encode(value, link.connection().shared_from_this());
    } else {
      return P::encode(value);
    }
  }

  using Decoded = std::remove_cvref_t<decltype(callDecode(std::string_view(), std::declval<Handle>()))>;
  static constexpr bool kGivesText = std::convertible_to<const Decoded&, std::string_view>;

  /// The type that P::encode declares, if it can be read off.
  template <class Q>
  static constexpr auto declaredEncode() {
    if constexpr (requires { &Q::encode; }) {
      using List = typename Workerman::detail::Parameters<decltype(&Q::encode)>::Type;
      return std::type_identity<typename FirstParameter<List>::Type>{};
    } else {
      return std::type_identity<void>{};
    }
  }
  using Encoded = typename decltype(declaredEncode<P>())::type;

  template <class Q>
  static constexpr DatagramCall datagramInput() {
    if constexpr (requires { &Q::input; }) {
      return DatagramCallOf<typename Workerman::detail::Parameters<decltype(&Q::input)>::Type>::value;
    } else {
      return requires(std::string_view buffer) {
        Q::input(buffer);
      }
      ? DatagramCall::Alone : DatagramCall::Refused;
    }
  }
  template <class Q>
  static constexpr DatagramCall datagramDecode() {
    if constexpr (requires { &Q::decode; }) {
      return DatagramCallOf<typename Workerman::detail::Parameters<decltype(&Q::decode)>::Type>::value;
    } else {
      return requires(std::string_view buffer) {
        Q::decode(buffer);
      }
      ? DatagramCall::Alone : DatagramCall::Refused;
    }
  }
  /// Of a generic or missing encode each value decides.
  template <class Q>
  static constexpr DatagramCall datagramEncode() {
    if constexpr (requires { &Q::encode; }) {
      return DatagramCallOf<typename Workerman::detail::Parameters<decltype(&Q::encode)>::Type>::value;
    } else {
      return DatagramCall::Alone;
    }
  }
  static constexpr bool kInDatagrams = datagramInput<P>() != DatagramCall::Refused &&
                                       datagramDecode<P>() != DatagramCall::Refused &&
                                       datagramEncode<P>() != DatagramCall::Refused;

 public:
  using Protocol::Protocol;

  const TypeTag* messageType() const noexcept override { return kGivesText ? textTag() : typeTag<Decoded>(); }

  void receive(Connection::Link& link, Connection::Input& input) const override {
    while (input.size() != 0 && link.mayReceive(input) && link.connection().protocol.get() == this) {
      std::intmax_t length = static_cast<std::intmax_t>(input.wanted());
      if (length == 0 && !measure(link, input, length)) return;
      if (static_cast<std::uintmax_t>(length) > input.size())
        return input.want(static_cast<std::size_t>(length));
      const std::string_view package(input.data(), static_cast<std::size_t>(length));
      input.consume(package.size());
      decodeAndDeliver(link, package);
    }
  }

  Connection::SendResult sendText(Connection::Link& link, std::string_view text) const override {
    if constexpr (encodes<std::string_view>) {
      return encodeAndSend(link, text);
    } else if constexpr (encodes<std::string>) {
      std::string copy(text);
      return encodeAndSend(link, copy);
    } else {
      throwNoEncoding(name(), *textTag());
    }
  }

  Connection::SendResult send(Connection::Link& link, Message message) const override {
    if constexpr (!std::is_void_v<Encoded>) {
      if (message.type == typeTag<Encoded>()) return encodeAs<Encoded>(link, message);
    }
    if (message.type == typeTag<Decoded>()) return encodeAs<Decoded>(link, message);
    throwNoEncoding(name(), *message.type);
  }

  /// Only where encode() does not see the connection, which it may answer each in its own way.
  std::unique_ptr<Connection::Broadcast> encodeForMany(std::string_view text) const override {
    if constexpr (
        requires { static_cast<std::string_view>(P::encode(text)); } &&
        !requires(Handle handle) { P::encode(text, handle); }) {
      decltype(auto) encoded = P::encode(text);
      if (const std::string_view bytes = encoded; !bytes.empty()) return std::make_unique<EncodedOnce>(bytes);
    }
    return nullptr;
  }

  void onConnect(Connection::Link& link) const override {
    if constexpr (requires(Handle handle) { P::onConnect(handle); }) {
      P::onConnect(link.connection().shared_from_this());
    } else if constexpr (requires { P::onConnect(); }) {
      P::onConnect();
    }
  }

  void onClose(Connection::Link& link) const override {
    if constexpr (requires(Handle handle) { P::onClose(handle); }) {
      if (const auto handle = link.connection().weak_from_this().lock()) P::onClose(handle);
    } else if constexpr (requires { P::onClose(); }) {
      P::onClose();
    }
  }

  const char* datagramRefusal() const noexcept override {
    return kInDatagrams ? nullptr
                        : "cannot be spoken in datagrams (udp): let its functions take the connection as "
                          "ConnectionPtr, or not at all";
  }

  void receiveDatagram(Connection::UdpConnection& connection, std::string_view datagram) const override {
    if constexpr (kInDatagrams) {
      const Connection::ConnectionPtr handle = connection.shared_from_this();
      while (!datagram.empty() && connection.mayReceive() && connection.protocol.get() == this) {
        try {
          const auto length = static_cast<std::intmax_t>(inputOfDatagram(datagram, handle));
          if (length < 0) return connection.refuse("package_length=" + std::to_string(length));
          const auto size = static_cast<std::uintmax_t>(length);
          if (size == 0 || size > datagram.size() || !connection.mayReceive()) return;
          const std::string_view package = datagram.substr(0, size);
          datagram.remove_prefix(size);
          deliverDatagram(connection, package, handle);
        } catch (...) {
          return connection.refuseForException();
        }
      }
    }
  }

  Connection::SendResult sendDatagramText(Connection::UdpConnection& connection,
                                          std::string_view text) const override {
    if constexpr (encodesDatagram<std::string_view>) {
      return encodeDatagram(connection, text);
    } else if constexpr (encodesDatagram<std::string>) {
      std::string copy(text);
      return encodeDatagram(connection, copy);
    } else {
      throwNoEncoding(name(), *textTag());
    }
  }

  Connection::SendResult sendDatagram(Connection::UdpConnection& connection, Message message) const override {
    if constexpr (!std::is_void_v<Encoded>) {
      if (message.type == typeTag<Encoded>()) return encodeDatagramAs<Encoded>(connection, message);
    }
    if (message.type == typeTag<Decoded>()) return encodeDatagramAs<Decoded>(connection, message);
    throwNoEncoding(name(), *message.type);
  }

 private:
  /// Asks for the length of the package at the front. False: not known yet, or
  /// the connection is gone because of what came.
  static bool measure(Connection::Link& link, Connection::Input& input, std::intmax_t& length) {
    try {
      length = static_cast<std::intmax_t>(callInput(input.view(), link.pinned()));
    } catch (...) {
      // The same bytes would be asked about again.
      if (link.refuseForException()) link.connection().destroy();
      return false;
    }
    if (!link.mayReceive(input)) return false;  // it closed or paused the connection itself
    const auto limit =
        static_cast<std::intmax_t>(std::min<std::size_t>(link.connection().maxPackageSize, INTMAX_MAX));
    if (length > 0 && length <= limit) return true;
    if (length == 0 && input.size() <= static_cast<std::size_t>(limit)) return false;
    link.refusePackage("package_length=" + std::to_string(length) +
                       (length < 0 ? "" : ", maxPackageSize=" + std::to_string(limit)));
    return false;
  }

  static void decodeAndDeliver(Connection::Link& link, std::string_view package) {
    const auto handle = link.pinned();
    try {
      decltype(auto) decoded = callDecode(package, handle);
      if (!link.isEstablished()) return;
      if constexpr (kGivesText) {
        link.deliverText(static_cast<std::string_view>(decoded));
      } else {
        link.deliver(Message::of(decoded));
      }
    } catch (...) {
      link.refuseForException();
    }
  }

  static auto inputOfDatagram(std::string_view buffer, const Connection::ConnectionPtr& handle) {
    if constexpr (datagramInput<P>() == DatagramCall::WithConnection) {
      return P::input(buffer, handle);
    } else {
      return P::input(buffer);
    }
  }

  static void deliverDatagram(Connection::UdpConnection& connection, std::string_view package,
                              const Connection::ConnectionPtr& handle) {
    const auto deliver = [&](auto&& decoded) {
      if (!connection.mayReceive()) return;
      if constexpr (kGivesText) {
        connection.deliverText(static_cast<std::string_view>(decoded));
      } else {
        connection.deliver(Message::of(decoded));
      }
    };
    if constexpr (datagramDecode<P>() == DatagramCall::WithConnection) {
      deliver(P::decode(package, handle));
    } else {
      deliver(P::decode(package));
    }
  }

  template <class V>
  static constexpr bool encodesDatagram = [] {
    if constexpr (datagramEncode<P>() == DatagramCall::WithConnection) {
      return requires(V value, const Connection::ConnectionPtr& handle) {
        P::encode(value, handle);
      };
    } else {
      return requires(V value) {
        P::encode(value);
      };
    }
  }();

  template <class V>
  Connection::SendResult encodeDatagramAs(Connection::UdpConnection& connection, Message message) const {
    if constexpr (encodesDatagram<const V&>) {
      return encodeDatagram(connection, message.template as<const V>());
    } else if constexpr (encodesDatagram<V&>) {
      return encodeDatagram(connection, message.template as<V>());
    } else {
      throwNoEncoding(name(), *message.type);
    }
  }

  template <class V>
  static Connection::SendResult encodeDatagram(Connection::UdpConnection& connection, V& value) {
    const Connection::ConnectionPtr pin = connection.weak_from_this().lock();
    const auto send = [&](const auto& encoded) {
      const std::string_view bytes = encoded;
      return bytes.empty() ? Connection::SendResult::buffered() : connection.transmit({}, bytes);
    };
    try {
      if constexpr (datagramEncode<P>() == DatagramCall::WithConnection) {
        return send(P::encode(value, pin));
      } else {
        return send(P::encode(value));
      }
    } catch (...) {
      connection.handleException();
      return Connection::SendResult::failed();
    }
  }

  template <class V>
  Connection::SendResult encodeAs(Connection::Link& link, Message message) const {
    if constexpr (encodes<const V&>) {
      return encodeAndSend(link, message.template as<const V>());
    } else if constexpr (encodes<V&>) {
      return encodeAndSend(link, message.template as<V>());
    } else {
      throwNoEncoding(name(), *message.type);
    }
  }

  template <class V>
  static Connection::SendResult encodeAndSend(Connection::Link& link, V& value) {
    const auto pin = link.connection().weak_from_this().lock();
    try {
      decltype(auto) encoded = callEncode(value, link);
      const std::string_view bytes = encoded;
      // As in PHP: an encode that gives nothing has kept the message for later.
      if (bytes.empty()) return Connection::SendResult::buffered();
      return link.transmit({}, bytes);
    } catch (...) {
      Workerman::detail::withCurrentException([&](const std::exception& e) { link.connection().error(e); });
      return Connection::SendResult::failed();
    }
  }
};

}  // namespace detail

}  // namespace Workerman::Protocols
