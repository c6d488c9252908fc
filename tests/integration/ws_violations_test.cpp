#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::closing;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;

namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text.push_back(static_cast<char>(value));
  return text;
}

struct Violation {
  std::string what;
  std::string sent;
  int code;
  std::string cause;
};

const std::vector<Violation>& violations() {
  static const std::vector<Violation> all{
      {"masked", bytes({0x81, 0x81, 1, 2, 3, 4, 'a'}), 1002, "mask"},
      {"RSV1", bytes({0xC1, 1, 'a'}), 1002, "RSV"},
      {"RSV2", bytes({0xA1, 1, 'a'}), 1002, "RSV"},
      {"RSV3 on a ping", bytes({0x99, 0}), 1002, "RSV"},
      {"opcode 3", bytes({0x83, 1, 'a'}), 1002, "opcode"},
      {"opcode 7", bytes({0x87, 0}), 1002, "opcode"},
      {"opcode 11", bytes({0x8B, 0}), 1002, "opcode"},
      {"opcode 15", bytes({0x8F, 0}), 1002, "opcode"},
      {"a fragmented ping", bytes({0x09, 0}), 1002, "fragment"},
      {"a fragmented close", bytes({0x08, 0}), 1002, "fragment"},
      {"a long ping", bytes({0x89, 126, 0, 126}), 1002, "125"},
      {"a continuation of nothing", frame(Opcode::Continuation, "a"), 1002, "continu"},
      {"text inside a message", frame(Opcode::Text, "a", false) + frame(Opcode::Text, "b"), 1002,
       "fragmented"},
      {"a length with its top bit set", bytes({0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1}), 1002, "length"},
      {"2^63 - 1 bytes", bytes({0x82, 127, 0x7F, 255, 255, 255, 255, 255, 255, 255}), 1009, ""},
      {"16 bits for 125", bytes({0x82, 126, 0, 125}), 1002, "short"},
      {"64 bits for 65535", bytes({0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255}), 1002, "short"},
      {"bad UTF-8", frame(Opcode::Text, "a\xff"), 1007, "UTF-8"},
      {"half a character", frame(Opcode::Text, "a\xe2\x82"), 1007, "UTF-8"},
      {"a surrogate", frame(Opcode::Text, "\xed\xa0\x80"), 1007, "UTF-8"},
      {"bad UTF-8 in the first fragment", frame(Opcode::Text, "\xc0", false), 1007, "UTF-8"},
      {"bad UTF-8 over two fragments",
       frame(Opcode::Text, "\xe2", false) + frame(Opcode::Continuation, "a", false), 1007, "UTF-8"},
      {"the first bad byte of a long frame",
       frame(Opcode::Text, std::string(5000, 'a')).substr(0, 100) + "\xff", 1007, "UTF-8"},
      {"a close frame of one byte", frame(Opcode::Close, "a"), 1002, "close"},
      {"close code 0", frame(Opcode::Close, closing(0)), 1002, "code"},
      {"close code 999", frame(Opcode::Close, closing(999)), 1002, "code"},
      {"close code 1004", frame(Opcode::Close, closing(1004)), 1002, "code"},
      {"close code 1005", frame(Opcode::Close, closing(1005)), 1002, "code"},
      {"close code 1006", frame(Opcode::Close, closing(1006)), 1002, "code"},
      {"close code 1015", frame(Opcode::Close, closing(1015)), 1002, "code"},
      {"close code 2999", frame(Opcode::Close, closing(2999)), 1002, "code"},
      {"close code 5000", frame(Opcode::Close, closing(5000)), 1002, "code"},
      {"a close reason of bad UTF-8", frame(Opcode::Close, closing(1000, "\xff")), 1007, "UTF-8"},
  };
  return all;
}

/// The close frame on the wire, onWebSocketClose once, onClose, no onError, nothing else.
void checkFailed(Scene& scene, const Violation& violation, Lines before) {
  scene.until("close");
  scene.fixture.turn(3);
  CHECK(scene.server.closeCode() == violation.code);
  CHECK(scene.server.sent(Opcode::Close).size() == 1);
  REQUIRE(scene.events.size() == before.size() + 2);
  const std::string told = scene.events[before.size()];
  CHECK(told.starts_with("wsclose " + std::to_string(violation.code) + " "));
  CHECK(told.size() > std::string("wsclose 1002 ").size());
  CHECK_MESSAGE(told.find(violation.cause) != std::string::npos, told);
  before.push_back(told);
  before.push_back("close");
  CHECK(scene.events == before);
}

}  // namespace

TEST_CASE(
    "ws frames: each violation is a close frame, onWebSocketClose(code, cause), onClose and no onError") {
  for (const auto& violation : violations()) {
    CAPTURE(violation.what);
    Scene scene;
    const auto client = scene.opened();
    scene.server.write(violation.sent);
    checkFailed(scene, violation, {});
  }
}

TEST_CASE("ws frames: a violation that comes byte by byte is found as well") {
  for (const auto& violation : violations()) {
    CAPTURE(violation.what);
    Scene scene;
    const auto client = scene.opened();
    scene.feed(client, violation.sent, 1);
    checkFailed(scene, violation, {});
  }
}

TEST_CASE(
    "ws frames: an illegal frame does not swallow the answer to the legal one before it in the same read") {
  for (const auto& violation : violations()) {
    CAPTURE(violation.what);
    Scene scene;
    const auto client = scene.opened();
    client->onMessage = [&](auto connection, auto data) {
      scene.events.push_back("message " + std::string(data));
      connection->send("answer");
    };
    scene.server.write(frame(Opcode::Text, "legal") + frame(Opcode::Ping, "p") + violation.sent +
                       frame(Opcode::Text, "too late"));
    // What it swallows makes the partial frame among the violations whole.
    checkFailed(scene, violation, {"message legal"});
    CHECK(scene.server.sent(Opcode::Text) == Lines{"answer"});
    CHECK(scene.server.sent(Opcode::Pong) == Lines{"p"});
  }
}

TEST_CASE(
    "ws frames: a violation in the same read as the 101 comes after onWebSocketConnect, and is no onError") {
  Scene scene;
  scene.server.behindAnswer = bytes({0x83, 0});
  scene.client()->connect();
  checkFailed(scene, {"", "", 1002, "opcode"}, {"connect", "open"});
}

TEST_CASE("ws frames: an unterminated head or a huge length costs no memory before its bytes come") {
  Scene scene;
  const auto client = scene.opened();
  client->maxPackageSize = std::size_t{1} << 40;
  scene.server.write(bytes({0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0}) + std::string(100, 'a'));
  scene.fixture.turn(5);
  CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  CHECK(client->getRecvBufferQueueSize() <= 200);
  client->destroy();
  CHECK(scene.find("wsclose") == "wsclose 1006 ");
}

TEST_CASE("ws frames: reConnect() after a violation starts with a clean parser and a fresh handshake") {
  Scene scene;
  const auto client = scene.client();
  client->onClose = [&](auto connection) {
    scene.events.push_back("close");
    connection->reConnect();
  };
  client->connect();
  scene.until("open");
  scene.server.write(frame(Opcode::Text, "half", false) + bytes({0x83, 0}));
  scene.until("open", 2);
  scene.server.sendText("clean");
  scene.until("message");
  CHECK(scene.events.back() == "message clean");
  CHECK(scene.count("error") == 0);
}
