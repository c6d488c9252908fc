// Protocols on datagrams: text, frame and one's own, what is incomplete or bad, and what cannot be spoken so.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"
#include "support/raw_datagrams.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using nlohmann::json;
using testing::CapturedStderr;
using testing::LoopFixture;
using testing::RawDatagrams;
using testing::Ticker;

namespace {

/// A worker that speaks `scheme` in datagrams, on a free port.
std::shared_ptr<Worker> listenInDatagrams(const std::string& scheme) {
  auto worker = std::make_shared<Worker>(scheme + "://127.0.0.1:0");
  worker->transport = "udp";
  worker->listen();
  return worker;
}

struct JsonLine {
  static std::size_t input(std::string_view buffer) { return buffer.find('\n') + 1; }
  static json decode(std::string_view package) { return json::parse(package); }
  static std::string encode(const json& data) { return data.dump() + "\n"; }
};

struct Point {
  int x = 0, y = 0;
};

/// "x,y;" with a type of its own; every function takes the connection.
struct UdpPoints {
  static std::int64_t input(std::string_view buffer, const ConnectionPtr& connection) {
    REQUIRE(connection->getRemotePort() > 0);
    if (buffer.starts_with("bad")) return -5;
    if (buffer.starts_with("throw")) throw std::runtime_error("input threw");
    return static_cast<std::int64_t>(buffer.find(';') + 1);
  }
  static Point decode(std::string_view package, ConnectionPtr) {
    if (package.size() != 4) throw std::runtime_error("decode threw");
    return {package[0] - '0', package[2] - '0'};
  }
  static std::string encode(const Point& point, ConnectionPtr connection) {
    REQUIRE(connection != nullptr);
    if (point.x == 9) throw std::runtime_error("encode threw");
    return point.x == 8 ? "" : std::to_string(point.x) + "," + std::to_string(point.y) + ";";
  }
};

/// Written for streams: its body compiles for a TcpConnectionPtr only.
struct StreamsOnly {
  static auto input(std::string_view buffer, auto connection) {
    return connection->getStatus() == TcpConnection::STATUS_ESTABLISHED ? buffer.size() : std::size_t{0};
  }
  static std::string_view decode(std::string_view package, const TcpConnectionPtr&) { return package; }
};

/// Everything generic, and overloads without a connection.
struct Whole {
  static std::size_t input(std::string_view buffer) { return buffer.size(); }
  static std::size_t input(std::string_view buffer, const TcpConnectionPtr&) { return buffer.size(); }
  static std::string decode(std::string_view package) { return "<" + std::string(package) + ">"; }
  static std::string encode(const auto& text) { return "[" + std::string(text) + "]"; }
};

const bool isRegistered = [] {
  Protocols::add<JsonLine>("UdpJsonLine");
  Protocols::add<UdpPoints>("UdpPoints");
  Protocols::add<StreamsOnly>("UdpStreamsOnly");
  Protocols::add<Whole>("UdpWhole");
  return true;
}();

std::string frame(std::string_view data) {
  std::string bytes(4, '\0');
  bytes[3] = static_cast<char>(data.size() + 4);
  return bytes.append(data);
}

}  // namespace

TEST_CASE("udp protocol: each package of a datagram is a message, what is incomplete is dropped, not kept") {
  REQUIRE(isRegistered);
  struct Case {
    std::string scheme;
    std::vector<std::string> datagrams;
    std::vector<std::string> messages;
  };
  const std::string two = frame("one") + frame("two");
  const Case cases[] = {
      {"text", {"a\nb\r\n\nc", "d\n"}, {"a", "b", "", "d"}},
      {"text", {"", "no newline", "\n"}, {""}},
      {"frame", {two, two.substr(0, 11), two.substr(11), frame("")}, {"one", "two", "one", ""}},
      {"frame", {std::string("\0\0\0", 3), frame("x")}, {"x"}},
      {"UdpWhole", {"as it is", "x\ny"}, {"<as it is>", "<x\ny>"}},
  };
  for (const Case& each : cases) {
    CAPTURE(each.scheme);
    LoopFixture fixture;
    Ticker ticker;
    std::vector<std::string> got;
    const auto worker = listenInDatagrams(each.scheme);
    CHECK(worker->protocol == each.scheme);
    worker->onMessage = [&](UdpConnectionPtr connection, std::string data) {
      CHECK(connection->protocol == each.scheme);
      got.push_back(data);
    };
    RawDatagrams peer;
    for (const auto& datagram : each.datagrams) peer.send(worker->getListenPort(), datagram);
    fixture.runUntil([&] { return got.size() == each.messages.size(); });
    fixture.turn(2);
    CHECK(got == each.messages);
  }
}

TEST_CASE("udp protocol: answers are encoded, raw ones are not; both ends talk") {
  for (const std::string scheme : {"text", "frame", "UdpWhole"}) {
    CAPTURE(scheme);
    LoopFixture fixture;
    Ticker ticker;
    const auto worker = listenInDatagrams(scheme);
    worker->onMessage = [](UdpConnectionPtr connection, auto data) {
      connection->send(data);
      connection->send("raw\n", true);
    };
    RawDatagrams peer;
    peer.send(worker->getListenPort(), scheme == "frame" ? frame("hi") : "hi\n");
    fixture.runUntil([&] { return peer.collect(2); });
    CHECK(peer.received[0] == (scheme == "text" ? "hi\n" : scheme == "frame" ? frame("hi") : "[<hi\n>]"));
    CHECK(peer.received[1] == "raw\n");

    auto client = std::make_shared<AsyncUdpConnection>(testing::addressOf(*worker, scheme));
    std::string got;
    client->onMessage = [&](auto, std::string_view data) { got += data; };
    CHECK(client->send("hello") == true);
    fixture.runUntil([&] { return !got.empty(); });
    CHECK(got.starts_with(scheme == "UdpWhole" ? "<[<[hello]>]>" : "hello"));
    CHECK_THROWS_AS(client->send(json{1}), std::invalid_argument);
  }
}

TEST_CASE("udp protocol: values of a protocol of one's own, both ways") {
  LoopFixture fixture;
  const auto worker = listenInDatagrams("UdpJsonLine");
  worker->onMessage = [](UdpConnectionPtr connection, const json& data) {
    connection->send(json{{"answer", data["ask"]}});
  };
  auto client = std::make_shared<AsyncUdpConnection>(testing::addressOf(*worker, "UdpJsonLine"));
  json got;
  client->onConnect = [](auto connection) { connection->send(json{{"ask", 42}}); };
  client->onMessage = [&](auto, json& data) { got = data; };
  client->connect();
  fixture.runUntil([&] { return !got.is_null(); });
  CHECK(got == json{{"answer", 42}});

  const auto points = listenInDatagrams("UdpPoints");
  int sum = 0;
  points->onMessage = [&](UdpConnectionPtr connection, Point& point) {
    sum += point.x * point.y;
    CHECK(connection->send(point) == true);
    CHECK(connection->send(Point{8, 0}) == nullptr);
    CHECK_THROWS_AS(connection->send("text"), std::invalid_argument);
    std::string caught;
    connection->errorHandler = [&](const std::exception& e) { caught = e.what(); };
    CHECK(connection->send(Point{9, 0}) == false);
    CHECK(caught == "encode threw");
    connection->errorHandler = nullptr;
  };
  RawDatagrams peer;
  peer.send(points->getListenPort(), "2,3;4,5;6,");
  Ticker ticker;
  fixture.runUntil([&] { return peer.collect(2); });
  CHECK(sum == 26);
  CHECK(peer.received == std::vector<std::string>{"2,3;", "4,5;"});
}

TEST_CASE("udp protocol: a bad datagram is dropped with a line, one a second, and ends nothing") {
  LoopFixture fixture;
  CapturedStderr output;
  RawDatagrams peer;
  const auto worker = listenInDatagrams("UdpPoints");
  int got = 0;
  worker->onMessage = [&](UdpConnectionPtr, const Point&) { ++got; };
  for (const std::string bad : {"1,2;bad", "bad", "throw", "1,2,3;", "bad"})
    peer.send(worker->getListenPort(), bad);
  peer.send(worker->getListenPort(), "3,4;");
  fixture.runUntil([&] { return got == 2; });
  const std::string line = "Protocol UdpPoints Error package. package_length=-5; the datagram of 127.0.0.1:" +
                           std::to_string(peer.port()) + " is dropped";
  CHECK_MESSAGE(output.text().find(line) != std::string::npos, output.text());
  CHECK(output.text().find("Error package") == output.text().rfind("Error package"));
  CHECK(Worker::getStatus() == Worker::STATUS_RUNNING);

  const auto frames = listenInDatagrams("frame");
  frames->onMessage = [&](UdpConnectionPtr, auto) { ++got; };
  peer.send(frames->getListenPort(), std::string(4, '\0') + "rest");
  peer.send(frames->getListenPort(), frame("good"));
  fixture.runUntil([&] { return got == 3; });
  CHECK(output.text().find("Protocol frame Error package. package_length=-1") != std::string::npos);
}

TEST_CASE("udp protocol: an errorHandler gets what decode throws") {
  LoopFixture fixture;
  RawDatagrams peer;
  auto client = std::make_shared<AsyncUdpConnection>("UdpPoints://127.0.0.1:" + std::to_string(peer.port()));
  std::string caught;
  int got = 0;
  client->errorHandler = [&](const std::exception& e) { caught = e.what(); };
  client->onMessage = [&](auto, const Point&) { ++got; };
  client->connect();
  peer.send(client->getLocalPort(), "1,2,3;4,5;");
  peer.send(client->getLocalPort(), "4,5;");
  fixture.runUntil([&] { return got == 1; });
  CHECK(caught == "decode threw");
}

TEST_CASE("udp protocol: a client's last line may end with the datagram, as in PHP") {
  LoopFixture fixture;
  RawDatagrams peer;
  std::vector<std::string> got;
  auto client = std::make_shared<AsyncUdpConnection>("text://127.0.0.1:" + std::to_string(peer.port()));
  client->onMessage = [&](auto, std::string data) { got.push_back(data); };
  client->connect();
  peer.send(client->getLocalPort(), "whole\nunfinished");
  fixture.runUntil([&] { return got.size() == 2; });
  CHECK(got == std::vector<std::string>{"whole", "unfinished"});
}

TEST_CASE("udp protocol: closing, or changing the protocol, in the middle of a datagram drops its rest") {
  LoopFixture fixture;
  const auto worker = listenInDatagrams("text");
  std::string got;
  worker->onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
    got += data;
    if (data == "close") connection->close();
    if (data == "change") connection->protocol = nullptr;
  };
  RawDatagrams peer;
  peer.send(worker->getListenPort(), "close\nlost\n");
  peer.send(worker->getListenPort(), "change\nlost\n");
  peer.send(worker->getListenPort(), "end\n");
  fixture.runUntil([&] { return got == "closechangeend"; });
}

TEST_CASE("udp protocol: one that is written for streams is refused when listening and connecting") {
  LoopFixture fixture;
  const auto worker = std::make_shared<Worker>("UdpStreamsOnly://127.0.0.1:0");
  worker->transport = "udp";
  CHECK_THROWS_WITH_AS(
      worker->listen(),
      doctest::Contains("UdpStreamsOnly:// cannot be spoken in datagrams (udp): let its functions take "
                        "the connection as ConnectionPtr, or not at all"),
      std::runtime_error);
  auto client = std::make_shared<AsyncUdpConnection>("UdpStreamsOnly://127.0.0.1:1");
  CHECK_THROWS_WITH_AS(client->connect(), doctest::Contains("cannot be spoken in datagrams"),
                       std::runtime_error);
  worker->transport = "tcp";
  worker->listen();
  CHECK(worker->getListenPort() > 0);
}

TEST_CASE("udp protocol: a udp:// worker takes the protocol that it is given by name") {
  LoopFixture fixture;
  Ticker ticker;
  const auto worker = std::make_shared<Worker>("udp://127.0.0.1:0");
  worker->protocol = "text";
  worker->listen();
  worker->onMessage = [](UdpConnectionPtr connection, auto data) { connection->send(data); };
  RawDatagrams peer;
  peer.send(worker->getListenPort(), "a\n");
  fixture.runUntil([&] { return peer.collect(1); });
  CHECK(peer.received[0] == "a\n");
}
