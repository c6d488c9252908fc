/// What a worker accepts: every scheme on every kind of address, both families
/// on one port, and accept errors that must not make it spin.

#include <netinet/tcp.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"
#include "support/temporary_folder.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::LoopFixture;
using testing::TemporaryFolder;

namespace {

/// A client of a worker's scheme at an address.
AsyncTcpConnectionPtr clientOf(const Worker& worker, const std::string& scheme, const std::string& host) {
  return std::make_shared<AsyncTcpConnection>(scheme + "://" + host + ":" +
                                              std::to_string(worker.getListenPort()));
}

}  // namespace

TEST_CASE("accepting: tcp, text, frame and websocket, each over IPv4, IPv6 and a unix socket") {
  for (const std::string scheme : {"tcp", "text", "frame", "websocket"}) {
    for (const std::string where : {"127.0.0.1", "[::1]", "unix"}) {
      CAPTURE(scheme);
      CAPTURE(where);
      std::string got, answer;
      const TemporaryFolder folder;
      LoopFixture fixture;
      const bool isUnix = where == "unix";
      const std::string path = folder.path + "/s.sock";
      const auto worker = std::make_shared<Worker>(scheme + "://" + (isUnix ? path : where + ":0"));
      if (isUnix) worker->transport = "unix";
      worker->onMessage = [&](auto connection, auto data) {
        got += data;
        connection->send("answer");
      };
      worker->listen();
      CHECK((worker->getListenPort() > 0) == !isUnix);
      CHECK(worker->getMainSocket() >= 0);
      const std::string client = scheme == "websocket" ? "ws" : scheme;
      const auto connection =
          isUnix ? std::make_shared<AsyncTcpConnection>("unix://" + path) : clientOf(*worker, client, where);
      if (isUnix && scheme != "tcp") connection->protocol = client;
      connection->onMessage = [&](auto, auto data) { answer += data; };
      connection->send("question");
      connection->connect();
      fixture.runUntil([&] { return answer == "answer"; });
      CHECK(got == "question");
      CHECK(worker->connections.size() == 1);
      CHECK(worker->connections.begin()->second->worker == worker.get());
      worker->stop();
    }
  }
}

TEST_CASE("accepting: [::] serves both families, unless ipv6_v6only") {
  for (const bool only : {false, true}) {
    CAPTURE(only);
    std::vector<std::string> ips;
    int failed = 0;
    LoopFixture fixture;
    const auto worker =
        std::make_shared<Worker>("tcp://[::]:0", SocketContext{.socket = {.ipv6_v6only = only}});
    worker->onConnect = [&](auto connection) { ips.push_back(connection->getRemoteIp()); };
    worker->listen();
    for (const char* host : {"[::1]", "127.0.0.1"}) {
      const auto client = clientOf(*worker, "tcp", host);
      client->onError = [&] { ++failed; };
      client->connect();
    }
    fixture.runUntil([&] { return ips.size() + static_cast<std::size_t>(failed) == 2; });
    CHECK(std::count(ips.begin(), ips.end(), "::1") == 1);
    CHECK(failed == (only ? 1 : 0));
    if (!only) CHECK(std::count(ips.begin(), ips.end(), "::ffff:127.0.0.1") == 1);
  }
}

TEST_CASE("accepting: the backlog is what socketContext says; connections come in order of their ids") {
  int connected = 0;
  LoopFixture fixture;
  const auto worker = std::make_shared<Worker>("tcp://127.0.0.1:0", SocketContext{.socket = {.backlog = 77}});
  worker->onConnect = [&] { ++connected; };
  worker->listen();
  tcp_info info{};
  socklen_t size = sizeof info;
  REQUIRE(::getsockopt(worker->getMainSocket(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  CHECK(info.tcpi_sacked == 77);  // of a listening socket
  std::vector<AsyncTcpConnectionPtr> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(clientOf(*worker, "tcp", "127.0.0.1"));
    clients.back()->connect();
  }
  fixture.runUntil([&] { return connected == 50; });
  CHECK(worker->connections.size() == 50);
  std::vector<std::int64_t> ids;
  for (const auto& entry : worker->connections) ids.push_back(entry.first);
  CHECK(ids.size() == 50);
  CHECK(std::is_sorted(ids.begin(), ids.end()));
}

TEST_CASE("accepting: while no descriptor is left it rests instead of spinning, and says so once") {
  LoopFixture fixture;
  CapturedStderr output;
  const auto worker = testing::listenOn("tcp");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(worker->getListenPort()));
  const testing::RawSocket caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(caller.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(caller.fd()) + 1;
  ::setrlimit(RLIMIT_NOFILE, &tight);
  std::vector<int> fillers;
  for (int fd = 0; (fd = ::dup(caller.fd())) >= 0;) fillers.push_back(fd);
  bool isTime = false;
  Timer::delay(0.7, [&] { isTime = true; });
  int turns = 0;
  fixture.runUntil([&] { return ++turns, isTime; });
  CHECK(turns < 50);
  ::setrlimit(RLIMIT_NOFILE, &before);
  for (const int fd : fillers) ::close(fd);
  const std::string said = output.text();
  const std::size_t first = said.find("Too many open files");
  REQUIRE(first != std::string::npos);
  CHECK(said.find("Too many open files", first + 1) == std::string::npos);
  fixture.runUntil([&] { return worker->connections.size() == 1; });
}
