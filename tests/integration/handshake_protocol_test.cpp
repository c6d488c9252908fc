#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../support/loop_fixture.h"

using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::TcpConnectionPtr;

namespace {

/// Lines, once the client has said "HELLO <name>" and the server "WELCOME <name>".
struct Greeted {
  static std::ptrdiff_t input(std::string_view buffer, const TcpConnectionPtr& connection) {
    const auto end = buffer.find('\n');
    if (end == std::string_view::npos) return 0;
    if (connection->context.has("isGreeted")) return static_cast<std::ptrdiff_t>(end + 1);
    const bool isServer = connection->worker != nullptr;
    const std::string_view greeting = isServer ? "HELLO " : "WELCOME ";
    if (!buffer.starts_with(greeting)) return -1;
    const std::string name(buffer.substr(greeting.size(), end - greeting.size()));
    connection->consumeRecvBuffer(end + 1);
    connection->context["isGreeted"] = true;
    connection->context["name"] = name;
    if (isServer) connection->send("WELCOME " + name + "\n", true);
    // What was sent before waits until now.
    const auto waiting = connection->context.get<std::string>("waiting", "");
    if (!waiting.empty()) connection->send(waiting, true);
    return 0;
  }
  static std::string encode(std::string_view text, const TcpConnectionPtr& connection) {
    const std::string line = std::string(text) + "\n";
    if (connection->context.has("isGreeted")) return line;
    connection->context["waiting"] = connection->context.get<std::string>("waiting", "") + line;
    return "";
  }
  static std::string_view decode(std::string_view package) { return package.substr(0, package.size() - 1); }
  static void onConnect(const TcpConnectionPtr& connection) { connection->send("HELLO tom\n", true); }
};

void registerGreeted() {
  static const bool isDone = (Workerman::Protocols::add<Greeted>("Greeted"), true);
  static_cast<void>(isDone);
}

}  // namespace

TEST_CASE("custom protocol: one with a handshake of its own, begun by its onConnect") {
  registerGreeted();
  testing::LoopFixture loop;
  const auto worker = testing::listenOn("Greeted");
  worker->onMessage = [](auto connection, auto data) {
    connection->send(connection->context.template get<std::string>("name") + ": " + std::string(data));
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "Greeted"));
  std::vector<std::string> got;
  client->onMessage = [&](auto, std::string_view data) { got.emplace_back(data); };
  // Before the handshake is done: the protocol keeps it.
  client->onConnect = [](auto connection) { connection->send("early"); };
  client->connect();
  loop.runUntil([&] { return got.size() == 1; });
  client->send("late");
  loop.runUntil([&] { return got.size() == 2; });
  CHECK(got == std::vector<std::string>{"tom: early", "tom: late"});
}

TEST_CASE("custom protocol: a peer that does not know the handshake is let go, and nobody else") {
  registerGreeted();
  testing::LoopFixture loop;
  const auto worker = testing::listenOn("Greeted");
  int closed = 0;
  worker->onClose = [&] { ++closed; };
  auto stranger = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "tcp"));
  stranger->onConnect = [](auto connection) { connection->send("GET / HTTP/1.1\r\n\r\n"); };
  stranger->connect();
  loop.runUntil([&] { return closed == 1; });
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "Greeted"));
  client->connect();
  loop.runUntil([&] { return client->context.has("isGreeted"); });
}
