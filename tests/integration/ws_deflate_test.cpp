/// permessage-deflate between our own client and server.

#include <memory>
#include <string>
#include <vector>

#include "support/deflate.h"

using namespace Workerman;
using namespace Workerman::Connection;
using Protocols::DeflateOptions;
using Protocols::Websocket;
using Protocols::Ws;
using testing::DeflateOptionsGuard;
using testing::LoopFixture;
using testing::noisy;
using testing::wordy;

namespace {

/// A client that collects, at a server that echoes in kind; both want compression.
struct EchoPair {
  std::shared_ptr<Worker> server;
  AsyncTcpConnectionPtr client;
  TcpConnectionPtr peer;  ///< the server's end
  std::vector<std::string> got;
  std::vector<WebsocketType> kinds;
  std::string failure;
  int closeCode = 0;
  bool isOpen = false;
  bool isClosed = false;
  LoopFixture fixture;

  EchoPair() {
    server = testing::listenOn("websocket");
    server->onWebSocketConnect = [this](auto connection, auto&) {
      connection->websocketDeflate = true;
      peer = connection;
    };
    server->onMessage = [](auto connection, auto data) {
      connection->websocketType = connection->websocketMessageType;
      connection->send(data);
    };
    client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "ws"));
    client->websocketDeflate = true;
    client->onWebSocketConnect = [this] { isOpen = true; };
    client->onMessage = [this](auto connection, std::string data) {
      got.push_back(std::move(data));
      kinds.push_back(connection->websocketMessageType);
    };
    client->onError = [this](auto, int, std::string cause) { failure = std::move(cause); };
    client->onWebSocketClose = [this](auto, int code) { closeCode = code; };
    client->onClose = [this] {
      isClosed = true;
      peer = nullptr;
    };
  }

  void open() {
    client->connect();
    fixture.runUntil([&] { return isOpen; });
  }
  void close() {
    client->close();
    fixture.runUntil([&] { return isClosed && server->connections.empty(); });
  }
};

DeflateOptions options(bool serverAlone, bool clientAlone, int serverBits = 15, int clientBits = 15) {
  DeflateOptions made{.serverNoContextTakeover = serverAlone, .clientNoContextTakeover = clientAlone};
  made.serverMaxWindowBits = serverBits;
  made.clientMaxWindowBits = clientBits;
  return made;
}

/// Messages of all sizes there and back, in both kinds; a second time they come from the context if there is
/// one.
void checkEchoes(EchoPair& pair) {
  std::vector<std::string> sent;
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t size : {0, 1, 63, 64, 125, 126, 400, 65535, 65536, 200000}) {
      sent.push_back(wordy(size));
      sent.push_back(noisy(size));
    }
  }
  for (std::size_t i = 0; i < sent.size(); ++i) {
    pair.client->websocketType = i % 2 == 0 ? Ws::BINARY_TYPE_BLOB : Ws::BINARY_TYPE_ARRAYBUFFER;
    CHECK_FALSE(pair.client->send(sent[i]) == false);
  }
  pair.fixture.runUntil([&] { return pair.got.size() == sent.size() || pair.isClosed; });
  CHECK(pair.got == sent);
  for (std::size_t i = 0; i < pair.kinds.size(); ++i) {
    CHECK(pair.kinds[i] == (i % 2 == 0 ? Ws::BINARY_TYPE_BLOB : Ws::BINARY_TYPE_ARRAYBUFFER));
  }
}

}  // namespace

TEST_CASE("ws deflate: every combination of context take-over, of both sides' wishes") {
  for (int wishes = 0; wishes < 16; ++wishes) {
    CAPTURE(wishes);
    const DeflateOptionsGuard guard(options((wishes & 1) != 0, (wishes & 2) != 0),
                                    options((wishes & 4) != 0, (wishes & 8) != 0));
    EchoPair pair;
    pair.client->maxSendBufferSize = 16 << 20;
    pair.open();
    checkEchoes(pair);
    CHECK(pair.failure == "");
    CHECK(pair.client->bytesWritten < 900000);  // of 1,200,000, of which half does not shrink
    pair.close();
    CHECK(pair.closeCode == 1000);
  }
}

TEST_CASE("ws deflate: every window, whichever side asks for it") {
  for (int bits = 8; bits <= 15; ++bits) {
    CAPTURE(bits);
    const DeflateOptions small = options(false, false, bits, bits);
    const DeflateOptions any = options(false, false);
    for (const bool isServers : {true, false}) {
      CAPTURE(isServers);
      const DeflateOptionsGuard guard(isServers ? small : any, isServers ? any : small);
      EchoPair pair;
      pair.client->maxSendBufferSize = 16 << 20;
      pair.open();
      checkEchoes(pair);
      CHECK(pair.failure == "");
      pair.close();
    }
  }
}

TEST_CASE("ws deflate: a context makes similar messages short, and is what costs memory") {
  std::int64_t bytes[2];
  for (const bool isAlone : {true, false}) {
    const DeflateOptionsGuard guard(options(isAlone, isAlone), options(isAlone, isAlone));
    EchoPair pair;
    pair.open();
    pair.client->websocketType = Ws::BINARY_TYPE_ARRAYBUFFER;
    const auto before = pair.client->bytesWritten;
    for (int i = 0; i < 100; ++i) pair.client->send(noisy(150, 9));
    pair.fixture.runUntil([&] { return pair.got.size() == 100; });
    bytes[isAlone] = pair.client->bytesWritten - before;
    pair.close();
  }
  CHECK(bytes[true] > 15000);
  CHECK(bytes[false] < 3000);
}

TEST_CASE("ws deflate: used only where both sides want it") {
  for (int wishes = 0; wishes < 8; ++wishes) {
    CAPTURE(wishes);
    EchoPair pair;
    const bool clientWants = (wishes & 1) != 0, serverWants = (wishes & 2) != 0, byType = (wishes & 4) != 0;
    pair.client->websocketDeflate = clientWants;
    pair.server->onWebSocketConnect = [=](auto connection, auto&) {
      if (byType && serverWants) connection->websocketType = Websocket::BINARY_TYPE_BLOB_DEFLATE;
      connection->websocketDeflate = !byType && serverWants;
    };
    pair.open();
    pair.client->websocketType = WebsocketType::BINARY_TYPE_BLOB_DEFLATE;
    const std::string text = wordy(10000);
    const auto before = pair.client->bytesWritten;
    pair.client->send(text);
    pair.fixture.runUntil([&] { return pair.got.size() == 1; });
    CHECK(pair.got == std::vector<std::string>{text});
    CHECK((pair.client->bytesWritten - before < 5000) == (clientWants && serverWants));
    pair.close();
  }
}

TEST_CASE(
    "ws deflate: a _DEFLATE type alone makes a client offer it, and a server's onConnect is early enough") {
  EchoPair pair;
  pair.client->websocketDeflate = false;
  pair.client->websocketType = WebsocketType::BINARY_TYPE_ARRAYBUFFER_DEFLATE;
  pair.server->onWebSocketConnect = nullptr;
  pair.server->onConnect = [](auto connection) {
    connection->websocketType = Websocket::BINARY_TYPE_ARRAYBUFFER_DEFLATE;
  };
  pair.server->onMessage = [](auto connection, auto data) { connection->send(data); };
  pair.open();
  pair.client->send(wordy(10000));
  pair.fixture.runUntil([&] { return pair.got.size() == 1; });
  CHECK(pair.got.at(0) == wordy(10000));
  CHECK(pair.client->bytesWritten < 5000);
  CHECK(pair.client->bytesRead < 5000);
  CHECK(pair.kinds.at(0) == Ws::BINARY_TYPE_ARRAYBUFFER);
  pair.close();
}

TEST_CASE("ws deflate: what a full buffer drops is not missed in the context") {
  const DeflateOptionsGuard guard(options(false, false), options(false, false));
  EchoPair pair;
  int dropped = 0;
  pair.open();
  pair.client->pauseRecv();
  std::vector<std::string> sent;
  pair.peer->maxSendBufferSize = 100000;
  pair.peer->onError = [&](auto, int, auto) { ++dropped; };
  pair.peer->websocketType = Websocket::BINARY_TYPE_ARRAYBUFFER;
  // Two messages in turn, so that each finds itself in the context.
  for (unsigned i = 0; dropped < 5 && i < 2000; ++i) {
    const std::string message = noisy(20000, i);
    if (!(pair.peer->send(message) == false)) sent.push_back(message);
  }
  CHECK(dropped == 5);
  pair.client->resumeRecv();
  pair.fixture.runUntil([&] { return pair.got.size() == sent.size(); });
  const std::string last = noisy(20000, 1999);
  sent.push_back(noisy(20000, static_cast<unsigned>(sent.size() + 2)));  // one of those that were dropped
  CHECK_FALSE(pair.peer->send(sent.back()) == false);
  pair.fixture.runUntil([&] { return pair.got.size() == sent.size() || pair.isClosed; });
  CHECK(pair.got == sent);
  pair.close();
}

TEST_CASE("ws deflate: what is published is compressed once, between messages that have a context") {
  for (const bool isAlone : {false, true}) {
    for (const int bits : {9, 15}) {
      const DeflateOptionsGuard guard(options(isAlone, isAlone), options(false, false, bits, 15));
      EchoPair pair;
      pair.open();
      CHECK(pair.peer->subscribe("news"));
      std::vector<std::string> sent;
      for (unsigned i = 0; i < 12; ++i) {
        // The same one again and again, so that each finds itself in the context if it is there.
        sent.push_back(wordy(i % 4 == 3 ? 40 : 20000, i % 2));
        if (i % 3 == 1) {
          pair.server->publish("news", sent.back());
        } else {
          pair.peer->send(sent.back());
        }
      }
      pair.fixture.runUntil([&] { return pair.got.size() == sent.size() || pair.isClosed; });
      CHECK(pair.got == sent);
      CHECK(pair.client->bytesRead < 100000);
      pair.close();
    }
  }
}

TEST_CASE("ws deflate: a connection that is closed or destroyed by its own compressed message") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    EchoPair pair;
    std::string seen;
    pair.client->onMessage = [&](auto connection, std::string_view data) {
      if (how == 0) connection->destroy();
      if (how == 1) connection->close(3000, "done");
      if (how == 2) connection->reConnect();
      connection->onMessage = nullptr;
      seen = data;  // still there
    };
    pair.client->onClose = nullptr;
    pair.open();
    pair.client->send(wordy(5000));
    pair.client->send(wordy(5000, 2));
    pair.fixture.runUntil([&] { return !seen.empty(); });
    CHECK(seen == wordy(5000));
    pair.peer = nullptr;
    if (how == 2) {
      pair.fixture.runUntil([&] { return pair.client->getStatus() == TcpConnection::STATUS_ESTABLISHED; });
      pair.client->close();
    }
    pair.fixture.runUntil([&] { return pair.server->connections.empty(); });
  }
}

TEST_CASE("ws deflate: a message seen inside another one's callback has memory of its own") {
  EchoPair pair;
  pair.open();
  auto second = std::make_shared<AsyncTcpConnection>(testing::addressOf(*pair.server, "ws"));
  second->websocketDeflate = true;
  second->onWebSocketConnect = [](auto connection) {
    connection->send(wordy(9000, 3));
    connection->send(wordy(9000, 4));
  };
  second->onMessage = [](auto connection, auto) { connection->pauseRecv(); };
  second->connect();
  pair.fixture.runUntil([&] { return second->getRecvBufferQueueSize() > 0; });
  std::string inner, outer;
  second->onMessage = [&](auto, std::string_view data) { inner = data; };
  pair.client->onMessage = [&](auto, std::string_view data) {
    second->resumeRecv();
    outer = data;
  };
  pair.client->send(wordy(8000, 1));
  pair.fixture.runUntil([&] { return !outer.empty() && !inner.empty(); });
  CHECK(outer == wordy(8000, 1));
  CHECK(inner == wordy(9000, 4));
  second->close();
  pair.close();
}
