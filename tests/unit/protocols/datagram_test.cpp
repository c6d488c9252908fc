// Protocols on datagrams, without a socket: what is taken out of one, and what one holds.

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <workerman/workerman.h>
#include "connection/datagram/datagram.h"

using namespace Workerman;
using namespace Workerman::Connection;

namespace {

/// Writes down what is delivered and sent.
class FakeUdp final : public UdpConnection {
 public:
  explicit FakeUdp(std::string_view scheme, bool isClient = false) : isClient_(isClient) {
    protocol = scheme;
  }

  int getSocket() const noexcept override { return -1; }
  bool mayReceive() const noexcept override { return messages.size() < closesAfter; }
  bool takesUnfinished() const noexcept override { return isClient_; }
  void deliver(const Message& message) noexcept override {
    messages.emplace_back(message.as<const std::string_view>());
  }
  SendResult transmit(std::string_view head, std::string_view body, std::string_view tail) override {
    sent.push_back(std::string(head).append(body).append(tail));
    return SendResult::sent();
  }

  /// Parses a copy of its own, so that a read outside is seen.
  void feed(std::string_view datagram) {
    const std::unique_ptr<char[]> copy(new char[datagram.size()]);
    datagram.copy(copy.get(), datagram.size());
    receive({copy.get(), datagram.size()});
  }

  std::vector<std::string> messages;
  std::vector<std::string> sent;
  std::size_t closesAfter = 1000;

 private:
  Connection::detail::SocketAddress remoteEnd() const override { return {}; }
  Connection::detail::RefusedDatagrams& refused() noexcept override { return refused_; }
  void closeAfterSending() override { closesAfter = 0; }

  bool isClient_;
  Connection::detail::RefusedDatagrams refused_;
};

using Texts = std::vector<std::string>;

/// What a datagram gives.
Texts messagesOf(std::string_view scheme, std::string_view datagram, bool isClient = false) {
  const auto connection = std::make_shared<FakeUdp>(scheme, isClient);
  connection->feed(datagram);
  return connection->messages;
}

/// One byte of length, then the payload.
struct Short {
  static int input(std::string_view buffer) { return buffer[0] == 0 ? -1 : 1 + buffer[0]; }
  static std::string_view decode(std::string_view package) { return package.substr(1); }
  static std::string encode(std::string_view text) { return char(text.size()) + std::string(text); }
};

const bool isRegistered = [] {
  Protocols::add<Short>("DatagramShort");
  return true;
}();

}  // namespace

TEST_CASE("datagram: whole packages come out wherever it is cut; the rest goes") {
  REQUIRE(isRegistered);
  struct Row {
    std::string scheme;
    std::string datagram;
    std::vector<std::size_t> ends;
  };
  const Row rows[] = {
      {"text", "one\ntwo\nx\n", {4, 8, 10}},
      {"frame", std::string("\0\0\0\7one\0\0\0\4\0\0\0\5x", 16), {7, 11, 16}},
      {"DatagramShort", "\3one\3two\1x", {4, 8, 10}},
  };
  for (const Row& row : rows) {
    for (std::size_t cut = 0; cut <= row.datagram.size(); ++cut) {
      CAPTURE(row.scheme);
      CAPTURE(cut);
      std::size_t wanted = 0;
      while (wanted < row.ends.size() && row.ends[wanted] <= cut) ++wanted;
      CHECK(messagesOf(row.scheme, row.datagram.substr(0, cut)).size() == wanted);
    }
  }
}

TEST_CASE("datagram: a text client takes the datagram's end for its last line's") {
  CHECK(messagesOf("text", "a\nb") == Texts{"a"});
  CHECK(messagesOf("text", "a\nb", true) == Texts{"a", "b"});
  CHECK(messagesOf("text", "a\nb\n", true) == Texts{"a", "b"});
  CHECK(messagesOf("text", "", true).empty());
  CHECK(messagesOf("frame", std::string("\0\0\0\7on", 6), true).empty());
}

TEST_CASE("datagram: nothing is delivered once the connection is closed") {
  for (const std::string scheme : {"text", "DatagramShort"}) {
    const auto connection = std::make_shared<FakeUdp>(scheme);
    connection->closesAfter = 2;
    connection->feed(scheme == "text" ? "a\nb\nc\n" : "\1a\1b\1c");
    CHECK(connection->messages == Texts{"a", "b"});
  }
}

TEST_CASE("datagram: a message leaves encoded, as one datagram, unless it is raw") {
  const struct {
    std::string scheme, wire;
  } rows[] = {
      {"text", "hi\n"}, {"frame", std::string("\0\0\0\6hi", 6)}, {"DatagramShort", "\2hi"}, {"", "hi"}};
  for (const auto& row : rows) {
    CAPTURE(row.scheme);
    const auto connection = std::make_shared<FakeUdp>(row.scheme);
    CHECK(connection->send("hi") == true);
    CHECK(connection->send("hi", true) == true);
    CHECK(connection->sent == Texts{row.wire, "hi"});
    CHECK_THROWS_AS(connection->send(nlohmann::json{1}), std::invalid_argument);
    CHECK_THROWS_AS(connection->close(1000), std::logic_error);
  }
}

TEST_CASE("datagram: a protocol for streams sends nothing and takes nothing") {
  for (const std::string scheme : {"ws", "websocket"}) {
    const auto connection = std::make_shared<FakeUdp>(scheme);
    CHECK(connection->protocol.get()->datagramRefusal() != nullptr);
    connection->feed("GET / HTTP/1.1\r\n\r\n");
    CHECK(connection->messages.empty());
    CHECK_THROWS_WITH_AS(connection->send("hi"), doctest::Contains("not in datagrams"),
                         std::invalid_argument);
    CHECK_THROWS_AS(connection->send(nlohmann::json{1}), std::invalid_argument);
    CHECK(connection->send("raw", true) == true);
  }
}
