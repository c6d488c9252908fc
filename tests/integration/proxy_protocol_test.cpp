// Workers behind a proxy that tells the client's address: the PROXY protocol, versions 1 and 2.

#include <sys/un.h>

#include <string>
#include <vector>

#include "support/captured_stderr.h"
#include "support/certificates.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"
#include "support/temporary_folder.h"
#include "support/wire_echo.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::Journal;
using testing::LoopFixture;
using testing::RawSocket;
using namespace std::string_literals;

namespace {

const std::string kLine = "PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\r\n";
const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kBinary = kSignature + "\x21\x21\x00\x24"s + "\x20\x01\x0d\xb8"s + std::string(11, '\0') +
                            "\x07" + std::string(16, '\x01') + "\xff\xff\x00\x50"s;
const std::string kLocal = kSignature + "\x20\x00\x00\x00"s;

/// A worker that trusts this machine's proxies.
std::shared_ptr<Worker> listenBehindProxy(const std::string& scheme) {
  auto worker = std::make_shared<Worker>(scheme + "://127.0.0.1:0");
  worker->proxyProtocol = true;
  worker->trustedProxies = {"127.0.0.0/8", "::1"};
  worker->listen();
  return worker;
}

/// Notes who connects and what comes.
struct Seen {
  Journal journal;
  std::vector<std::string> addresses;
  TcpConnectionPtr last;

  void watch(Worker& worker) {
    journal.record(worker);
    worker.onConnect = [this](auto connection) {
      addresses.push_back(connection->getRemoteAddress());
      last = connection;
    };
  }
};

bool isClosed(RawSocket& socket) {
  socket.receive();
  return socket.isAtEnd();
}

}  // namespace

TEST_CASE("proxy protocol: the client's address, whatever pieces its header comes in") {
  const struct {
    std::string header, address, ip;
    int port;
  } cases[] = {
      {kLine, "192.0.2.1:12345", "192.0.2.1", 12345},
      {kBinary, "[2001:db8::7]:65535", "2001:db8::7", 65535},
  };
  for (const auto& c : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
      CAPTURE(c.address);
      CAPTURE(piece);
      Seen seen;
      LoopFixture fixture;
      const testing::Ticker ticker;
      const auto worker = listenBehindProxy("text");
      seen.watch(*worker);
      RawSocket peer = testing::connectRaw(worker->getListenPort());
      const std::string bytes = c.header + "first\nsecond\n";
      for (std::size_t at = 0; at < bytes.size(); at += piece) {
        if (at < c.header.size()) CHECK(seen.addresses.empty());
        peer.send(bytes.substr(at, piece));
        fixture.turn(2);
      }
      fixture.runUntil([&] { return seen.journal.has("second"); });
      CHECK(seen.journal.text == "message:first message:second ");
      REQUIRE(seen.addresses == std::vector<std::string>{c.address});
      CHECK(seen.last->getRemoteIp() == c.ip);
      CHECK(seen.last->getRemotePort() == c.port);
      CHECK(seen.last->getLocalPort() == worker->getListenPort());
      CHECK(seen.last->bytesRead == 13);
    }
  }
}

TEST_CASE("proxy protocol: where the proxy speaks for itself it is the peer") {
  for (const std::string& header : {"PROXY UNKNOWN\r\n"s, kLocal}) {
    Seen seen;
    LoopFixture fixture;
    const auto worker = listenBehindProxy("tcp");
    seen.watch(*worker);
    RawSocket peer = testing::connectRaw(worker->getListenPort());
    peer.send(header);
    fixture.runUntil([&] { return !seen.addresses.empty(); });
    CHECK(seen.last->getRemoteIp() == "127.0.0.1");
  }
}

TEST_CASE("proxy protocol: below a websocket's handshake, in one piece with it") {
  std::string ip;
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = listenBehindProxy("websocket");
  worker->onWebSocketConnect = [&](auto connection) { ip = connection->getRemoteIp(); };
  worker->onMessage = [](auto connection, auto data) { connection->send(data); };
  testing::WirePeer peer(testing::connectRaw(worker->getListenPort()), testing::Role::Client);
  peer.offer(kBinary + testing::upgradeRequest());
  std::string head;
  fixture.runUntil([&] {
    peer.collect();
    if (head.empty()) head = peer.takeHead();
    return !head.empty();
  });
  CHECK(ip == "2001:db8::7");
  peer.offer(testing::text("hi").bytes(testing::Role::Client));
  fixture.runUntil([&] { return peer.collect(), !peer.words.empty(); });
  CHECK(peer.words == testing::Words{"text:hi"});
}

TEST_CASE("proxy protocol: below TLS, whose first bytes follow the header") {
  std::string ip, got;
  testing::Certificates certificates;
  LoopFixture fixture;
  const auto worker = std::make_shared<Worker>("websocket://127.0.0.1:0",
                                               SocketContext{.ssl = {.local_cert = certificates.issue()}});
  worker->transport = "ssl";
  worker->proxyProtocol = true;
  worker->trustedProxies = {"127.0.0.1"};
  worker->listen();
  worker->onMessage = [&](TcpConnectionPtr connection, std::string_view data) {
    ip = connection->getRemoteIp();
    connection->send(data);
  };
  const auto proxy = testing::listenOn("tcp");
  proxy->onConnect = [&](auto connection) {
    auto onwards = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "tcp"));
    onwards->send(kLine);
    onwards->connect();
    connection->pipe(onwards);
    onwards->pipe(connection);
  };
  auto client =
      std::make_shared<AsyncTcpConnection>("wss://localhost:" + std::to_string(proxy->getListenPort()),
                                           SocketContext{.ssl = {.cafile = certificates.cafile}});
  client->onWebSocketConnect = [](auto connection) { connection->send("hello"); };
  client->onMessage = [&](auto, std::string_view data) { got = data; };
  client->connect();
  fixture.runUntil([&] { return got == "hello"; });
  CHECK(ip == "192.0.2.1");
  client->destroy();
}

TEST_CASE("proxy protocol: no header, a bad one, and a peer that is not trusted are closed and counted") {
  const struct {
    std::string bytes;
    const char* reason;
    bool isTrusted;
  } cases[] = {
      {"hello\n", "its PROXY header is not accepted: the connection does not begin with one", true},
      {"PROXY TCP4 192.0.2.1\r\n", "an address or a port is missing", true},
      {kSignature + "\x51", "unknown version", true},
      {kLine + "hello\n", "a connection from 127.0.0.1 is refused, it is none of the trustedProxies", false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.reason);
    Seen seen;
    LoopFixture fixture;
    const testing::Ticker ticker;
    CapturedStderr output;
    const auto worker = std::make_shared<Worker>("text://127.0.0.1:0");
    worker->proxyProtocol = true;
    worker->trustedProxies = {c.isTrusted ? "127.0.0.1" : "127.0.0.2"};
    worker->listen();
    seen.watch(*worker);
    std::vector<RawSocket> peers;
    for (int i = 0; i < 3; ++i) {
      peers.push_back(testing::connectRaw(worker->getListenPort()));
      static_cast<void>(::send(peers.back().fd(), c.bytes.data(), c.bytes.size(), MSG_NOSIGNAL));
    }
    for (auto& peer : peers) fixture.runUntil([&] { return isClosed(peer); });
    CHECK(worker->refusedConnections == 3);
    CHECK(seen.addresses.empty());
    CHECK(seen.journal.text.empty());
    const std::string log = output.text();
    CHECK_MESSAGE(log.find(c.reason) != std::string::npos, log);
    CHECK(log.find("refused") == log.rfind("refused"));
  }
}

TEST_CASE("proxy protocol: one that says nothing, or drips, is closed after handshakeTimeout") {
  for (const bool drips : {false, true}) {
    CAPTURE(drips);
    Seen seen;
    LoopFixture fixture;
    const testing::Ticker ticker;
    CapturedStderr output;
    const auto worker = listenBehindProxy("text");
    worker->handshakeTimeout = 0.2;
    seen.watch(*worker);
    RawSocket peer = testing::connectRaw(worker->getListenPort());
    std::size_t at = 0;
    const int drip = Timer::add(0.02, [&] {
      if (drips && !peer.isAtEnd()) static_cast<void>(::send(peer.fd(), &kLine[at++], 1, MSG_NOSIGNAL));
    });
    const double begin = static_cast<double>(uv_hrtime());
    fixture.runUntil([&] { return isClosed(peer); });
    Timer::del(drip);
    CHECK((static_cast<double>(uv_hrtime()) - begin) * 1e-9 >= 0.19);
    CHECK(worker->refusedConnections == 1);
    CHECK(output.text().find("its PROXY header took longer than handshakeTimeout") != std::string::npos);
    CHECK(seen.addresses.empty());
  }
}

TEST_CASE("proxy protocol: header and websocket handshake share handshakeTimeout") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = listenBehindProxy("websocket");
  worker->handshakeTimeout = 0.4;
  std::vector<std::int64_t> timedOut;
  worker->onError = [&](auto connection) { timedOut.push_back(connection->id); };
  RawSocket late = testing::connectRaw(worker->getListenPort());
  bool isTime = false;
  Timer::delay(0.3, [&] { isTime = true; });
  fixture.runUntil([&] { return isTime; });
  // A younger one whose header comes earlier does not make the older one wait.
  RawSocket young = testing::connectRaw(worker->getListenPort());
  young.send(kLine);
  fixture.runUntil([&] { return worker->connections.size() == 1; });
  const std::int64_t youngId = worker->connections.begin()->first;
  late.send(kLine);
  for (RawSocket* const socket : {&late, &young}) {
    std::string answer;
    fixture.runUntil([&] { return (answer += socket->receiveAll()).starts_with("HTTP/1.1 408 "); });
  }
  REQUIRE(timedOut.size() == 2);
  CHECK(timedOut[0] != youngId);
  CHECK(timedOut[1] == youngId);
}

TEST_CASE(
    "proxy protocol: maxConnectionsPerIp counts clients, maxConnections also those that say nothing yet") {
  Seen seen;
  LoopFixture fixture;
  const testing::Ticker ticker;
  CapturedStderr output;
  const auto worker = listenBehindProxy("tcp");
  worker->maxConnectionsPerIp = 1;
  seen.watch(*worker);
  const auto dial = [&](const std::string& bytes) {
    RawSocket socket = testing::connectRaw(worker->getListenPort());
    socket.send(bytes);
    return socket;
  };
  const auto lineOf = [](const std::string& ip) { return "PROXY TCP4 " + ip + " 10.0.0.1 1 2\r\n"; };
  RawSocket first = dial(lineOf("192.0.2.1")), second = dial(lineOf("192.0.2.2"));
  fixture.runUntil([&] { return seen.addresses.size() == 2; });
  RawSocket third = dial(lineOf("192.0.2.1"));
  fixture.runUntil([&] { return isClosed(third); });
  CHECK(output.text().find("192.0.2.1 is refused, maxConnectionsPerIp is reached") != std::string::npos);
  first.close();
  fixture.runUntil([&] { return worker->connections.size() == 1; });
  RawSocket fourth = dial(lineOf("192.0.2.1"));
  fixture.runUntil([&] { return seen.addresses.size() == 3; });

  worker->maxConnections = 3;
  RawSocket silent = dial("PROXY ");
  RawSocket fifth = dial(lineOf("192.0.2.5"));
  fixture.runUntil([&] { return isClosed(fifth); });
  silent.send("TCP4 192.0.2.6 10.0.0.1 1 2\r\n");
  fixture.runUntil([&] { return seen.addresses.size() == 4; });
  CHECK(worker->refusedConnections == 2);
}

TEST_CASE("proxy protocol: a proxy on a unix socket") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path + "/worker.sock";
  Seen seen;
  LoopFixture fixture;
  const testing::Ticker ticker;
  const auto worker = std::make_shared<Worker>("unix://" + path);
  worker->proxyProtocol = true;
  worker->trustedProxies = {"unix"};
  worker->listen();
  seen.watch(*worker);
  const auto dial = [&](const std::string& bytes) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, sizeof where.sun_path - 1);
    RawSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(socket.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    socket.send(bytes);
    return socket;
  };
  RawSocket peer = dial(kLine + "hi");
  fixture.runUntil([&] { return seen.journal.has("message:hi"); });
  CHECK(seen.last->getRemoteIp() == "192.0.2.1");
  CHECK(seen.last->isIpV4());
  CHECK(seen.last->getLocalPort() == 0);
  RawSocket local = dial(kLocal);
  fixture.runUntil([&] { return seen.addresses.size() == 2; });
  CHECK(seen.last->getRemoteIp().empty());
  CHECK(std::string(seen.last->transport) == "unix");
}

TEST_CASE("proxy protocol: pausing, closing and stopping while a header is awaited") {
  enum class What { Pause, Unlisten, Stop, PeerLeaves };
  for (const What what : {What::Pause, What::Unlisten, What::Stop, What::PeerLeaves}) {
    CAPTURE(static_cast<int>(what));
    Seen seen;
    LoopFixture fixture;
    const testing::Ticker ticker;
    const auto worker = listenBehindProxy("tcp");
    seen.watch(*worker);
    RawSocket peer = testing::connectRaw(worker->getListenPort());
    peer.send("PROXY ");
    fixture.turn(5);
    if (what == What::Pause) {
      worker->pauseAccept();
      peer.send("UNKNOWN\r\n");
      fixture.turn(5);
      CHECK(seen.addresses.empty());
      worker->resumeAccept();
      fixture.runUntil([&] { return seen.addresses.size() == 1; });
      continue;
    }
    if (what == What::PeerLeaves) {
      peer.close();
      fixture.turn(5);
      CHECK(worker->refusedConnections == 0);
    } else {
      if (what == What::Unlisten) worker->unlisten();
      if (what == What::Stop) worker->stop();
      fixture.runUntil([&] { return isClosed(peer); });
    }
    CHECK(seen.addresses.empty());
    CHECK(TcpConnection::connections.empty());
  }
}

TEST_CASE("proxy protocol: onConnect may stop the worker that has just been told of the client") {
  LoopFixture fixture;
  const testing::Ticker ticker;
  auto worker = std::make_unique<Worker>("tcp://127.0.0.1:0");
  worker->proxyProtocol = true;
  worker->trustedProxies = {"::/0", "0.0.0.0/0"};
  worker->listen();
  int connected = 0;
  worker->onConnect = [&] {
    ++connected;
    worker.reset();
  };
  std::vector<RawSocket> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(testing::connectRaw(worker->getListenPort()));
    peers.back().send(kLine);
  }
  fixture.runUntil([&] { return connected == 1; });
  for (auto& peer : peers) fixture.runUntil([&] { return isClosed(peer); });
  CHECK(connected == 1);
}

TEST_CASE("proxy protocol: what cannot be is said when listening") {
  LoopFixture fixture;
  const struct {
    const char* address;
    std::vector<std::string> trusted;
    const char* cause;
  } cases[] = {
      {"tcp://127.0.0.1:0", {}, "proxyProtocol needs trustedProxies"},
      {"tcp://127.0.0.1:0",
       {"::1", "proxy.example"},
       "trustedProxies: \"proxy.example\" is no IP address or network"},
      {"udp://127.0.0.1:0", {"::1"}, "proxyProtocol is for streams"},
  };
  for (const auto& c : cases) {
    const auto worker = std::make_shared<Worker>(c.address);
    worker->proxyProtocol = true;
    worker->trustedProxies = c.trusted;
    std::string message;
    try {
      worker->listen();
    } catch (const std::exception& e) {
      message = e.what();
    }
    CHECK_MESSAGE(message.find(c.cause) != std::string::npos, message);
  }
}
