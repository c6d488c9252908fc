/// AsyncUdpConnection and a udp:// worker against Python's sockets, in both families. See
/// servers/udp_server.py.

#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::ChildProcess;
using testing::LoopFixture;

TEST_CASE("interop: datagrams to and from Python, IPv4 and IPv6") {
  for (const bool isV6 : {false, true}) {
    CAPTURE(isV6);
    const std::string host = isV6 ? "[::1]" : "127.0.0.1";
    ChildProcess python(PEER_PYTHON, {std::string(PEER_SERVERS) + "/udp_server.py", isV6 ? "6" : "4"});
    const std::string port = python.waitForRest("port ");
    LoopFixture fixture;
    const auto worker = std::make_shared<Worker>("udp://" + host + ":0");
    worker->onMessage = [](UdpConnectionPtr connection, std::string data) {
      connection->send("re: " + data);
    };
    worker->listen();

    auto client = std::make_shared<AsyncUdpConnection>("udp://" + host + ":" + port);
    std::vector<std::string> got;
    client->onMessage = [&](auto, std::string data) { got.push_back(data); };
    const auto asks = [&](const std::string& text, const std::string& answer) {
      got.clear();
      CHECK(client->send(text) == true);
      fixture.runUntil([&] { return !got.empty(); });
      CHECK(got == std::vector<std::string>{answer});
    };
    asks("hello", "hello");
    asks("", "");
    asks(std::string(65507, 'x'), std::string(65507, 'x'));
    asks("call " + std::to_string(worker->getListenPort()) + " from python", "re: from python");
  }
}
