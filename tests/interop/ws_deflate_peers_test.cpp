/// permessage-deflate with WebSocket implementations that we did not write, Python's `websockets` and Node's
/// `ws`, as servers of our client and as clients of our server.

#include <unistd.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/deflate.h"

using namespace Workerman;
using namespace Workerman::Connection;
using Protocols::DeflateOptions;
using Protocols::Ws;
using testing::ChildProcess;
using testing::DeflateOptionsGuard;
using testing::LoopFixture;
using testing::noisy;
using testing::wordy;

namespace {

/// What the peers are asked to ask for. Python's zlib cannot compress with a window of 8 bits.
const std::vector<std::string> kServers{
    "any",
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_no_context_takeover,client_no_context_takeover",
    "server_max_window_bits=9,client_max_window_bits=9",
    "server_max_window_bits=12,client_max_window_bits=10,server_no_context_takeover",
    "client_max_window_bits=8",
    "client_max_window_bits=8,client_no_context_takeover",
};
const std::vector<std::string> kClients{
    "any",
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_no_context_takeover,client_no_context_takeover",
    "server_max_window_bits=9",
    "client_max_window_bits=9",
    "server_max_window_bits=8",
    "server_max_window_bits=8,client_max_window_bits=10,server_no_context_takeover",
};

/// Starts `script`.py or .js of the folder.
std::unique_ptr<ChildProcess> start(const std::string& kind, const std::string& script,
                                    std::vector<std::string> arguments) {
  const std::string program = kind == "python" ? PEER_PYTHON : PEER_NODE;
  REQUIRE_MESSAGE((!program.empty() && ::access(program.c_str(), X_OK) == 0), kind, " is not installed");
  arguments.insert(arguments.begin(),
                   {std::string("NODE_PATH=") + PEER_NODE_PATH, program,
                    std::string(PEER_SERVERS) + "/../" + script + (kind == "python" ? ".py" : ".js")});
  return std::make_unique<ChildProcess>("/usr/bin/env", arguments);
}

/// Sends messages of all kinds and compares what comes back.
void checkEchoes(const std::string& address) {
  std::vector<std::string> sent, got;
  bool isClosed = false;
  LoopFixture fixture;
  const auto client = std::make_shared<AsyncTcpConnection>(address);
  client->websocketDeflate = true;
  client->maxSendBufferSize = 16 << 20;
  client->onMessage = [&](auto, std::string data) { got.push_back(std::move(data)); };
  client->onClose = [&] { isClosed = true; };
  std::string failure;
  client->onError = [&](auto, int, std::string cause) { failure = std::move(cause); };
  client->onWebSocketConnect = [&](auto connection) {
    for (int round = 0; round < 2; ++round) {
      for (const std::size_t size : {0, 1, 63, 64, 125, 126, 1000, 65535, 65536, 100000}) {
        connection->websocketType = Ws::BINARY_TYPE_BLOB;
        connection->send(sent.emplace_back(wordy(size)));
        connection->websocketType = Ws::BINARY_TYPE_ARRAYBUFFER;
        connection->send(sent.emplace_back(noisy(size)));
      }
    }
  };
  client->connect();
  fixture.runUntil([&] { return (!sent.empty() && got.size() == sent.size()) || isClosed; });
  CHECK(failure == "");
  CHECK((got == sent));
  // Of 930,000 bytes, half are noise; the words shrink to a fifth.
  CHECK(client->bytesWritten < 650000);
  CHECK(client->bytesRead < 700000);
  client->close();
  fixture.runUntil([&] { return isClosed; });
}

}  // namespace

TEST_CASE("interop: our client with other servers' permessage-deflate, whatever they ask for") {
  for (const std::string kind : {"python", "node"}) {
    CAPTURE(kind);
    const auto server = start(kind, "servers/ws_deflate_server", kServers);
    REQUIRE(server->waitFor("ports "));
    REQUIRE(server->waitFor("\n"));
    std::istringstream ports(server->text().substr(server->text().find("ports ") + 6));
    for (const auto& parameters : kServers) {
      CAPTURE(parameters);
      std::string port;
      REQUIRE(static_cast<bool>(ports >> port));
      checkEchoes("ws://127.0.0.1:" + port + "/");
      if (parameters == "any") checkEchoes("ws://127.0.0.1:" + port + "/5000");
    }
  }
}

TEST_CASE("interop: our server with other clients' permessage-deflate, whatever they offer") {
  const DeflateOptions withContext{.serverNoContextTakeover = false, .clientNoContextTakeover = false};
  for (const std::string kind : {"python", "node"}) {
    for (const bool hasContext : {false, true}) {
      CAPTURE(kind);
      CAPTURE(hasContext);
      const DeflateOptionsGuard guard;
      if (hasContext) Protocols::Websocket::deflate = withContext;
      std::string report;
      LoopFixture fixture;
      const auto server = testing::listenOn("websocket");
      server->onWebSocketConnect = [](auto connection, auto&) { connection->websocketDeflate = true; };
      server->onMessage = [&](auto connection, std::string_view data) {
        if (data.starts_with("report\n")) {
          report = data;
          return connection->close();
        }
        connection->websocketType = connection->websocketMessageType;
        connection->send(data);
      };
      std::vector<std::string> arguments = kClients;
      arguments.insert(arguments.begin(), testing::addressOf(*server, "ws", "/"));
      const auto client = start(kind, "clients/ws_deflate_client", arguments);
      fixture.runUntil([&] { return !report.empty(); });
      std::istringstream lines(report);
      std::string line;
      std::getline(lines, line);
      for (const auto& parameters : kClients) {
        CAPTURE(parameters);
        REQUIRE(static_cast<bool>(std::getline(lines, line)));
        CAPTURE(line);
        CHECK(line.starts_with("ok "));
        const bool isAgreed =
            line.find(kind == "python" ? "PerMessageDeflate(" : "permessage-deflate") != std::string::npos;
        CHECK(isAgreed);
      }
    }
  }
}
