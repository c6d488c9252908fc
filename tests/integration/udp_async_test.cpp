// AsyncUdpConnection: connecting, sending before and after, closing, and what goes wrong.

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
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

namespace {

std::string addressOf(const RawDatagrams& peer, const std::string& host = "127.0.0.1") {
  return "udp://" + host + ":" + std::to_string(peer.port());
}

/// Writes down the callbacks that run; `token` expires when they are released.
struct UdpJournal {
  std::string text;
  std::weak_ptr<int> token;

  void record(AsyncUdpConnection& connection) {
    const auto held = std::make_shared<int>(0);
    token = held;
    connection.onConnect = [this, held] { text += "connect "; };
    connection.onMessage = [this, held](auto, auto data) { text += "message:" + std::string(data) + " "; };
    connection.onClose = [this, held] { text += "close "; };
  }
};

}  // namespace

TEST_CASE("async udp: the manual's example") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("udp");
  worker->onMessage = [](UdpConnectionPtr connection, auto data) {
    CHECK(data == "hi");
    connection->send("hello");
  };
  std::string got;
  bool isClosed = false;
  {
    auto udp_connection = std::make_shared<AsyncUdpConnection>(testing::addressOf(*worker, "udp"));
    udp_connection->onConnect = [](AsyncUdpConnectionPtr connection) { connection->send("hi"); };
    udp_connection->onMessage = [&](AsyncUdpConnectionPtr connection, auto data) {
      got = data;
      connection->close();
    };
    udp_connection->onClose = [&](auto connection) {
      isClosed = true;
      CHECK(connection->getSocket() == -1);
    };
    udp_connection->connect();
  }
  fixture.runUntil([&] { return isClosed; });
  CHECK(got == "hello");
}

TEST_CASE(
    "async udp: onConnect comes after connect() has returned, then messages; close releases the callbacks") {
  UdpJournal journal;
  LoopFixture fixture;
  RawDatagrams peer;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  std::weak_ptr<AsyncUdpConnection> weak = connection;
  journal.record(*connection);
  CHECK(connection->getSocket() == -1);
  CHECK(connection->getRemoteAddress() == "127.0.0.1:" + std::to_string(peer.port()));
  connection->connect();
  connection->connect();
  CHECK(journal.text.empty());
  CHECK(connection->getSocket() >= 0);
  CHECK(connection->getLocalIp() == "127.0.0.1");
  CHECK(connection->getRemoteIp() == "127.0.0.1");
  CHECK(connection->getRemotePort() == peer.port());
  CHECK(connection->isIpV4());
  CHECK(connection->eventLoop == Worker::globalEvent);
  peer.send(connection->getLocalPort(), "one");
  peer.send(connection->getLocalPort(), "");
  peer.send(connection->getLocalPort(), "two");
  fixture.runUntil([&] { return journal.text.find("two") != std::string::npos; });
  CHECK(journal.text == "connect message:one message: message:two ");
  connection->close();
  CHECK(journal.text == "connect message:one message: message:two close ");
  CHECK(journal.token.expired());
  CHECK(connection->eventLoop == nullptr);
  const auto failed = ConnectionInterface::statistics.send_fail;
  CHECK(connection->send("late") == false);
  CHECK(ConnectionInterface::statistics.send_fail == failed + 1);
  connection->close("again");
  CHECK(connection->getRemotePort() == peer.port());
  connection.reset();
  CHECK(weak.expired());
}

TEST_CASE("async udp: sends before onConnect leave at once; send() connects by itself") {
  UdpJournal journal;
  LoopFixture fixture;
  Ticker ticker;
  RawDatagrams peer;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  journal.record(*connection);
  CHECK(connection->send("first") == true);
  CHECK(connection->send("second", true) == true);
  CHECK_THROWS_AS(connection->send(nlohmann::json{1}), std::invalid_argument);
  fixture.runUntil([&] { return peer.collect(2) && journal.text == "connect "; });
  CHECK(peer.received == std::vector<std::string>{"first", "second"});
  CHECK(connection->send(std::string(65508, 'x')) == false);
  connection->close("last");
  fixture.runUntil([&] { return peer.collect(3); });
  CHECK(peer.received.back() == "last");
  CHECK(journal.text == "connect close ");
}

TEST_CASE("async udp: only the peer is heard") {
  UdpJournal journal;
  LoopFixture fixture;
  RawDatagrams peer, stranger;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  journal.record(*connection);
  connection->connect();
  stranger.send(connection->getLocalPort(), "not for you");
  peer.send(connection->getLocalPort(), "for you");
  fixture.runUntil([&] { return journal.text == "connect message:for you "; });
}

TEST_CASE("async udp: IPv6, localhost, a bound end and broadcasting") {
  LoopFixture fixture;
  Ticker ticker;
  RawDatagrams six(true), four;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(six, "[::1]"));
  CHECK(connection->send("six") == true);
  CHECK(connection->getRemoteAddress() == "[::1]:" + std::to_string(six.port()));
  CHECK(connection->getRemoteIp() == "::1");
  CHECK(connection->isIpV6());
  fixture.runUntil([&] { return six.collect(1); });
  auto byName = std::make_shared<AsyncUdpConnection>(addressOf(four, "localhost"));
  CHECK(byName->send("four") == true);
  CHECK(byName->getRemoteIp() == "127.0.0.1");
  RawDatagrams taken;
  const SocketContext bound{.socket = {.bindto = "127.0.0.2:0", .so_broadcast = true}};
  auto bindsTo = std::make_shared<AsyncUdpConnection>(addressOf(four), bound);
  CHECK(bindsTo->send("bound") == true);
  CHECK(bindsTo->getLocalIp() == "127.0.0.2");
  int value = 0;
  socklen_t size = sizeof value;
  CHECK(::getsockopt(bindsTo->getSocket(), SOL_SOCKET, SO_BROADCAST, &value, &size) == 0);
  CHECK(value != 0);
  fixture.runUntil([&] { return four.collect(2); });
  CHECK(four.lastPeer == bindsTo->getLocalPort());
}

TEST_CASE("async udp: a name is resolved without blocking; what was sent meanwhile leaves before onConnect") {
  UdpJournal journal;
  LoopFixture fixture;
  Ticker ticker;
  RawDatagrams peer;
  // No literal for inet_pton, so it takes the way of a name.
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer, "127.1"));
  journal.record(*connection);
  connection->onConnect = [&](auto self) {
    journal.text += "connect ";
    self->send("from onConnect");
  };
  connection->connect();
  CHECK(connection->send("early") == nullptr);
  CHECK(connection->send("also early") == nullptr);
  const auto failed = ConnectionInterface::statistics.send_fail;
  CHECK(connection->send(std::string(1024 * 1024, 'x')) == false);
  CHECK(ConnectionInterface::statistics.send_fail == failed + 1);
  CHECK(connection->getSocket() == -1);
  CHECK(connection->getRemoteIp() == "127.1");
  fixture.runUntil([&] { return peer.collect(3); });
  CHECK(peer.received == std::vector<std::string>{"early", "also early", "from onConnect"});
  CHECK(connection->getRemoteIp() == "127.0.0.1");
  CHECK(journal.text == "connect ");
}

TEST_CASE("async udp: close() while a name is resolved") {
  UdpJournal nothingToSay, lastWords;
  LoopFixture fixture;
  Ticker ticker;
  RawDatagrams peer;
  auto first = std::make_shared<AsyncUdpConnection>(addressOf(peer, "127.1"));
  nothingToSay.record(*first);
  first->connect();
  first->close();
  CHECK(nothingToSay.text == "close ");
  auto second = std::make_shared<AsyncUdpConnection>(addressOf(peer, "127.1"));
  lastWords.record(*second);
  second->connect();
  second->close("last words");
  CHECK(second->send("too late") == false);
  CHECK(lastWords.text.empty());
  fixture.runUntil([&] { return peer.collect(1) && lastWords.text == "close "; });
  CHECK(peer.received[0] == "last words");
  fixture.turn(3);
  CHECK(nothingToSay.text == "close ");
}

TEST_CASE("async udp: what cannot be made is logged, then onClose tells of it") {
  LoopFixture fixture;
  const std::string port = ":9";
  for (const std::string host : {"no.such.host.invalid", "255.255.255.255"}) {
    CAPTURE(host);
    CapturedStderr output;
    UdpJournal journal;
    auto connection = std::make_shared<AsyncUdpConnection>("udp://" + host + port);
    journal.record(*connection);
    connection->connect();
    CHECK(journal.text.empty());
    fixture.runUntil([&] { return journal.text == "close "; });
    CHECK(output.text().find("connect udp://" + host + port + " fail: ") != std::string::npos);
    CHECK(journal.token.expired());
  }
}

TEST_CASE("async udp: onError tells what cannot be made, and what cannot be sent") {
  LoopFixture fixture;
  CapturedStderr log;
  std::string journal;
  const auto record = [&](const std::shared_ptr<AsyncUdpConnection>& connection) {
    connection->onError = [&](AsyncUdpConnectionPtr con, int code, std::string_view text) {
      CHECK_FALSE(text.empty());
      journal += "error " + std::to_string(code) + " ";
      // It cannot be sent either, and is not told again.
      con->send(std::string(70'000, 'x'));
    };
    connection->onClose = [&] { journal += "close "; };
  };
  const auto unmade = std::make_shared<AsyncUdpConnection>(
      "udp://127.0.0.1:9", SocketContext{.socket = {.bindto = "192.0.2.1:0"}});
  record(unmade);
  unmade->connect();
  fixture.runUntil([&] { return journal.ends_with("close "); });
  CHECK(journal == "error 1 close ");
  CHECK(log.text().empty());
  journal.clear();
  const RawDatagrams peer;
  const auto made = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  record(made);
  made->onConnect = [](AsyncUdpConnectionPtr con) {
    CHECK(con->send(std::string(70'000, 'x')) == false);
    con->close();
  };
  made->connect();
  fixture.runUntil([&] { return journal.ends_with("close "); });
  CHECK(journal == "error 2 close ");
}

TEST_CASE("async udp: a port where nobody listens costs nothing but the datagrams") {
  UdpJournal journal;
  LoopFixture fixture;
  int port = 0;
  {
    RawDatagrams gone;
    port = gone.port();
  }
  auto connection = std::make_shared<AsyncUdpConnection>("udp://127.0.0.1:" + std::to_string(port));
  journal.record(*connection);
  // Each of them is answered by ICMP; the error that it leaves does not eat the next one.
  for (int i = 0; i < 5; ++i) CHECK(connection->send("anybody?") == true);
  bool hasRung = false;
  int iterations = 0;
  Timer::add(
      0.03, [&] { hasRung = true; }, {}, false);
  fixture.runUntil([&] {
    ++iterations;
    return hasRung;
  });
  CHECK(iterations < 20);  // nothing spins
  CHECK(connection->send("anybody?") == true);
  CHECK(journal.text == "connect ");
  CHECK(connection->getSocket() >= 0);
}

TEST_CASE("async udp: connect() inside onClose starts anew with the callbacks; later it has none") {
  LoopFixture fixture;
  RawDatagrams peer;
  std::string journal;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  connection->onConnect = [&](auto self) {
    journal += "connect ";
    if (journal.size() < 20) self->close();
  };
  connection->onClose = [&](auto self) {
    journal += "close ";
    self->connect();
    CHECK(self->getSocket() == -1);
  };
  connection->connect();
  fixture.runUntil([&] { return journal == "connect close connect "; });
  connection->onClose = [&](auto self) {
    journal = "over";
    self->connect();
    self->close();
  };
  connection->close();
  CHECK(journal == "over");
  CHECK(connection->getSocket() == -1);
  CHECK(connection->onConnect == nullptr);
  connection->connect();
  CHECK(connection->getSocket() >= 0);
  fixture.turn(2);
  CHECK(journal == "over");
  connection->close();
  CHECK(journal == "over");
}

TEST_CASE("async udp: closed, and connected again, in the middle of a batch") {
  LoopFixture fixture;
  RawDatagrams peer;
  std::string journal;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  connection->onMessage = [&](auto self, auto data) {
    journal += data;
    if (data == "a") self->onClose = [](auto closed) { closed->connect(); };
    self->close();
  };
  connection->connect();
  for (const std::string letter : {"a", "b", "c"}) peer.send(connection->getLocalPort(), letter);
  fixture.runUntil([&] { return !journal.empty(); });
  fixture.turn(3);
  CHECK(journal == "a");
  REQUIRE(connection->getSocket() >= 0);
  connection->onClose = nullptr;
  peer.send(connection->getLocalPort(), "d");
  fixture.runUntil([&] { return journal == "ad"; });
  CHECK(connection->getSocket() == -1);
}

TEST_CASE("async udp: exceptions of callbacks go to errorHandler, else stop all with 250") {
  LoopFixture fixture;
  CapturedStderr output;
  RawDatagrams peer;
  std::string caught;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  connection->errorHandler = [&](const std::exception& e) { caught += e.what(); };
  connection->onConnect = [] { throw std::runtime_error("c"); };
  connection->onMessage = [](auto, auto) { throw std::runtime_error("m"); };
  connection->onClose = [] { throw std::runtime_error("x"); };
  connection->connect();
  peer.send(connection->getLocalPort(), "hi");
  fixture.runUntil([&] { return caught == "cm"; });
  connection->close();
  CHECK(caught == "cmx");
  connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  connection->onConnect = [] { throw std::runtime_error("nobody takes it"); };
  connection->connect();
  fixture.runUntil([&] { return Worker::getStatus() != Worker::STATUS_RUNNING; });
  CHECK(output.text().find("nobody takes it") != std::string::npos);
}

TEST_CASE("async udp: misuse is told by an exception") {
  const auto throws = [](const std::string& address) {
    try {
      AsyncUdpConnection connection(address);
    } catch (const std::exception& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  CHECK(throws("tcp://127.0.0.1:1") == "AsyncUdpConnection: tcp:// is for AsyncTcpConnection");
  CHECK(throws("udp://127.0.0.1").find("the port is missing") != std::string::npos);
  CHECK(throws("udp://127.0.0.1:x").find("the port is not a number") != std::string::npos);
  CHECK(throws("nonsense://127.0.0.1:1").find("unknown protocol") != std::string::npos);
  auto early = std::make_shared<AsyncUdpConnection>("udp://127.0.0.1:1");
  CHECK_THROWS_WITH_AS(early->connect(), doctest::Contains("no event loop"), std::runtime_error);
  LoopFixture fixture;
  AsyncUdpConnection onStack("udp://127.0.0.1:1");
  CHECK_THROWS_WITH_AS(onStack.connect(), doctest::Contains("make_shared<AsyncUdpConnection>"),
                       std::logic_error);
  CHECK_THROWS_AS(onStack.send("x"), std::logic_error);
  auto ws = std::make_shared<AsyncUdpConnection>("ws://127.0.0.1:1");
  CHECK_THROWS_WITH_AS(ws->connect(), doctest::Contains("is spoken in streams"), std::runtime_error);
  CHECK_THROWS_AS(ws->send("x"), std::invalid_argument);
  auto typed = std::make_shared<AsyncUdpConnection>("text://127.0.0.1:1");
  typed->onMessage = [](AsyncUdpConnectionPtr, nlohmann::json&) {};
  CHECK_THROWS_WITH_AS(typed->connect(), doctest::Contains("declare std::string_view"), std::runtime_error);
  auto bound =
      std::make_shared<AsyncUdpConnection>("udp://127.0.0.1:1", SocketContext{.socket = {.bindto = "x"}});
  CHECK_THROWS_AS(bound->connect(), std::invalid_argument);
  CHECK_THROWS_AS(bound->close(1000), std::logic_error);
}

TEST_CASE("async udp: handles of its bases, and values of one's own") {
  LoopFixture fixture;
  RawDatagrams peer;
  int seen = 0;
  auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer));
  connection->context["count"] = 1;
  connection->onConnect = [&](UdpConnectionPtr self) { seen += self->context.get<int>("count"); };
  connection->onMessage = [&](ConnectionPtr self, const std::string& data) {
    seen += data == "x" ? 2 : 0;
    self->close();
  };
  connection->connect();
  peer.send(connection->getLocalPort(), "x");
  fixture.runUntil([&] { return seen == 3; });
}

TEST_CASE("async udp: a stop closes all, those that still wait for a name within stopTimeout") {
  testing::HostLoop host;
  RawDatagrams peer;
  std::string journal;
  for (int round = 0; round < 2; ++round) {
    journal.clear();
    Worker::embed(host.get());
    for (const std::string name : {"127.0.0.1", "127.1"}) {
      auto connection = std::make_shared<AsyncUdpConnection>(addressOf(peer, name));
      connection->onClose = [&](auto self) {
        journal += "close ";
        self->connect();
      };
      connection->connect();
      connection->send("x");
    }
    Worker::stopAll();
    CHECK(host.runUntil([] { return Worker::getStatus() == Worker::STATUS_INITIAL; }));
    CHECK(journal == "close close ");
  }
}
