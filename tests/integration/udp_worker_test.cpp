// udp:// workers: who asks, how it is answered, what may be kept, and what cannot listen.

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/captured_stderr.h"
#include "support/host_loop.h"
#include "support/loop_fixture.h"
#include "support/raw_datagrams.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::LoopFixture;
using testing::RawDatagrams;
using testing::Ticker;

TEST_CASE("udp worker: a datagram is a connection that says who asks and answers it") {
  Worker worker("udp://127.0.0.1:0");
  std::string who, ip, local, json;
  int port = 0, localPort = 0, socket = -1;
  bool isV4 = false, isV6 = true, wasSent = false;
  worker.onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
    who = connection->getRemoteAddress();
    ip = connection->getRemoteIp();
    port = connection->getRemotePort();
    local = connection->getLocalIp();
    localPort = connection->getLocalPort();
    isV4 = connection->isIpV4();
    isV6 = connection->isIpV6();
    socket = connection->getSocket();
    json = connection->jsonSerialize().dump();
    CHECK(connection->transport == "udp");
    CHECK(connection->protocol.empty());
    wasSent = connection->send("re: " + std::string(data)) == true;
  };
  LoopFixture fixture;
  Ticker ticker;
  CHECK(worker.transport == "udp");
  CHECK(worker.getListenPort() > 0);
  CHECK(worker.getMainSocket() >= 0);
  const auto before = ConnectionInterface::statistics.total_request;
  RawDatagrams peer;
  peer.send(worker.getListenPort(), "hi");
  fixture.runUntil([&] { return peer.collect(1); });
  CHECK(peer.received[0] == "re: hi");
  CHECK(peer.lastPeer == worker.getListenPort());
  CHECK(who == "127.0.0.1:" + std::to_string(peer.port()));
  CHECK(ip == "127.0.0.1");
  CHECK(port == peer.port());
  CHECK(local == "127.0.0.1");
  CHECK(localPort == worker.getListenPort());
  CHECK(socket == worker.getMainSocket());
  CHECK(isV4);
  CHECK_FALSE(isV6);
  CHECK(wasSent);
  CHECK(json.find("\"getRemoteAddress\":\"" + who + "\"") != std::string::npos);
  CHECK(ConnectionInterface::statistics.total_request == before + 1);
  CHECK(worker.connections.size() == 0);
}

TEST_CASE("udp worker: IPv6, and both families on [::]") {
  for (const std::string host : {"[::1]", "[::]"}) {
    CAPTURE(host);
    Worker worker("udp://" + host + ":0");
    std::vector<std::string> ips;
    worker.onMessage = [&](UdpConnectionPtr connection, auto data) {
      ips.push_back(connection->getRemoteIp());
      CHECK(connection->isIpV6());
      connection->send(data);
    };
    LoopFixture fixture;
    Ticker ticker;
    RawDatagrams peer(true);
    peer.send(worker.getListenPort(), "six");
    fixture.runUntil([&] { return peer.collect(1); });
    CHECK(peer.received[0] == "six");
    CHECK(ips.back() == "::1");
    if (host == "[::1]") continue;
    RawDatagrams mapped;
    mapped.send(worker.getListenPort(), "four");
    fixture.runUntil([&] { return mapped.collect(1); });
    CHECK(ips.back() == "::ffff:127.0.0.1");
  }
}

TEST_CASE("udp worker: ConnectionPtr, a callback without parameters, an empty datagram and a long one") {
  LoopFixture fixture;
  Ticker ticker;
  RawDatagrams peer;
  const auto worker = testing::listenOn("udp");
  worker->onMessage = [](ConnectionPtr connection, std::string data) {
    connection->send(std::to_string(data.size()));
  };
  peer.send(worker->getListenPort(), "");
  peer.send(worker->getListenPort(), std::string(65507, 'x'));
  fixture.runUntil([&] { return peer.collect(2); });
  CHECK(peer.received[0] == "0");
  CHECK(peer.received[1] == "65507");
  int calls = 0;
  worker->onMessage = [&] { ++calls; };
  peer.send(worker->getListenPort(), "x");
  fixture.runUntil([&] { return calls == 1; });
}

TEST_CASE("udp worker: a kept connection answers later, from a timer, whoever asked meanwhile") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  std::vector<UdpConnectionPtr> kept;
  std::vector<std::weak_ptr<UdpConnection>> seen;
  worker->onMessage = [&](UdpConnectionPtr connection, auto data) {
    connection->context["asked"] = data;
    seen.push_back(connection);
    if (data == "keep") kept.push_back(connection);
  };
  RawDatagrams first, second;
  first.send(worker->getListenPort(), "keep");
  second.send(worker->getListenPort(), "drop");
  second.send(worker->getListenPort(), "keep");
  fixture.runUntil([&] { return seen.size() == 3; });
  REQUIRE(kept.size() == 2);
  CHECK(seen[1].expired());
  CHECK(seen[0].lock() == kept[0]);
  CHECK(kept[0]->getRemotePort() == first.port());
  CHECK(kept[1]->getRemotePort() == second.port());
  CHECK(kept[0]->context.get<std::string>("asked") == "keep");
  Timer::add(
      0.001,
      [&] {
        for (const auto& connection : kept) connection->send("later");
      },
      {}, false);
  Ticker ticker;
  fixture.runUntil([&] { return first.collect(1) && second.collect(1); });
  CHECK(first.received[0] == "later");
  worker->stop();
  const auto failed = ConnectionInterface::statistics.send_fail;
  CHECK(kept[0]->send("too late") == false);
  CHECK(ConnectionInterface::statistics.send_fail == failed + 1);
  CHECK(kept[0]->getSocket() == -1);
  CHECK(kept[0]->getLocalAddress().empty());
  CHECK(kept[0]->getRemotePort() == first.port());
}

TEST_CASE("udp worker: close() says a last word and ends the connection, not the worker (differs from PHP)") {
  LoopFixture fixture;
  Ticker ticker;
  const auto worker = testing::listenOn("udp");
  UdpConnectionPtr kept;
  worker->onMessage = [&](UdpConnectionPtr connection, auto) {
    connection->close("bye");
    kept = connection;
    CHECK(connection->send("more") == false);
    connection->close();
    CHECK_THROWS_AS(connection->close(1000), std::logic_error);
  };
  RawDatagrams peer;
  for (std::size_t round = 1; round <= 2; ++round) {
    peer.send(worker->getListenPort(), "hi");
    fixture.runUntil([&] { return peer.collect(round); });
    CHECK(peer.received.back() == "bye");
    CHECK(kept->getSocket() == -1);
  }
}

TEST_CASE("udp worker: what the kernel does not take is false and counted; values need a protocol") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  int calls = 0;
  worker->onMessage = [&](UdpConnectionPtr connection, auto) {
    const auto failed = ConnectionInterface::statistics.send_fail;
    CHECK(connection->send(std::string(65508, 'x')) == false);
    CHECK(ConnectionInterface::statistics.send_fail == failed + 1);
    CHECK(connection->send(std::string(65507, 'x')) == true);
    CHECK_THROWS_AS(connection->send(nlohmann::json{1}), std::invalid_argument);
    ++calls;
  };
  RawDatagrams peer;
  peer.send(worker->getListenPort(), "hi");
  fixture.runUntil([&] { return calls == 1; });
}

TEST_CASE("udp worker: a peer that is gone before the answer harms nobody") {
  LoopFixture fixture;
  Ticker ticker;
  const auto worker = testing::listenOn("udp");
  int calls = 0;
  worker->onMessage = [&](UdpConnectionPtr connection, auto data) {
    ++calls;
    connection->send(data);
  };
  {
    RawDatagrams gone;
    for (int i = 0; i < 20; ++i) gone.send(worker->getListenPort(), "x");
  }
  RawDatagrams peer;
  peer.send(worker->getListenPort(), "still there?");
  fixture.runUntil([&] { return peer.collect(1); });
  CHECK(calls == 21);
}

TEST_CASE("udp worker: an exception goes to the connection's errorHandler, else stops all with 250") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  std::string caught;
  worker->onMessage = [&](UdpConnectionPtr connection, std::string data) {
    if (data == "handled") connection->errorHandler = [&](const std::exception& e) { caught = e.what(); };
    throw std::runtime_error(data);
  };
  RawDatagrams peer;
  peer.send(worker->getListenPort(), "handled");
  fixture.runUntil([&] { return caught == "handled"; });
  CHECK(Worker::getStatus() == Worker::STATUS_RUNNING);
  CapturedStderr output;
  peer.send(worker->getListenPort(), "unhandled");
  peer.send(worker->getListenPort(), "not read any more");
  fixture.runUntil([&] { return Worker::getStatus() != Worker::STATUS_RUNNING; });
  CHECK(output.text().find("std::runtime_error: unhandled") != std::string::npos);
  CHECK(output.text().find("not read") == std::string::npos);
  CHECK(worker->getMainSocket() == -1);
}

TEST_CASE("udp worker: what it cannot listen on is one clear error") {
  LoopFixture fixture;
  const auto refuses = [](const std::string& name, auto&& onMessage, const std::string& transport = "tcp") {
    const auto worker = std::make_shared<Worker>(name);
    worker->transport = transport;
    worker->onMessage = onMessage;
    std::string said;
    try {
      worker->listen();
    } catch (const std::exception& e) {
      said = e.what();
    }
    CHECK(worker->getMainSocket() == -1);
    return said;
  };
  const auto contains = [](const std::string& text, const std::string& part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  };
  const std::string udp = "udp://127.0.0.1:0";
  contains(refuses(udp, [](auto, auto) {}),
           "auto means on a Worker: declare UdpConnectionPtr or ConnectionPtr");
  contains(refuses(udp, [](TcpConnectionPtr, auto) {}), "declare UdpConnectionPtr or ConnectionPtr");
  contains(refuses(udp, [](UdpConnectionPtr, nlohmann::json&) {}), "declare std::string_view (or auto)");
  contains(refuses("udp://127.0.0.1", nullptr), "the port is missing");
  contains(refuses("udp://192.0.2.1:0", nullptr), "Cannot assign requested address");
  contains(refuses("udp://no.such.host.invalid:0", nullptr), "is no IP address");
  for (const std::string scheme : {"websocket", "ws"}) {
    contains(refuses(scheme + "://127.0.0.1:0", nullptr, "udp"),
             scheme + ":// is spoken in streams, not in datagrams (udp)");
  }
  const auto first = testing::listenOn("udp");
  contains(refuses(testing::addressOf(*first, "udp"), nullptr), "Address already in use");
}

TEST_CASE("udp worker: reusePort lets a second socket listen on the same port") {
  Worker first("udp://127.0.0.1:0");
  first.reusePort = true;
  LoopFixture fixture;
  const auto second = std::make_shared<Worker>(testing::addressOf(first, "udp"),
                                               SocketContext{.socket = {.so_reuseport = true}});
  second->listen();
  CHECK(second->getListenPort() == first.getListenPort());
  int calls = 0;
  first.onMessage = [&] { ++calls; };
  second->onMessage = [&] { ++calls; };
  RawDatagrams peer;
  peer.send(first.getListenPort(), "x");
  fixture.runUntil([&] { return calls == 1; });
}

TEST_CASE("udp worker: so_broadcast is set when it is asked for") {
  LoopFixture fixture;
  for (const bool wanted : {false, true}) {
    const auto worker =
        std::make_shared<Worker>("udp://127.0.0.1:0", SocketContext{.socket = {.so_broadcast = wanted}});
    worker->listen();
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(::getsockopt(worker->getMainSocket(), SOL_SOCKET, SO_BROADCAST, &value, &size) == 0);
    CHECK((value != 0) == wanted);
  }
}

TEST_CASE("udp worker: stops, forgets its port, and can be embedded again") {
  testing::HostLoop host;
  Worker worker("udp://127.0.0.1:0");
  int calls = 0;
  worker.onMessage = [&](UdpConnectionPtr connection, auto data) {
    ++calls;
    connection->send(data);
  };
  for (std::size_t round = 1; round <= 2; ++round) {
    Worker::embed(host.get());
    {
      Ticker ticker;
      RawDatagrams peer;
      peer.send(worker.getListenPort(), "again");
      CHECK(host.runUntil([&] { return peer.collect(1); }));
    }
    CHECK(calls == static_cast<int>(round));
    Worker::stopAll();
    CHECK(worker.getListenPort() == 0);
    CHECK(host.runUntil([] { return Worker::getStatus() == Worker::STATUS_INITIAL; }));
  }
}
