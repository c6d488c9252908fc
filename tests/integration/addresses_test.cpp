// Who talks to whom.

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::LoopFixture;

namespace {

/// A worker on `address`, and both ends of one connection to it.
struct Ends {
  LoopFixture fixture;
  std::shared_ptr<Worker> server;
  TcpConnectionPtr accepted;
  AsyncTcpConnectionPtr client;

  Ends(const std::string& address, const std::string& clientAddress) {
    server = std::make_shared<Worker>(address);
    server->listen();
    server->onConnect = [this](auto connection) { accepted = connection; };
    const int port = server->getListenPort();
    client =
        std::make_shared<AsyncTcpConnection>(clientAddress + (port != 0 ? ":" + std::to_string(port) : ""));
    client->connect();
    fixture.runUntil([&] { return accepted && client->getStatus() == TcpConnection::STATUS_ESTABLISHED; });
  }
  ~Ends() {
    client->destroy();
    if (accepted) accepted->destroy();
  }
};

}  // namespace

TEST_CASE("addresses: of IP connections, at both ends") {
  struct Case {
    const char* host;
    const char* ip;
    bool isV6;
  };
  for (const Case& each : {Case{"127.0.0.1", "127.0.0.1", false}, Case{"[::1]", "::1", true}}) {
    const std::string host = each.host, ip = each.ip;
    const bool isV6 = each.isV6;
    CAPTURE(host);
    const Ends ends("tcp://" + host + ":0", "tcp://" + host);
    const int port = ends.server->getListenPort();
    const int clientPort = ends.client->getLocalPort();
    const auto at = [&](int number) { return host + ":" + std::to_string(number); };
    CHECK(clientPort != 0);
    CHECK(ends.client->getRemoteIp() == ip);
    CHECK(ends.client->getRemotePort() == port);
    CHECK(ends.client->getRemoteAddress() == at(port));
    CHECK(ends.client->getLocalIp() == ip);
    CHECK(ends.client->getLocalAddress() == at(clientPort));
    CHECK(ends.accepted->getRemoteIp() == ip);
    CHECK(ends.accepted->getRemotePort() == clientPort);
    CHECK(ends.accepted->getRemoteAddress() == at(clientPort));
    CHECK(ends.accepted->getLocalIp() == ip);
    CHECK(ends.accepted->getLocalPort() == port);
    CHECK(ends.accepted->getLocalAddress() == at(port));
    for (const TcpConnectionPtr& end : {TcpConnectionPtr(ends.client), ends.accepted}) {
      CHECK(end->isIpV6() == isV6);
      CHECK(end->isIpV4() == !isV6);
      CHECK(std::string(end->transport) == "tcp");
      CHECK(end->getSocket() >= 0);
    }
  }
}

TEST_CASE("addresses: a name becomes the address that answered") {
  const Ends ends("tcp://127.0.0.1:0", "tcp://localhost");
  CHECK(ends.client->getRemoteHost() == "localhost");
  CHECK(ends.client->getRemoteIp() == "127.0.0.1");
}

TEST_CASE("addresses: a unix connection has no ip and no port") {
  const std::string path = "/tmp/workerman-test-addresses-" + std::to_string(::getpid()) + ".sock";
  const Ends ends("unix://" + path, "unix://" + path);
  CHECK(ends.client->getRemoteAddress() == path);
  CHECK(ends.accepted->getLocalAddress() == path);
  CHECK(ends.server->transport == "unix");
  for (const TcpConnectionPtr& end : {TcpConnectionPtr(ends.client), ends.accepted}) {
    CHECK(end->getRemoteIp().empty());
    CHECK(end->getRemotePort() == 0);
    CHECK(end->getLocalIp().empty());
    CHECK(end->getLocalPort() == 0);
    CHECK_FALSE(end->isIpV4());
    CHECK_FALSE(end->isIpV6());
    CHECK(std::string(end->transport) == "unix");
  }
}

TEST_CASE("addresses: getStatus() and jsonSerialize()") {
  LoopFixture fixture;
  const auto server = testing::listenOn("tcp");
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "tcp"));
  CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
  CHECK(client->getStatus(false) == "INITIAL");
  client->connect();
  CHECK(client->getStatus(false) == "CONNECTING");
  fixture.runUntil([&] { return client->getStatus() == TcpConnection::STATUS_ESTABLISHED; });
  CHECK(client->getStatus(false) == "ESTABLISHED");
  CHECK(client->getStatus(true) == "2");
  const nlohmann::json expected = {
      {"id", client->id},
      {"status", 2},
      {"transport", "tcp"},
      {"getRemoteIp", "127.0.0.1"},
      {"remotePort", server->getListenPort()},
      {"getRemoteAddress", "127.0.0.1:" + std::to_string(server->getListenPort())},
      {"getLocalIp", "127.0.0.1"},
      {"getLocalPort", client->getLocalPort()},
      {"getLocalAddress", client->getLocalAddress()},
      {"isIpV4", true},
      {"isIpV6", false}};
  CHECK(client->jsonSerialize() == expected);
  client->end();
  CHECK(client->getStatus(false) == "ENDING");
  client->destroy();
  CHECK(client->getStatus(false) == "CLOSED");
  CHECK(TcpConnection::STATUS_TO_STRING.at(TcpConnection::STATUS_CLOSING) == "CLOSING");
}
