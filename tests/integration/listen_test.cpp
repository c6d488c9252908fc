// Where a worker listens: IPv4, IPv6, unix sockets, shared ports, and what it refuses.

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"
#include "support/temporary_folder.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::CapturedStderr;
using testing::LoopFixture;
using testing::TemporaryFolder;

namespace {

/// A unix socket that listens, or only its file when the socket is closed.
int bindUnix(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd, 1) == 0);
  return fd;
}

}  // namespace

TEST_CASE("worker: IPv6") {
  Worker worker("text://[::1]:0");
  std::string ip, address;
  bool isIpV6 = false;
  worker.onConnect = [&](auto connection) {
    ip = connection->getRemoteIp();
    address = connection->getRemoteAddress();
    isIpV6 = connection->isIpV6();
  };
  LoopFixture fixture;
  auto client =
      std::make_shared<AsyncTcpConnection>("text://[::1]:" + std::to_string(worker.getListenPort()));
  client->connect();
  fixture.runUntil([&] { return !ip.empty(); });
  CHECK(ip == "::1");
  CHECK(address == "[::1]:" + std::to_string(client->getLocalPort()));
  CHECK(isIpV6);
}

TEST_CASE("worker: reusePort lets a second socket listen on the same port, else it is in use") {
  Worker first("text://127.0.0.1:0");
  first.reusePort = true;
  LoopFixture fixture;
  const std::string name = "text://127.0.0.1:" + std::to_string(first.getListenPort());
  const auto second = std::make_shared<Worker>(name);
  CHECK_THROWS_WITH_AS(second->listen(),
                       doctest::Contains(("cannot listen on " + name + ": Address already in use; process " +
                                          std::to_string(::getpid()) + " (")
                                             .c_str()),
                       std::runtime_error);
  second->reusePort = true;
  second->listen();
  CHECK(second->getListenPort() == first.getListenPort());
  const auto third = std::make_shared<Worker>(name, SocketContext{.socket = {.so_reuseport = true}});
  third->listen();
  CHECK(third->getListenPort() == first.getListenPort());
}

TEST_CASE("worker: unix socket; the file goes with it, a stale one is taken over, a used one is not") {
  const TemporaryFolder folder;
  const std::string path = folder.path + "/app.sock";
  ::close(bindUnix(path));
  REQUIRE(std::filesystem::exists(path));
  {
    Worker worker("unix://" + path);
    std::string got, ip = "unset";
    int port = -1;
    worker.onMessage = [&](auto connection, auto data) {
      got = data;
      ip = connection->getRemoteIp();
      port = connection->getRemotePort();
    };
    LoopFixture fixture;
    CHECK(worker.transport == "unix");
    CHECK(worker.getListenPort() == 0);
    auto client = std::make_shared<AsyncTcpConnection>("unix://" + path);
    client->send("raw bytes");
    client->connect();
    fixture.runUntil([&] { return !got.empty(); });
    CHECK(got == "raw bytes");
    CHECK(ip.empty());
    CHECK(port == 0);
    const auto second = std::make_shared<Worker>("unix://" + path);
    CHECK_THROWS_WITH_AS(second->listen(), doctest::Contains("Address already in use"), std::runtime_error);
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  std::ofstream(path) << "somebody's file";
  {
    LoopFixture fixture;
    const auto worker = std::make_shared<Worker>("unix://" + path);
    CHECK_THROWS_WITH_AS(worker->listen(), doctest::Contains("Address already in use"), std::runtime_error);
  }
  CHECK(std::filesystem::file_size(path) == 15);
}

TEST_CASE("worker: a protocol over a unix socket, by its transport") {
  const TemporaryFolder folder;
  Worker worker("text://" + folder.path + "/text.sock");
  worker.transport = "unix";
  std::string got;
  worker.onMessage = [&](auto, auto data) { got = data; };
  LoopFixture fixture;
  CHECK(worker.protocol == "text");
  auto client = std::make_shared<AsyncTcpConnection>("unix://" + folder.path + "/text.sock");
  client->send("line\n");
  client->connect();
  fixture.runUntil([&] { return got == "line"; });
}

TEST_CASE("worker: what it cannot listen on is one clear error") {
  const std::pair<std::string, std::string> cases[] = {
      {"nonsense://127.0.0.1:0", "unknown protocol 'nonsense'"},
      {"ssl://127.0.0.1:0",
       "cannot listen on ssl://127.0.0.1:0: TLS: a server needs a certificate: SocketContext{.ssl = "
       "{.local_cert = \"file.pem\"}}"},
      {"text://no.such.host.invalid:0", "'no.such.host.invalid' is no IP address"},
      {"text://192.0.2.1:0", "Cannot assign requested address"},
      {"text://127.0.0.1", "the port is missing"},
      {"text://127.0.0.1:65536", "65536"},
      {"text://127.0.0.1:port", "port"},
      {"text://", "text://"},
      {"127.0.0.1:80", "no scheme"},
      {"unix:///no/such/folder/app.sock", "No such file or directory"},
      {"unix://" + std::string(200, 'x'), "107"},
      {"unix://", "unix://"},
  };
  LoopFixture fixture;
  for (const auto& each : cases) {
    const auto& name = each.first;
    const auto& wanted = each.second;
    CAPTURE(name);
    const auto worker = std::make_shared<Worker>(name);
    std::string said;
    try {
      worker->listen();
    } catch (const std::exception& e) {
      said = e.what();
    }
    CHECK_MESSAGE(said.find(wanted) != std::string::npos, said);
    CHECK(worker->getMainSocket() == -1);
  }
}

TEST_CASE("worker: onMessage that does not fit the protocol is refused when listening") {
  LoopFixture fixture;
  const auto worker = std::make_shared<Worker>("text://127.0.0.1:0");
  worker->onMessage = [](TcpConnectionPtr, nlohmann::json&) {};
  CHECK_THROWS_WITH_AS(worker->listen(), doctest::Contains("declare std::string_view"), std::runtime_error);
  worker->onMessage = [](UdpConnectionPtr, std::string_view) {};
  CHECK_THROWS_WITH_AS(worker->listen(), doctest::Contains("no udp:// worker"), std::runtime_error);
  worker->onMessage = [](ConnectionPtr, const std::string&) {};
  worker->listen();
  CHECK(worker->getListenPort() > 0);
}

TEST_CASE("worker: a full table of descriptors does not end accepting") {
  LoopFixture fixture;
  CapturedStderr output;
  const auto worker = testing::listenOn("tcp");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(worker->getListenPort()));
  std::vector<int> callers;
  for (int i = 0; i < 3; ++i) {
    callers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(callers.back(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(callers.back()) + 2;
  ::setrlimit(RLIMIT_NOFILE, &tight);
  // Holes below the limit are filled first.
  std::vector<int> fillers;
  for (int fd = 0; (fd = ::dup(callers[0])) >= 0;) fillers.push_back(fd);
  REQUIRE_FALSE(fillers.empty());
  ::close(fillers.back());  // room for one
  fillers.pop_back();
  fixture.runUntil([&] { return output.text().find("Too many open files") != std::string::npos; });
  CHECK(worker->connections.size() == 1);
  ::setrlimit(RLIMIT_NOFILE, &before);
  fixture.runUntil([&] { return worker->connections.size() == 3; });
  for (const int fd : fillers) ::close(fd);
  for (const int fd : callers) ::close(fd);
  fixture.runUntil([&] { return worker->connections.size() == 0; });
}
