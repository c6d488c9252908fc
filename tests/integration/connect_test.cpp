// How a client's connection comes about, or does not.

#include <netinet/tcp.h>
#include <unistd.h>

#include <stdexcept>

#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::Journal;
using testing::LoopFixture;
using testing::RawListener;

namespace {

std::string messageOf(const std::function<void()>& throwing) {
  try {
    throwing();
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A package is a line; a message is how long the line was.
struct Measured {
  static std::size_t input(std::string_view buffer) { return buffer.find('\n') + 1; }
  static int decode(std::string_view package) { return static_cast<int>(package.size()); }
};

void registerMeasured() {
  static const bool done = (Protocols::add<Measured>("Measured"), true);
  static_cast<void>(done);
}

/// Connects, exchanges a word with a text:// worker listening on `listenAddress`, closes.
void checkExchange(const std::string& listenAddress, const std::function<std::string(const Worker&)>& where) {
  CAPTURE(listenAddress);
  LoopFixture fixture;
  const auto server = std::make_shared<Worker>(listenAddress);
  server->listen();
  server->onMessage = [](auto connection, auto data) { connection->send(data); };
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(where(*server));
  journal.record(*client);
  client->connect();
  CHECK(client->send("hi") == nullptr);
  fixture.runUntil([&] { return journal.has("message:hi"); });
  client->close();
  CHECK(journal.text == "connect drain message:hi close ");
}

}  // namespace

TEST_CASE("connect: IPv4, IPv6 and unix addresses, and names") {
  const auto at = [](const std::string& host) {
    return [host](const Worker& worker) {
      return "text://" + host + ":" + std::to_string(worker.getListenPort());
    };
  };
  checkExchange("text://127.0.0.1:0", at("127.0.0.1"));
  checkExchange("text://[::1]:0", at("[::1]"));
  // Where localhost is ::1 too, that one refuses.
  checkExchange("text://127.0.0.1:0", at("localhost"));
}

TEST_CASE("connect: unix sockets") {
  const std::string path = "/tmp/workerman-test-" + std::to_string(::getpid()) + ".sock";
  LoopFixture fixture;
  const auto server = std::make_shared<Worker>("unix://" + path);
  server->listen();
  server->onMessage = [](auto connection, auto data) { connection->send(data); };
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>("unix://" + path);
  journal.record(*client);
  client->connect();
  client->send("hi");
  fixture.runUntil([&] { return journal.has("message:hi"); });
  CHECK(std::string(client->transport) == "unix");
  client->close();
  server->stop();
  CHECK(::access(path.c_str(), F_OK) != 0);
  auto late = std::make_shared<AsyncTcpConnection>("unix://" + path);
  Journal lateJournal;
  lateJournal.record(*late);
  late->connect();
  CHECK(lateJournal.text.empty());
  fixture.runUntil([&] { return lateJournal.has("close"); });
  CHECK(lateJournal.text == "error:1 close ");
  CHECK(contains(lateJournal.error, path));
  CHECK(contains(lateJournal.error, "No such file"));
}

TEST_CASE("connect: a name that nobody knows is onError(CONNECT_FAIL), then onClose") {
  LoopFixture fixture;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>("tcp://no-such-host.invalid:80");
  journal.record(*client);
  client->connect();
  CHECK(journal.text.empty());
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error:1 close ");
  CHECK(contains(journal.error, "cannot look up no-such-host.invalid"));
}

TEST_CASE("connect: closing while the name is looked up") {
  LoopFixture fixture;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>("tcp://localhost:1");
  journal.record(*client);
  client->connect();
  client->close();
  CHECK(journal.text == "close ");
  client.reset();
  fixture.turn(5);
  CHECK(journal.text == "close ");
}

TEST_CASE("connect: bindto chooses the local end") {
  LoopFixture fixture;
  const testing::RefusingPort free;  // its number, for the message below
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address(),
                                                     SocketContext{.socket = {.bindto = "127.0.0.2:0"}});
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("connect"); });
  CHECK(client->getLocalIp() == "127.0.0.2");
  client->destroy();

  const std::string foreign = "192.0.2.1:0";  // RFC 5737: no interface here has it
  auto failing =
      std::make_shared<AsyncTcpConnection>(listener.address(), SocketContext{.socket = {.bindto = foreign}});
  Journal failed;
  failed.record(*failing);
  failing->connect();
  fixture.runUntil([&] { return failed.has("close"); });
  CHECK(failed.text == "error:1 close ");
  CHECK(contains(failed.error, "cannot bind to " + foreign));

  auto bad = std::make_shared<AsyncTcpConnection>(listener.address(),
                                                  SocketContext{.socket = {.bindto = "nonsense"}});
  CHECK_THROWS_AS(bad->connect(), std::invalid_argument);
  CHECK(bad->getStatus() == TcpConnection::STATUS_INITIAL);
  CHECK(bad.use_count() == 1);
}

TEST_CASE("connect: a socket that reached itself is refused") {
  LoopFixture fixture;
  std::string self;
  {
    const testing::RefusingPort port;
    self = "127.0.0.1:" + std::to_string(port.port());
  }
  auto client =
      std::make_shared<AsyncTcpConnection>("tcp://" + self, SocketContext{.socket = {.bindto = self}});
  Journal journal;
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error:1 close ");
}

TEST_CASE("connect: TCP_NODELAY and keep-alive as PHP sets them") {
  LoopFixture fixture;
  RawListener listener;
  for (const bool noDelay : {true, false}) {
    SocketContext context;
    if (!noDelay) context.socket.tcp_nodelay = false;
    auto client = std::make_shared<AsyncTcpConnection>(listener.address(), context);
    client->connect();
    fixture.runUntil([&] { return client->getSocket() >= 0; });
    const auto option = [&](int level, int name) {
      int value = -1;
      socklen_t size = sizeof value;
      CHECK(::getsockopt(client->getSocket(), level, name, &value, &size) == 0);
      return value;
    };
    CHECK((option(IPPROTO_TCP, TCP_NODELAY) != 0) == noDelay);
    CHECK(option(SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(IPPROTO_TCP, TCP_KEEPIDLE) == TcpConnection::TCP_KEEPALIVE_INTERVAL);
    CHECK(option(IPPROTO_TCP, TCP_KEEPINTVL) == TcpConnection::TCP_KEEPALIVE_INTERVAL);
    client->destroy();
  }
}

TEST_CASE("connect: misuse throws, and says what to do") {
  {
    LoopFixture fixture;
    AsyncTcpConnection onStack("tcp://127.0.0.1:1");
    CHECK(contains(messageOf([&] { onStack.connect(); }), "std::make_shared<AsyncTcpConnection>"));
    CHECK(contains(messageOf([&] { onStack.reConnect(); }), "std::make_shared<AsyncTcpConnection>"));
    CHECK(contains(messageOf([&] { onStack.reConnect(1); }), "std::make_shared<AsyncTcpConnection>"));
  }
  auto noLoop = std::make_shared<AsyncTcpConnection>("tcp://127.0.0.1:1");
  CHECK(contains(messageOf([&] { noLoop->connect(); }), "no event loop"));
  CHECK(contains(messageOf([&] { noLoop->reConnect(1); }), "no event loop"));
  CHECK(noLoop->getStatus() == TcpConnection::STATUS_INITIAL);
  for (const char* address : {"", "tcp://", "tcp://host:99999", "tcp://[::1", "nosuchprotocol://x:1",
                              "udp://127.0.0.1:1", "tcp://127.0.0.1:x"}) {
    CAPTURE(std::string(address));
    CHECK_FALSE(messageOf([&] { AsyncTcpConnection bad(address); }).empty());
  }
}

TEST_CASE("connect: a callback that does not fit the protocol is one clear error") {
  registerMeasured();
  LoopFixture fixture;
  RawListener listener;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address("Measured"));
  client->onMessage = [](TcpConnectionPtr, std::string_view) {};
  const std::string atConnect = messageOf([&] { client->connect(); });
  CHECK(contains(atConnect, "int"));
  CHECK(contains(atConnect, "string_view"));
  CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
  client->onMessage = [](TcpConnectionPtr, int) {};
  client->connect();
  CHECK(client->getStatus() == TcpConnection::STATUS_CONNECTING);
  client->destroy();

  auto text = std::make_shared<AsyncTcpConnection>(listener.address("text"));
  text->onMessage = [](TcpConnectionPtr, int) {};
  CHECK(contains(messageOf([&] { text->connect(); }), "int"));

  const auto server = std::make_shared<Worker>("Measured://127.0.0.1:0");
  server->onMessage = [](TcpConnectionPtr, std::string_view) {};
  const std::string atListen = messageOf([&] { server->listen(); });
  CHECK(contains(atListen, "cannot listen on Measured://127.0.0.1:0"));
  CHECK(contains(atListen, "string_view"));
  CHECK(server->getListenPort() == 0);
  server->onMessage = [](TcpConnectionPtr, int) {};
  server->listen();
  CHECK(server->getListenPort() != 0);
}

TEST_CASE("connect: a second connect() does nothing, connecting or connected") {
  LoopFixture fixture;
  RawListener listener;
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(listener.address());
  journal.record(*client);
  client->connect();
  client->connect();
  fixture.runUntil([&] { return journal.has("connect"); });
  client->connect();
  fixture.turn(5);
  CHECK(journal.text == "connect ");
  auto first = listener.accept();
  CHECK(first);
  CHECK_FALSE(listener.accept());
  CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  client->destroy();
}

TEST_CASE("connect: the local handle may go out of scope; the framework keeps it") {
  LoopFixture fixture;
  RawListener listener;
  Journal journal;
  {
    auto client = std::make_shared<AsyncTcpConnection>(listener.address());
    journal.record(*client);
    client->connect();
  }
  fixture.runUntil([&] { return journal.has("connect"); });
  listener.accept().send("hi");
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "connect message:hi close ");
}

TEST_CASE("connect: getters of the address as given") {
  const AsyncTcpConnection plain("tcp://localhost:81");
  CHECK(plain.getRemoteHost() == "localhost");
  CHECK(plain.getRemoteURI() == "/");
  CHECK(plain.getRemoteAddress() == "localhost:81");
  CHECK(plain.getStatus(false) == "INITIAL");
  const AsyncTcpConnection path("ws://[::1]:80/chat?room=1");
  CHECK(path.getRemoteHost() == "::1");
  CHECK(path.getRemoteURI() == "/chat?room=1");
}
