// The system refuses to watch a socket, to accept or to receive: for a moment, or for good.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <cerrno>
#include <memory>
#include <string>

#include "../support/captured_stderr.h"
#include "../support/failing_calls.h"
#include "../support/loop_fixture.h"
#include "../support/raw_datagrams.h"
#include "../support/raw_peer.h"

using testing::CapturedStderr;
using testing::FailingCalls;
using testing::failTimes;
using testing::LoopFixture;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncUdpConnection;
using Workerman::Connection::TcpConnection;
using Workerman::Connection::UdpConnectionPtr;

namespace {

std::size_t countOf(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

/// A client that says hello, and what has come back.
std::shared_ptr<AsyncTcpConnection> helloTo(const Worker& worker, std::string& got) {
  const auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(worker, "text"));
  client->onMessage = [&got](auto, std::string_view data) { got += data; };
  client->send("hello");
  client->connect();
  return client;
}

}  // namespace

TEST_CASE("watch failures: a listener that the system does not watch tries again, and says so once") {
  for (const int error : {ENOSPC, ENOMEM}) {
    CAPTURE(error);
    LoopFixture fixture;
    CapturedStderr log;
    FailingCalls calls;
    calls.epollControl = failTimes(error, 3);
    const auto worker = testing::listenOn("text");
    CHECK(calls.failed == 1);
    worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
    // Meanwhile paused and resumed: that tries at once.
    worker->pauseAccept();
    worker->resumeAccept();
    CHECK(calls.failed == 2);
    fixture.runUntil([&] { return calls.failed == 3; });
    std::string got;
    const auto client = helloTo(*worker, got);
    fixture.runUntil([&] { return got == "hello"; });
    CHECK(countOf(log.text(), "watching: ") == 1);
    CHECK(log.text().find(worker->getSocketName() + ": watching: ") != std::string::npos);
    client->destroy();
  }
}

TEST_CASE("watch failures: a listener that is paused while it waits for another try stays paused") {
  LoopFixture fixture;
  CapturedStderr log;
  FailingCalls calls;
  calls.epollControl = failTimes(ENOSPC, 1);
  const auto worker = testing::listenOn("text");
  worker->pauseAccept();
  std::string got;
  worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
  const auto client = helloTo(*worker, got);
  bool isLater = false;
  Workerman::Timer::delay(0.3, [&] { isLater = true; });
  fixture.runUntil([&] { return isLater; });
  CHECK(worker->connections.size() == 0);
  worker->resumeAccept();
  fixture.runUntil([&] { return got == "hello"; });
  client->destroy();
}

TEST_CASE(
    "watch failures: accept that fails for good neither spins nor is silent, and what waited is served after "
    "it") {
  for (const int error : {EPERM, EINVAL, ENOSYS, ECONNABORTED, EPROTO}) {
    CAPTURE(error);
    LoopFixture fixture;
    CapturedStderr log;
    FailingCalls calls;
    bool isBroken = true;
    calls.accept = [&] { return isBroken ? error : 0; };
    const auto worker = testing::listenOn("text");
    worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
    std::string got;
    const auto client = helloTo(*worker, got);
    bool isLater = false;
    fixture.runUntil([&] { return calls.failed != 0; });
    Workerman::Timer::delay(0.5, [&] { isLater = true; });
    fixture.runUntil([&] { return isLater; });
    // Five rests at most in that time, with sixteen tries each at most: far from the thousands of a loop that
    // spins.
    CHECK(calls.failed <= 120);
    CHECK(countOf(log.text(), worker->getSocketName() + ": accept: ") == 1);
    isBroken = false;
    fixture.runUntil([&] { return got == "hello"; });
    client->destroy();
  }
}

TEST_CASE("watch failures: one connection that is gone before it is accepted does not hold up the next") {
  LoopFixture fixture;
  CapturedStderr log;
  FailingCalls calls;
  calls.accept = failTimes(ECONNABORTED, 2);
  const auto worker = testing::listenOn("text");
  worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
  std::string got;
  const auto client = helloTo(*worker, got);
  fixture.runUntil([&] { return got == "hello"; });
  CHECK(calls.failed == 2);
  CHECK(log.text().empty());
  client->destroy();
}

TEST_CASE(
    "watch failures: a client whose socket the system does not watch hears of it, and may connect anew") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
  FailingCalls calls;
  calls.epollControl = failTimes(ENOSPC, 1);
  const auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  std::string told, got;
  int closes = 0;
  client->onError = [&](auto, int code, std::string_view message) {
    CHECK(code == TcpConnection::CONNECT_FAIL);
    told = message;
  };
  client->onClose = [&](auto connection) {
    ++closes;
    connection->reConnect();
  };
  client->onConnect = [](auto connection) { connection->send("hello"); };
  client->onMessage = [&](auto, std::string_view data) { got = data; };
  client->connect();
  CHECK(told.empty());  // never before connect() returns
  fixture.runUntil([&] { return got == "hello"; });
  CHECK(told.find("No space left on device") != std::string::npos);
  CHECK(closes == 1);
  client->onClose = nullptr;
  client->destroy();
}

TEST_CASE("watch failures: on the way to a proxy they are the connection's failure") {
  LoopFixture fixture;
  testing::RawListener listener;
  FailingCalls calls;
  int watches = 0;
  // The first is for connecting, the second for the proxy's answer.
  calls.epollControl = [&](int) { return ++watches == 2 ? ENOMEM : 0; };
  const auto client = std::make_shared<AsyncTcpConnection>("tcp://example.com:80");
  client->proxyHttp = "127.0.0.1:" + std::to_string(listener.port());
  std::string told;
  bool isClosed = false;
  client->onError = [&](auto, int, std::string_view message) { told = message; };
  client->onClose = [&] { isClosed = true; };
  client->connect();
  fixture.runUntil([&] { return isClosed; });
  CHECK(told.find("Cannot allocate memory while waiting for the HTTP proxy's answer") != std::string::npos);
}

TEST_CASE("watch failures: a udp:// worker tries again, to watch and to receive") {
  LoopFixture fixture;
  testing::Ticker ticker;
  CapturedStderr log;
  FailingCalls calls;
  calls.epollControl = failTimes(ENOMEM, 2);
  const auto worker = testing::listenOn("udp");
  worker->onMessage = [](UdpConnectionPtr connection, std::string_view data) { connection->send(data); };
  testing::RawDatagrams peer;
  peer.send(worker->getListenPort(), "one");
  fixture.runUntil([&] { return peer.collect(1); });
  CHECK(calls.failed == 2);
  CHECK(countOf(log.text(), worker->getSocketName() + ": watching: ") == 1);
  bool isBroken = true, isLater = false;
  calls.failed = 0;
  calls.receiveMany = [&] { return isBroken ? EPERM : 0; };
  peer.send(worker->getListenPort(), "two");
  fixture.runUntil([&] { return calls.failed != 0; });
  Workerman::Timer::delay(0.5, [&] { isLater = true; });
  fixture.runUntil([&] { return isLater; });
  CHECK(calls.failed <= 10);
  isBroken = false;
  fixture.runUntil([&] { return peer.collect(2); });
  CHECK(peer.received[1] == "two");
}

TEST_CASE("watch failures: an AsyncUdpConnection tries again, to watch and to receive") {
  LoopFixture fixture;
  testing::Ticker ticker;
  CapturedStderr log;
  const auto worker = testing::listenOn("udp");
  worker->onMessage = [](UdpConnectionPtr connection, std::string_view data) { connection->send(data); };
  const auto client =
      std::make_shared<AsyncUdpConnection>("udp://127.0.0.1:" + std::to_string(worker->getListenPort()));
  std::string got;
  client->onMessage = [&](auto, std::string_view data) { got += data; };
  client->onConnect = [](auto connection) { connection->send("one"); };
  FailingCalls calls;
  calls.epollControl = failTimes(ENOSPC, 1);
  client->connect();
  fixture.runUntil([&] { return got == "one"; });
  CHECK(calls.failed == 1);
  CHECK(countOf(log.text(), ": watching: No space left on device") == 1);
  // Of the two sockets only the client's is failed: the worker has what it was sent.
  int failures = 0;
  worker->onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
    connection->send(data);
    failures = 1;
  };
  calls.receiveMany = [&] { return failures > 0 && failures++ < 3 ? EPERM : 0; };
  client->send("two");
  fixture.runUntil([&] { return got == "onetwo"; });
  CHECK(calls.failed >= 2);
  client->close();
}

TEST_CASE("watch failures: behind a proxyProtocol they refuse the one, and the listener goes on") {
  LoopFixture fixture;
  testing::Ticker ticker;
  CapturedStderr log;
  const auto worker = std::make_shared<Worker>("text://127.0.0.1:0");
  worker->proxyProtocol = true;
  worker->trustedProxies = {"127.0.0.1"};
  worker->onMessage = [](auto connection, std::string_view data) { connection->send(data); };
  worker->listen();
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<std::uint16_t>(worker->getListenPort()));
  const auto dial = [&] {
    testing::RawSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
    REQUIRE(::fcntl(socket.fd(), F_SETFL, O_NONBLOCK) == 0);
    return socket;
  };
  FailingCalls calls;
  calls.epollControl = failTimes(ENOSPC, 1);
  const auto first = dial();
  fixture.runUntil([&] { return calls.failed == 1; });
  char byte = 0;
  fixture.runUntil([&] { return ::recv(first.fd(), &byte, 1, 0) == 0; });
  const auto second = dial();
  const std::string request = "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nhello\n";
  REQUIRE(::send(second.fd(), request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  std::string got(16, '\0');
  ssize_t size = 0;
  fixture.runUntil([&] { return size > 0 || (size = ::recv(second.fd(), got.data(), got.size(), 0)) > 0; });
  CHECK(got.substr(0, static_cast<std::size_t>(size)) == "hello\n");
  CHECK(log.text().find("No space left on device") != std::string::npos);
}
