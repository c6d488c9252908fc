/// Proxies that we did not write, between a client and a worker of ours: tinyproxy (HTTP CONNECT),
/// microsocks (SOCKS5), and HAProxy, which tells the worker the client's address.

#include <workerman/workerman.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "support/certificates.h"
#include "support/child_process.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"
#include "support/service.h"
#include "support/temporary_folder.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::ChildProcess;
using testing::Journal;
using testing::LoopFixture;

namespace {

/// A port of this machine that was free a moment ago.
int freePort() {
  return testing::RawListener().port();
}

bool answers(int port) {
  testing::RawSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(socket.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
}

/// A program that listens on a port; it is started again on another when somebody else was quicker.
class Proxy {
 public:
  using Arguments = std::function<std::vector<std::string>(int port)>;
  Proxy(const std::string& program, const Arguments& argumentsFor) {
    REQUIRE_MESSAGE(!program.empty(), "the proxy is not installed, see tests/run.sh");
    for (int attempt = 0; attempt < 5; ++attempt) {
      port_ = freePort();
      process_ = std::make_unique<ChildProcess>(program, argumentsFor(port_));
      // It says nothing that is waited for.
      bool isThere = false;
      testing::becomesTrue([&] { return (isThere = answers(port_)) || process_->wait(0) != -1000; });
      if (isThere) return;
    }
    FAIL("it does not listen: ", process_->text());
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

 private:
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

/// tinyproxy; `more`: further lines of its configuration.
class TinyProxy {
 public:
  explicit TinyProxy(const std::string& more = {})
      : proxy_(PEER_TINYPROXY, [this, more](int port) {
          const std::string file = folder_.path + "/tinyproxy.conf";
          std::ofstream(file) << "Port " << port << "\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\n"
                              << more;
          return std::vector<std::string>{"-d", "-c", file};
        }) {}
  std::string address() const { return proxy_.address(); }

 private:
  testing::TemporaryFolder folder_;
  Proxy proxy_;
};

Proxy startMicrosocks(const std::vector<std::string>& more = {}) {
  return Proxy(PEER_MICROSOCKS, [&](int port) {
    std::vector<std::string> arguments{"-i", "127.0.0.1", "-p", std::to_string(port)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  });
}

std::shared_ptr<Worker> listenAt(const std::string& address, const SslOptions& options, bool isTls) {
  auto worker = std::make_shared<Worker>(address, SocketContext{.ssl = options});
  if (isTls) worker->transport = "ssl";
  worker->listen();
  worker->onMessage = [](auto connection, auto data) { connection->send(data); };
  return worker;
}

using Through = std::function<void(AsyncTcpConnection&)>;

/// Two megabytes there and back, by websocket and by text lines, plain and in TLS, to a name, an IPv4 and
/// an IPv6 address.
void checkEcho(const Through& useProxy) {
  testing::Certificates certificates;
  const std::string certificate = certificates.issue();
  for (const std::string scheme : {"text", "websocket", "text+tls", "websocket+tls"}) {
    for (const std::string host : {"localhost", "127.0.0.1", "[::1]"}) {
      CAPTURE(scheme);
      CAPTURE(host);
      const std::string payload(2 << 20, 'x');
      Journal journal;
      std::string got;
      LoopFixture fixture;
      const std::string listenHost = host == "localhost" ? "127.0.0.1" : host;
      const bool isTls = scheme.ends_with("+tls");
      const std::string name = scheme.substr(0, scheme.find('+'));
      const auto worker = listenAt(name + "://" + listenHost + ":0", {.local_cert = certificate}, isTls);
      worker->onConnect = [](auto connection) { connection->maxSendBufferSize = 8 << 20; };
      auto client = std::make_shared<AsyncTcpConnection>(
          (name == "text" ? "text://" : "ws://") + host + ":" + std::to_string(worker->getListenPort()),
          SocketContext{.ssl = {.cafile = certificates.cafile}});
      if (isTls) client->transport = "ssl";
      useProxy(*client);
      journal.record(*client);
      client->maxSendBufferSize = 8 << 20;
      client->onConnect = [&](auto connection) {
        connection->send("hello");
        connection->send(payload);
      };
      client->onMessage = [&](auto, std::string_view data) {
        if (data == "hello") journal.text += "hello ";
        got += data;
      };
      client->connect();
      fixture.runUntil([&] { return journal.has("hello") && got.size() == 5 + payload.size(); });
      CHECK_MESSAGE(journal.error.empty(), journal.error);
      CHECK(got == "hello" + payload);
      client->destroy();
    }
  }
}

/// What onError says about `target`.
std::string refusalOf(const std::string& target, const Through& useProxy) {
  Journal journal;
  LoopFixture fixture;
  auto client = std::make_shared<AsyncTcpConnection>(target);
  useProxy(*client);
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error:1 close ");
  return journal.error;
}

void checkRefusal(const std::string& target, const Through& useProxy, const std::string& cause) {
  const std::string error = refusalOf(target, useProxy);
  CHECK_MESSAGE(error.find(cause) != std::string::npos, error);
}

}  // namespace

TEST_CASE("tinyproxy: CONNECT to names and addresses, with a login and without") {
  const TinyProxy open;
  checkEcho([&](auto& client) { client.proxyHttp = open.address(); });
  const TinyProxy locked("BasicAuth tom secret\n");
  checkEcho([&](auto& client) {
    client.proxyHttp = locked.address();
    client.proxyHttpUsername = "tom";
    client.proxyHttpPassword = "secret";
  });
}

TEST_CASE("tinyproxy: its refusals are reported with its status line") {
  const testing::RefusingPort nobody;
  const TinyProxy proxy("BasicAuth tom secret\nConnectPort " + std::to_string(nobody.port()) + "\n");
  const auto without = [&](auto& client) { client.proxyHttp = proxy.address(); };
  checkRefusal(nobody.address(), without, "Proxy CONNECT failed: 407 Proxy Authentication Required");
  const auto with = [&](auto& client) {
    client.proxyHttp = proxy.address();
    client.proxyAuthorization = "Basic dG9tOnNlY3JldA==";
  };
  checkRefusal(nobody.address(), with, "Proxy CONNECT failed: 50");
  checkRefusal("tcp://127.0.0.1:1", with, "Proxy CONNECT failed: 403 Access violation");
  const auto wrong = [&](auto& client) {
    client.proxyHttp = proxy.address();
    client.proxyAuthorization = "Basic dG9tOndyb25n";
  };
  checkRefusal(nobody.address(), wrong, "Proxy CONNECT failed: 40");
}

TEST_CASE("microsocks: SOCKS5 to names and addresses, with a login and without") {
  const Proxy open = startMicrosocks();
  checkEcho([&](auto& client) { client.proxySocks5 = open.address(); });
  const Proxy locked = startMicrosocks({"-u", "tom", "-P", "secret"});
  checkEcho([&](auto& client) {
    client.proxySocks5 = locked.address();
    client.proxySocks5Username = "tom";
    client.proxySocks5Password = "secret";
  });
}

TEST_CASE("microsocks: its refusals are reported in words") {
  const testing::RefusingPort nobody;
  const Proxy open = startMicrosocks();
  const auto through = [&](auto& client) { client.proxySocks5 = open.address(); };
  checkRefusal(nobody.address(), through, "SOCKS5 proxy: connect failed: connection refused");
  checkRefusal("tcp://no-such-host.invalid:80", through, "SOCKS5 proxy: connect failed: ");
  const Proxy locked = startMicrosocks({"-u", "tom", "-P", "secret"});
  const auto without = [&](auto& client) { client.proxySocks5 = locked.address(); };
  checkRefusal(nobody.address(), without, "it wants a user name and password");
  const auto wrong = [&](auto& client) {
    without(client);
    client.proxySocks5Username = "tom";
    client.proxySocks5Password = "wrong";
  };
  checkRefusal(nobody.address(), wrong, "user name or password not accepted");
}

TEST_CASE("HAProxy: the client's address arrives by send-proxy and send-proxy-v2") {
  for (const std::string version : {"send-proxy", "send-proxy-v2"}) {
    for (const std::string scheme : {"text", "websocket"}) {
      CAPTURE(version);
      CAPTURE(scheme);
      std::string address, expected;
      Journal journal;
      const testing::TemporaryFolder folder;
      LoopFixture fixture;
      const auto worker = std::make_shared<Worker>(scheme + "://127.0.0.1:0");
      worker->proxyProtocol = true;
      worker->trustedProxies = {"127.0.0.1"};
      worker->listen();
      // Not in onConnect: the look whether HAProxy listens is a connection as well.
      worker->onMessage = [&](TcpConnectionPtr connection, std::string_view data) {
        address = connection->getRemoteAddress();
        connection->send(data);
      };
      const Proxy proxy(PEER_HAPROXY, [&](int port) {
        const std::string file = folder.path + "/haproxy.cfg";
        std::ofstream(file)
            << "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
            << "listen test\n  bind 127.0.0.1:" << port
            << "\n  server worker 127.0.0.1:" << worker->getListenPort() << " " << version << "\n";
        return std::vector<std::string>{"-db", "-f", file};
      });
      auto client =
          std::make_shared<AsyncTcpConnection>((scheme == "text" ? "text://" : "ws://") + proxy.address(),
                                               SocketContext{.socket = {.bindto = "127.0.0.2:0"}});
      journal.record(*client);
      client->onConnect = [&](auto connection) {
        expected = connection->getLocalAddress();
        connection->send("hello");
      };
      client->connect();
      fixture.runUntil([&] { return journal.has("message:hello"); });
      CHECK(address == expected);
      CHECK(address.starts_with("127.0.0.2:"));
      client->destroy();
    }
  }
}

TEST_CASE("HAProxy: its health checks are connections of its own") {
  std::string ip;
  const testing::TemporaryFolder folder;
  LoopFixture fixture;
  const auto worker = std::make_shared<Worker>("tcp://127.0.0.1:0");
  worker->proxyProtocol = true;
  worker->trustedProxies = {"127.0.0.1"};
  worker->listen();
  worker->onConnect = [&](auto connection) { ip = connection->getRemoteIp(); };
  const Proxy proxy(PEER_HAPROXY, [&](int port) {
    const std::string file = folder.path + "/haproxy.cfg";
    std::ofstream(file)
        << "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        << "listen test\n  bind 127.0.0.1:" << port << "\n  option tcp-check\n  tcp-check connect\n"
        << "  server worker 127.0.0.1:" << worker->getListenPort()
        << " send-proxy-v2 check check-send-proxy inter 100ms\n";
    return std::vector<std::string>{"-db", "-f", file};
  });
  fixture.runUntil([&] { return !ip.empty(); });
  CHECK(ip == "127.0.0.1");
  CHECK(worker->refusedConnections == 0);
}
