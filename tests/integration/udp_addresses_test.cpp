// A udp:// worker of all addresses answers from the one that was asked (RFC 1122 section 4.1.3.5).

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <memory>
#include <string>
#include <vector>

#include "../support/loop_fixture.h"
#include "../support/raw_datagrams.h"
#include "../support/raw_peer.h"

using testing::LoopFixture;
using Workerman::SocketContext;
using Workerman::Worker;
using Workerman::Connection::UdpConnectionPtr;

namespace {

/// A datagram socket that is connected to `ip`: it takes answers from there only.
class Asker {
 public:
  Asker(const std::string& ip, int port)
      : socket_(::socket(ip.find(':') == std::string::npos ? AF_INET : AF_INET6,
                         SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    const bool isV4 = ::inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1;
    REQUIRE((isV4 || ::inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1));
    const auto* where =
        isV4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    REQUIRE(::connect(socket_.fd(), where, isV4 ? sizeof v4 : sizeof v6) == 0);
  }
  void ask(const std::string& text) { CHECK(::send(socket_.fd(), text.data(), text.size(), 0) > 0); }
  /// The latest that has arrived.
  const std::string& answer() {
    char bytes[256];
    const ssize_t got = ::recv(socket_.fd(), bytes, sizeof bytes, 0);
    if (got >= 0) answer_.assign(bytes, static_cast<std::size_t>(got));
    return answer_;
  }

 private:
  testing::RawSocket socket_;
  std::string answer_;
};

}  // namespace

TEST_CASE("udp addresses: the answer leaves from the address that was asked, and getLocalAddress() says it") {
  struct Case {
    const char* listens;
    const char* asked;
    const char* local;
  };
  const Case cases[] = {{"0.0.0.0", "127.0.0.2", "127.0.0.2"},
                        {"0.0.0.0", "127.1.2.3", "127.1.2.3"},
                        {"0.0.0.0", "127.0.0.1", "127.0.0.1"},
                        {"127.0.0.2", "127.0.0.2", "127.0.0.2"},
                        {"[::]", "::1", "::1"},
                        {"[::]", "127.0.0.2", "::ffff:127.0.0.2"},
                        {"[::1]", "::1", "::1"}};
  LoopFixture fixture;
  testing::Ticker ticker;
  for (const Case& each : cases) {
    CAPTURE(each.listens);
    CAPTURE(each.asked);
    const auto worker = std::make_shared<Worker>("udp://" + std::string(each.listens) + ":0");
    std::string ip, address;
    int port = 0;
    std::vector<UdpConnectionPtr> kept;
    worker->onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
      ip = connection->getLocalIp();
      address = connection->getLocalAddress();
      port = connection->getLocalPort();
      CHECK(connection->jsonSerialize()["getLocalIp"] == ip);
      if (data == "keep") kept.push_back(connection);
      connection->send("re: " + std::string(data));
    };
    worker->listen();
    Asker asker(each.asked, worker->getListenPort());
    asker.ask("where");
    fixture.runUntil([&] { return asker.answer() == "re: where"; });
    CHECK(ip == each.local);
    CHECK(port == worker->getListenPort());
    CHECK(address.starts_with(ip.find(':') == std::string::npos ? ip : "[" + ip + "]"));
    // One that is kept answers from there later, whoever has asked meanwhile.
    asker.ask("keep");
    fixture.runUntil([&] { return asker.answer() == "re: keep"; });
    testing::RawDatagrams other(ip.find(':') != std::string::npos && ip.find('.') == std::string::npos);
    if (std::string(each.listens) != "127.0.0.2") {
      other.send(worker->getListenPort(), "other");
      fixture.runUntil([&] { return other.collect(1); });
    }
    kept.front()->send("late");
    fixture.runUntil([&] { return asker.answer() == "late"; });
    kept.front()->close();
    CHECK(kept.front()->getLocalAddress() == "");
    worker->stop();
  }
}

TEST_CASE("udp addresses: a datagram that waited while the worker was paused keeps its address") {
  LoopFixture fixture;
  testing::Ticker ticker;
  const auto worker = std::make_shared<Worker>("udp://0.0.0.0:0");
  std::vector<std::string> asked;
  worker->onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
    asked.push_back(connection->getLocalIp());
    connection->send(data);
    worker->pauseAccept();
  };
  worker->listen();
  Asker first("127.0.0.3", worker->getListenPort()), second("127.0.0.4", worker->getListenPort());
  first.ask("1");
  second.ask("2");
  fixture.runUntil([&] { return asked.size() == 1; });
  worker->resumeAccept();
  fixture.runUntil([&] { return second.answer() == "2"; });
  CHECK(first.answer() == "1");
  CHECK(asked == std::vector<std::string>{"127.0.0.3", "127.0.0.4"});
}

TEST_CASE("udp addresses: to a broadcast address the answer comes from this machine's own") {
  LoopFixture fixture;
  testing::Ticker ticker;
  const auto worker =
      std::make_shared<Worker>("udp://0.0.0.0:0", SocketContext{.socket = {.so_broadcast = true}});
  std::string local;
  worker->onMessage = [&](UdpConnectionPtr connection, std::string_view data) {
    local = connection->getLocalIp();
    connection->send(data);
  };
  worker->listen();
  const testing::RawSocket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  REQUIRE(::setsockopt(socket.fd(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(worker->getListenPort()));
  REQUIRE(::inet_pton(AF_INET, "127.255.255.255", &where.sin_addr) == 1);
  REQUIRE(::sendto(socket.fd(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 1);
  char answer = 0;
  fixture.runUntil([&] { return answer == 'x' || ::recv(socket.fd(), &answer, 1, 0) == 1; });
  CHECK(answer == 'x');
  CHECK(local == "127.0.0.1");
}
