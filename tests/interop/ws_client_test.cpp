/// The ws:// client against WebSocket servers that we did not write: Python's
/// `websockets` and Node's `ws`. See servers/ws_server.py for their modes.

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::ChildProcess;
using testing::LoopFixture;
using Workerman::Protocols::Ws;

namespace {

const std::vector<std::string> kPeers{"python", "node"};

/// A running server.
class Peer {
 public:
  Peer(const std::string& kind, std::vector<std::string> options = {}) {
    const bool isPython = kind == "python";
    const std::string program = isPython ? PEER_PYTHON : PEER_NODE;
    const std::string package =
        isPython ? "python3-websockets" : "node-ws (or the npm module ws in build/node)";
    REQUIRE_MESSAGE((!program.empty() && ::access(program.c_str(), X_OK) == 0), kind,
                    " is not installed: the interop tests need ", package);
    options.insert(options.begin(),
                   {std::string("NODE_PATH=") + PEER_NODE_PATH, program,
                    std::string(PEER_SERVERS) + (isPython ? "/ws_server.py" : "/ws_server.js")});
    process_ = std::make_unique<ChildProcess>("/usr/bin/env", options);
    const bool isUp = process_->waitFor("port ") && process_->waitFor("\n");
    REQUIRE_MESSAGE(isUp, "the server did not start; does ", kind, " have ", package, "?");
    port_ = std::stoi(process_->text().substr(process_->text().find("port ") + 5));
  }

  /// One for all tests that need no options.
  static Peer& ofKind(const std::string& kind) {
    static std::map<std::string, Peer> running;
    return running.try_emplace(kind, kind).first->second;
  }

  int port() const { return port_; }
  std::string address(const std::string& path) const {
    return "ws://127.0.0.1:" + std::to_string(port_) + path;
  }
  bool says(const std::string& line) { return process_->waitFor(line); }

 private:
  std::unique_ptr<ChildProcess> process_;
  int port_ = 0;
};

/// What a client was told.
struct Told {
  std::vector<std::string> messages;
  std::vector<bool> isBinary;
  std::string error, closeReason;
  int opened = 0, closeCode = 0, closed = 0, pings = 0, pongs = 0;
};

AsyncTcpConnectionPtr clientOf(const std::string& address, Told& told) {
  auto client = std::make_shared<AsyncTcpConnection>(address);
  client->onWebSocketConnect = [&told](auto, const auto&) { ++told.opened; };
  client->onMessage = [&told](auto connection, std::string data) {
    told.messages.push_back(std::move(data));
    told.isBinary.push_back(connection->websocketMessageType == Ws::BINARY_TYPE_ARRAYBUFFER);
  };
  client->onWebSocketPong = [&told](auto, std::string_view) { ++told.pongs; };
  client->onError = [&told](auto, int, std::string message) { told.error = std::move(message); };
  client->onWebSocketClose = [&told](auto, int code, std::string reason) {
    told.closeCode = code;
    told.closeReason = std::move(reason);
  };
  client->onClose = [&told](auto) { ++told.closed; };
  return client;
}

std::string letters(std::size_t size) {
  std::string text(size, 'a');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

}  // namespace

TEST_CASE("interop: text and binary of every length come back as they were sent") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(Peer::ofKind(kind).address("/echo"), told);
    client->maxSendBufferSize = 64 << 20;
    std::vector<std::string> sent{"", "hello", "\xce\xba\xe2\x82\xac\xf0\x9f\x98\x80"};
    for (const std::size_t size : {125, 126, 65535, 65536, 1048576}) sent.push_back(letters(size));
    for (const auto& text : sent) CHECK(client->send(text) == nullptr);
    client->connect();
    fixture.runUntil([&] { return told.messages.size() == sent.size(); });
    CHECK(told.messages == sent);
    CHECK(told.isBinary == std::vector<bool>(sent.size(), false));

    told = Told{};
    client->websocketType = Ws::BINARY_TYPE_ARRAYBUFFER;
    sent[2] = std::string("\0\xff\x80", 3);
    for (const auto& bytes : sent) CHECK_FALSE(client->send(bytes) == false);
    fixture.runUntil([&] { return told.messages.size() == sent.size(); });
    CHECK(told.messages == sent);
    CHECK(told.isBinary == std::vector<bool>(sent.size(), true));
    client->close(3001, "echo is done");
    fixture.runUntil([&] { return told.closed == 1; });
    CHECK(told.closeCode == 3001);
    Peer::ofKind(kind).says("close 3001 echo is done");
  }
}

TEST_CASE("interop: the server sees the path, and the headers in the user's order") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(Peer::ofKind(kind).address("/headers"), told);
    client->headers = {{"Cookie", "PHPSID=82; token=2h"}, {"OtherKey", "values"}};
    client->websocketOrigin = "http://example.com";
    client->connect();
    fixture.runUntil([&] { return told.messages.size() == 1; });
    REQUIRE(told.messages.size() == 1);
    const auto seen = nlohmann::json::parse(told.messages[0]);
    CHECK(seen["path"] == "/headers");
    std::vector<nlohmann::json> ours;
    for (const auto& header : seen["headers"]) {
      if (header[0] == "Cookie" || header[0] == "OtherKey" || header[0] == "Origin") ours.push_back(header);
    }
    CHECK(ours == std::vector<nlohmann::json>{{"Origin", "http://example.com"},
                                              {"Cookie", "PHPSID=82; token=2h"},
                                              {"OtherKey", "values"}});
    client->destroy();
  }
}

TEST_CASE("interop: fragments, and pings between them") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const std::string text = letters(20000) + "\xe2\x82\xac end";
    const auto whole = clientOf(Peer::ofKind(kind).address("/fragment?size=1000"), told);
    whole->send(text);
    whole->connect();
    fixture.runUntil([&] { return told.messages.size() == 1; });
    const auto mixed = clientOf(Peer::ofKind(kind).address("/interleave?size=100"), told);
    mixed->onWebSocketPing = [&](auto, std::string_view) { ++told.pings; };
    mixed->websocketType = Ws::BINARY_TYPE_ARRAYBUFFER;
    mixed->send(letters(5000));
    mixed->connect();
    fixture.runUntil([&] { return told.messages.size() == 2; });
    CHECK(told.messages == std::vector<std::string>{text, letters(5000)});
    CHECK(told.isBinary == std::vector<bool>{false, true});
    CHECK(told.pings == 49);
    whole->destroy();
    mixed->destroy();
  }
}

TEST_CASE("interop: pings, both ways") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(Peer::ofKind(kind).address("/ping?data=quick"), told);
    client->websocketPingInterval = 0.02f;
    client->connect();
    fixture.runUntil([&] { return told.messages.size() == 1 && told.pongs >= 3; });
    CHECK(told.messages == std::vector<std::string>{"ponged"});
    Peer::ofKind(kind).says("pong quick");
    CHECK(told.closed == 0);
    client->destroy();
  }
}

TEST_CASE("interop: the server's close code and reason arrive, and get their answer") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    auto client = clientOf(Peer::ofKind(kind).address("/bye?code=1001&reason=going"), told);
    client->connect();
    fixture.runUntil([&] { return told.closed == 1; });
    CHECK(told.closeCode == 1001);
    CHECK(told.closeReason == "going");
    client = clientOf(Peer::ofKind(kind).address("/close?code=4002&reason=done"), told);
    client->send("now");
    client->connect();
    fixture.runUntil([&] { return told.closed == 2; });
    CHECK(told.closeCode == 4002);
    CHECK(told.closeReason == "done");
    Peer::ofKind(kind).says("open /close?code=4002&reason=done");
    Peer::ofKind(kind).says("close 4002");
    CHECK(told.error.empty());
  }
}

TEST_CASE("interop: our close without a code is 1000, and clean on their side") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(Peer::ofKind(kind).address("/echo"), told);
    client->onMessage = [](auto connection, auto) { connection->close("last"); };
    client->send("x");
    client->connect();
    fixture.runUntil([&] { return told.closed == 1; });
    CHECK(told.closeCode == 1000);
    Peer::ofKind(kind).says("text 4\nclose 1000 ");
  }
}

TEST_CASE("interop: a connection cut by the server is 1006") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(Peer::ofKind(kind).address("/drop"), told);
    client->send("x");
    client->connect();
    fixture.runUntil([&] { return told.closed == 1; });
    CHECK(told.closeCode == 1006);
    CHECK(told.error.empty());
  }
}

TEST_CASE("interop: large messages, and many at once, in order") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    auto client = clientOf(Peer::ofKind(kind).address("/big?size=5000000"), told);
    client->connect();
    fixture.runUntil([&] { return told.messages.size() == 1; });
    REQUIRE(told.messages.size() == 1);
    std::size_t wrong = told.messages[0].size() != 5000000;
    for (std::size_t i = 0; i < told.messages[0].size(); ++i) {
      wrong += static_cast<unsigned char>(told.messages[0][i]) != i % 251;
    }
    CHECK(wrong == 0);
    client->destroy();

    told = Told{};
    client = clientOf(Peer::ofKind(kind).address("/burst?count=2000"), told);
    client->connect();
    fixture.runUntil([&] { return told.messages.size() == 2000; });
    for (std::size_t i = 0; i < told.messages.size(); ++i) wrong += told.messages[i] != std::to_string(i);
    CHECK(wrong == 0);
    client->destroy();
  }
}

TEST_CASE("interop: a message over maxPackageSize is closed with 1009, which the server understands") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(Peer::ofKind(kind).address("/bigtext?size=100001"), told);
    client->maxPackageSize = 100000;
    client->connect();
    fixture.runUntil([&] { return told.closed == 1; });
    CHECK(told.closeCode == 1009);
    CHECK(told.messages.empty());
    Peer::ofKind(kind).says("close 1009");
  }
}

TEST_CASE("interop: sub-protocols, and the server's own limit") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    Peer peer(kind, {"--subprotocols", "superchat,chat", "--max-size", "1000"});
    Told told;
    LoopFixture fixture;
    const auto client = clientOf(peer.address("/echo"), told);
    client->websocketClientProtocol = "other, chat";
    client->send(letters(1000));
    client->connect();
    fixture.runUntil([&] { return told.messages.size() == 1; });
    CHECK(client->websocketServerProtocol == "chat");
    client->send(letters(1001));
    fixture.runUntil([&] { return told.closed == 1; });
    CHECK(told.closeCode == 1009);
  }
}

TEST_CASE("interop: the client outlives its server and comes back by itself") {
  for (const auto& kind : kPeers) {
    CAPTURE(kind);
    auto peer = std::make_unique<Peer>(kind);
    const std::string port = std::to_string(peer->port());
    Told told;
    int refused = 0;
    LoopFixture fixture;
    const auto client = clientOf(peer->address("/echo"), told);
    client->onError = [&](auto, int code, std::string_view) {
      refused += code == TcpConnection::CONNECT_FAIL;
    };
    client->onClose = [](auto connection) { connection->reConnect(0.05); };
    client->connect();
    fixture.runUntil([&] { return told.opened == 1; });
    peer.reset();
    fixture.runUntil([&] { return refused >= 2; });
    CHECK(told.closeCode == 1006);
    peer = std::make_unique<Peer>(kind, std::vector<std::string>{"--port", port});
    fixture.runUntil([&] { return told.opened == 2; });
    client->send("back again");
    fixture.runUntil([&] { return told.messages.size() == 1; });
    CHECK(told.messages == std::vector<std::string>{"back again"});
    client->onClose = nullptr;
    client->destroy();
  }
}
