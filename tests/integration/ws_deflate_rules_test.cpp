/// permessage-deflate against peers that the test plays itself: what is negotiated, what goes over the wire,
/// and what becomes of messages that break the rules.

#include <memory>
#include <string>
#include <vector>

#include "support/deflate.h"
#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using namespace std::string_literals;
using Protocols::Websocket;
using Protocols::Ws;
using testing::DeflateOptionsGuard;
using testing::LoopFixture;
using testing::noisy;
using testing::Opcode;
using testing::packed;
using testing::RawWebsocket;
using testing::Scene;
using testing::ScriptedServer;
using testing::wordy;

namespace {

const std::string kOffer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

std::string extensionsOf(const std::string& head) {
  const std::string name = "\r\nSec-WebSocket-Extensions: ";
  const std::size_t at = head.find(name);
  if (at == std::string::npos) return "(none)";
  return head.substr(at + name.size(), head.find("\r\n", at + 2) - at - name.size());
}

/// A server that wants compression and collects.
struct Server {
  std::vector<std::string> got;
  int closeCode = 0;
  TcpConnectionPtr peer;
  LoopFixture fixture;
  std::shared_ptr<Worker> worker = testing::listenOn("websocket");

  Server() {
    worker->onWebSocketConnect = [this](auto connection, auto&) {
      connection->websocketType = Websocket::BINARY_TYPE_BLOB_DEFLATE;
      connection->maxPackageSize = 100000;
      peer = connection;
    };
    worker->onMessage = [this](auto, std::string data) { got.push_back(std::move(data)); };
    worker->onWebSocketClose = [this](auto, int code) { closeCode = code; };
    worker->onClose = [this] { peer = nullptr; };
  }
  /// Waits until `client` is told a code, or got `count` messages.
  void until(const RawWebsocket& client, std::size_t count) {
    fixture.runUntil([&] { return client.closeCode != 0 || got.size() >= count; });
  }
  void open(const RawWebsocket& client) {
    fixture.runUntil([&] { return !client.answer.empty(); });
  }
};

}  // namespace

TEST_CASE("ws deflate rules: what our server answers to an offer") {
  struct Case {
    const char* offer;
    bool isWanted;
    const char* answer;
  };
  const Case cases[] = {
      {"", true, "(none)"},
      {"Sec-WebSocket-Extensions: permessage-deflate\r\n", false, "(none)"},
      {"Sec-WebSocket-Extensions: permessage-deflate\r\n", true,
       "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
      {"Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Extensions: permessage-deflate; "
       "server_max_window_bits=9\r\n",
       true,
       "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
       "server_max_window_bits=9"},
      {"Sec-WebSocket-Extensions: permessage-deflate; unknown\r\n", true, "(none)"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.offer);
    Server server;
    if (!one.isWanted) server.worker->onWebSocketConnect = nullptr;
    RawWebsocket client(*server.worker, one.offer);
    server.open(client);
    CHECK(client.answer.starts_with("HTTP/1.1 101 "));
    CHECK(extensionsOf(client.answer) == one.answer);
    client.connection->destroy();
    server.fixture.runUntil([&] { return server.worker->connections.empty(); });
  }
}

TEST_CASE("ws deflate rules: an offer that is malformed is a 400, wanted or not (RFC 6455 section 4.2.1)") {
  Server server;
  RawWebsocket client(*server.worker,
                      "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\r\n");
  server.fixture.runUntil([&] { return client.isClosed; });
  CHECK(client.answer.starts_with("HTTP/1.1 400 "));
}

TEST_CASE("ws deflate rules: the type decides for each message, and short ones stay as they are") {
  Server server;
  RawWebsocket client(*server.worker, kOffer);
  server.open(client);
  struct Case {
    WebsocketType type;
    std::string payload;
    bool isCompressed;
  };
  const std::size_t least = Websocket::deflate.threshold;
  const Case cases[] = {
      {Websocket::BINARY_TYPE_BLOB_DEFLATE, std::string(least, 'a'), true},
      {Websocket::BINARY_TYPE_BLOB_DEFLATE, std::string(least - 1, 'a'), false},
      {Websocket::BINARY_TYPE_BLOB_DEFLATE, "", false},
      {Websocket::BINARY_TYPE_BLOB, std::string(5000, 'a'), false},
      {Websocket::BINARY_TYPE_ARRAYBUFFER_DEFLATE, std::string(70000, 'b'), true},
      {Websocket::BINARY_TYPE_ARRAYBUFFER, std::string(70000, 'b'), false},
      {Websocket::BINARY_TYPE_ARRAYBUFFER_DEFLATE, noisy(5000), false},
      {Websocket::BINARY_TYPE_BLOB_DEFLATE, wordy(100000), true},
  };
  for (const Case& one : cases) {
    server.peer->websocketType = one.type;
    server.peer->send(one.payload);
  }
  server.fixture.runUntil([&] { return client.messages.size() == std::size(cases); });
  for (std::size_t i = 0; i < client.messages.size(); ++i) {
    CAPTURE(i);
    const auto& got = client.messages[i];
    CHECK(got.isCompressed == cases[i].isCompressed);
    CHECK(got.isText == !cases[i].type.isBinary());
    Workerman::Protocols::detail::InflateBuffer out;
    using Workerman::Protocols::detail::Inflated;
    if (!got.isCompressed) {
      CHECK(got.payload == cases[i].payload);
      continue;
    }
    CHECK(Workerman::Protocols::detail::inflateShared(got.payload, 1 << 20, got.isText, out) ==
          Inflated::Whole);
    CHECK(out.view() == cases[i].payload);
  }
  client.connection->destroy();
  server.fixture.runUntil([&] { return server.worker->connections.empty(); });
}

TEST_CASE("ws deflate rules: messages in any fragments, with control frames between them") {
  Server server;
  RawWebsocket client(*server.worker, kOffer);
  server.open(client);
  const std::string text = wordy(3000) + "\xe2\x82\xac";
  const std::string message = packed(text);
  std::size_t sent = 0;
  for (std::size_t cut = 0; cut <= message.size(); cut += cut < 20 || cut + 20 > message.size() ? 1 : 37) {
    client.sendFrame(0x41, message.substr(0, cut));
    client.sendFrame(0x89, "ping");
    client.sendFrame(0x80, message.substr(cut));
    ++sent;
  }
  client.sendFrame(0x42, "");
  for (const char byte : message) client.sendFrame(0x00, {&byte, 1});
  client.sendFrame(0x80, "");
  client.sendFrame(0x81, "plain");
  client.sendFrame(0xC1, "");
  client.sendFrame(0xC2, "\x00"s);
  client.sendFrame(0x01, "in ");
  client.sendFrame(0x80, "parts");
  server.until(client, sent + 5);
  REQUIRE(server.got.size() == sent + 5);
  for (std::size_t i = 0; i <= sent; ++i) CHECK(server.got[i] == text);
  const std::vector<std::string> last(server.got.begin() + static_cast<std::ptrdiff_t>(sent) + 1,
                                      server.got.end());
  CHECK(last == std::vector<std::string>{"plain", "", "", "in parts"});
  CHECK(client.closeCode == 0);
  client.connection->destroy();
  server.fixture.runUntil([&] { return server.worker->connections.empty(); });
}

TEST_CASE("ws deflate rules: what breaks them is answered with the right code, and the worker lives on") {
  struct Frame {
    unsigned first;
    std::string payload;
  };
  struct Case {
    const char* what;
    std::vector<Frame> frames;
    int code;
    bool isOffered = true;
  };
  const std::string hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
  const Case cases[] = {
      {"RSV1 that was not negotiated", {{0xC1, hello}}, 1002, false},
      {"RSV1 on a continuation", {{0x41, hello}, {0xC0, ""}}, 1002},
      {"RSV1 only on a continuation", {{0x01, "a"}, {0xC0, hello}}, 1002},
      {"RSV1 on a ping", {{0xC9, ""}}, 1002},
      {"RSV1 on a pong", {{0xCA, ""}}, 1002},
      {"RSV1 on a close", {{0xC8, ""}}, 1002},
      {"RSV2", {{0xA1, hello}}, 1002},
      {"RSV1 and RSV3", {{0xD1, hello}}, 1002},
      {"no DEFLATE", {{0xC1, "\x07garbage"}}, 1007},
      {"no DEFLATE in fragments", {{0x42, "\x07"}, {0x80, "garbage"}}, 1007},
      {"cut off", {{0xC2, hello.substr(0, 4)}}, 1007},
      {"a context that was given up", {{0xC1, hello}, {0xC1, "\xf2\x00\x11\x00\x00"s}}, 1007},
      {"bad UTF-8", {{0xC1, packed("Hello \xff")}}, 1007},
      {"UTF-8 that is cut off", {{0xC1, packed("Hello \xe2\x82")}}, 1007},
      {"bad UTF-8 in fragments", {{0x41, packed("\xc0" + wordy(500))}, {0x80, ""}}, 1007},
      {"too long once inflated", {{0xC2, packed(std::string(100001, 'a'))}}, 1009},
      {"a bomb", {{0xC2, packed(std::string(50 << 20, '\0'))}}, 1009},
      {"too long as it is", {{0x42, noisy(60000)}, {0x00, noisy(60000)}}, 1009},
  };
  for (const Case& one : cases) {
    CAPTURE(one.what);
    Server server;
    RawWebsocket client(*server.worker, one.isOffered ? kOffer : "");
    server.open(client);
    for (const auto& frame : one.frames) client.sendFrame(frame.first, frame.payload);
    server.fixture.runUntil([&] { return client.closeCode != 0; });
    CHECK(client.closeCode == one.code);
    CHECK(server.closeCode == one.code);
    client.connection->destroy();
    server.fixture.runUntil([&] { return server.worker->connections.empty(); });
  }
}

TEST_CASE("ws deflate rules: exactly maxPackageSize passes, whether it shrinks or grows") {
  Server server;
  RawWebsocket client(*server.worker, kOffer);
  server.open(client);
  client.sendFrame(0xC2, packed(std::string(100000, 'a')));
  client.sendFrame(0xC2, packed(noisy(100000)));
  REQUIRE(packed(noisy(100000)).size() > 100000);
  server.until(client, 2);
  CHECK(server.got == std::vector<std::string>{std::string(100000, 'a'), noisy(100000)});
  client.connection->destroy();
  server.fixture.runUntil([&] { return server.worker->connections.empty(); });
}

TEST_CASE("ws deflate rules: a Sec-WebSocket-Extensions of the application's own is refused") {
  Server server;
  std::string told;
  server.worker->onWebSocketConnect = [&](auto connection, auto&) {
    connection->headers = {{"Sec-WebSocket-Extensions", "permessage-deflate"}};
    connection->errorHandler = [&](const std::exception& e) { told = e.what(); };
  };
  RawWebsocket client(*server.worker, kOffer);
  server.fixture.runUntil([&] { return client.isClosed; });
  CHECK(client.answer.starts_with("HTTP/1.1 500 "));
  CHECK(told == "websocket handshake: header Sec-WebSocket-Extensions is set by the handshake itself");
}

// -- our client ---------------------------------------------------------------------

TEST_CASE("ws deflate rules: what our client offers, and which answers it fails at") {
  struct Case {
    const char* answer;  ///< to the offer "permessage-deflate; client_max_window_bits"
    const char* failure;
  };
  const Case cases[] = {
      {"", ""},
      {"permessage-deflate", ""},
      {"permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
       "server_max_window_bits=8; "
       "client_max_window_bits=8",
       ""},
      {"permessage-deflate; client_max_window_bits",
       "permessage-deflate: client_max_window_bits has a bad value"},
      {"permessage-deflate; server_max_window_bits=16",
       "permessage-deflate: server_max_window_bits has a bad value"},
      {"permessage-deflate; foo", "permessage-deflate: the parameter foo does not exist"},
      {"permessage-deflate, permessage-deflate", "permessage-deflate: the server accepts it twice"},
      {"permessage-deflate;", "malformed Sec-WebSocket-Extensions"},
      {"foo", "extension \"foo\", which was not offered"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.answer);
    Scene scene;
    const std::string header = "Sec-WebSocket-Extensions: " + std::string(one.answer) + "\r\n";
    scene.server.answer = [&](const std::string& key) {
      return ScriptedServer::accepting(key, *one.answer == '\0' ? "" : header);
    };
    const auto client = scene.client();
    client->websocketDeflate = true;
    client->connect();
    const bool isGood = *one.failure == '\0';
    scene.until(isGood ? "open" : "close");
    CHECK(scene.server.header("Sec-WebSocket-Extensions") == "permessage-deflate; client_max_window_bits");
    if (!isGood) CHECK(scene.find("error 1").find(one.failure) != std::string::npos);
    CHECK(scene.has("open") == isGood);
    client->destroy();
  }
}

TEST_CASE("ws deflate rules: a client compresses what it is told to, each message by itself where asked") {
  Scene scene;
  scene.server.answer = [](const std::string& key) {
    return ScriptedServer::accepting(key,
                                     "Sec-WebSocket-Extensions: permessage-deflate; "
                                     "client_no_context_takeover; client_max_window_bits=9\r\n");
  };
  const auto client = scene.client();
  client->websocketDeflate = true;
  CHECK(client->send(wordy(500)) == nullptr);  // nobody knows yet whether it may be compressed
  client->connect();
  scene.until("open");
  client->send(wordy(500));
  client->send(wordy(500));
  client->websocketDeflate = false;
  client->send(wordy(500));
  client->websocketType = WebsocketType::BINARY_TYPE_BLOB_DEFLATE;
  client->send(wordy(500));
  client->send("short");
  scene.until([&] { return scene.server.frames.size() == 6; });
  std::vector<bool> isCompressed;
  for (const auto& frame : scene.server.frames) isCompressed.push_back(frame.rsv1);
  CHECK(isCompressed == std::vector<bool>{false, true, true, false, true, false});
  CHECK(scene.server.frames.at(1).payload == packed(wordy(500), 9));
  CHECK(scene.server.frames.at(2).payload == packed(wordy(500), 9));
  client->destroy();
}

TEST_CASE("ws deflate rules: a client reads compressed frames right behind the answer, cut anywhere") {
  const std::string message = packed("Hello, Hello, Hello");
  const std::string frames = "\xC1" + std::string(1, static_cast<char>(message.size())) + message;
  for (std::size_t cut = 0; cut <= frames.size(); ++cut) {
    Scene scene;
    scene.server.answer = [](const std::string& key) {
      return ScriptedServer::accepting(key, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    };
    scene.server.behindAnswer = frames.substr(0, cut);
    const auto client = scene.client();
    client->websocketDeflate = true;
    client->connect();
    scene.until("open");
    scene.server.write(frames.substr(cut) + frames);
    scene.until("message Hello, Hello, Hello", 2);
    client->destroy();
  }
}

TEST_CASE("ws deflate rules: a client that did not ask fails at RSV1 and at an extension") {
  Scene scene;
  const auto client = scene.opened();
  scene.server.write("\xC1\x01"s + '\0');
  scene.until("close");
  CHECK(scene.find("wsclose").starts_with("wsclose 1002 "));
}

TEST_CASE("ws deflate rules: options out of range stop connect(), and are an error of the server's answer") {
  const DeflateOptionsGuard guard;
  Ws::deflate.clientMaxWindowBits = 7;
  Websocket::deflate.serverMaxWindowBits = 16;
  Server server;
  const auto client = std::make_shared<AsyncTcpConnection>("ws://127.0.0.1:1");
  client->websocketDeflate = true;
  CHECK_THROWS_AS(client->connect(), std::invalid_argument);
  std::string told;
  server.worker->onConnect = [&](auto connection) {
    connection->errorHandler = [&](const std::exception& e) { told = e.what(); };
  };
  RawWebsocket peer(*server.worker, kOffer);
  server.fixture.runUntil([&] { return peer.isClosed; });
  CHECK(peer.answer.starts_with("HTTP/1.1 500 "));
  CHECK(told == "permessage-deflate: window bits are 8 to 15");
}
