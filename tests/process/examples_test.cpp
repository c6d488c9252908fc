// The examples, each as a program of its own, with clients of the test's and other examples.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/certificates.h"
#include "support/example.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"
#include "support/service.h"

using testing::Example;
using testing::LoopFixture;
using testing::Peer;

namespace {

/// "scheme://127.0.0.1:port"
std::string at(const std::string& scheme, const std::string& port) {
  return scheme + "://127.0.0.1:" + port;
}

const std::string kAnyPort = "127.0.0.1:0";

/// A package of the binary protocol, with the lengths as they are given.
std::string package(std::uint32_t length, std::uint8_t nameLength, const std::string& rest) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(length >> shift & 0xff);
  return bytes + static_cast<char>(nameLength) + rest;
}

}  // namespace

TEST_CASE("example websocket_echo: each message comes back in its kind") {
  LoopFixture fixture;
  Example echo("websocket_echo", {"LISTEN=websocket://" + kAnyPort});
  const std::string port = echo.port("echo");
  for (const bool isBinary : {false, true}) {
    CAPTURE(isBinary);
    Peer peer(at("ws", port));
    bool cameAsBinary = !isBinary;
    std::size_t length = 0;
    if (isBinary) peer.connection().websocketType = Workerman::Protocols::Ws::BINARY_TYPE_ARRAYBUFFER;
    peer.connection().onMessage = [&](auto connection, auto data) {
      cameAsBinary = connection->websocketMessageType.isBinary();
      length += data.size();
    };
    peer.connection().send(std::string(70000, 'x'));
    fixture.runUntil([&] { return length != 0; });
    CHECK(length == 70000);
    CHECK(cameAsBinary == isBinary);
  }
  CHECK(echo.stop(fixture) == 0);
}

TEST_CASE("example ws_client: over wss it speaks to websocket_echo, if it knows who signed the certificate") {
  testing::Certificates certificates;
  const std::string certificate = certificates.issue();
  Example echo("websocket_echo",
               {"LISTEN=websocket://" + kAnyPort, "CERT=" + certificate, "KEY=" + certificate});
  const std::string server = "SERVER=wss://localhost:" + echo.port("echo");
  {
    Example client("ws_client", {server, "CA=" + certificates.cafile});
    CHECK(client.process().waitFor("HTTP/1.1 101 Switching Protocols\r\n"));
    CHECK(client.process().waitFor("recv: hello\n"));
    CHECK(client.stop() == 0);
  }
  Example client("ws_client", {server});
  CHECK(client.process().waitFor(
      "the certificate is signed by an authority that is not trusted here: CN=Test Authority\n"));
  CHECK(client.process().waitFor("connection closed and try to reconnect\n"));
  CHECK(client.stop() == 0);
  CHECK(echo.stop() == 0);
}

TEST_CASE("example json_nl: the client's message is answered; what is no JSON ends nobody") {
  Example server("json_nl_server", {"LISTEN=JsonNL://" + kAnyPort});
  const std::string port = server.port("JsonNL");
  Example client("json_nl_client", {"SERVER=" + at("JsonNL", port)});
  CHECK(client.process().wait() == 0);
  CHECK(client.process().waitFor(R"({"code":0,"msg":"ok"})"));
  CHECK(server.process().waitFor(R"({"content":"hello","type":"message"})"));

  LoopFixture fixture;
  const std::string deep(100000, '[');
  for (const std::string& garbage : {std::string("{"), std::string("\xff\xfe"), std::string(), deep,
                                     deep + std::string(deep.size(), ']')}) {
    Peer peer(at("tcp", port), garbage + "\n{\"fine\":1}\n");
    const std::string refusal = "{\"code\":1,\"msg\":\"that is no JSON\"}\n";
    fixture.runUntil(
        [&] { return peer.text().size() >= 2 * std::string("{\"code\":0,\"msg\":\"ok\"}\n").size(); });
    CHECK(peer.text() == refusal + "{\"code\":0,\"msg\":\"ok\"}\n");
  }
  CHECK(server.stop(fixture) == 0);
}

TEST_CASE("example json_nl: a client without a server says why and fails") {
  testing::RefusingPort nobody;
  Example client("json_nl_client", {"SERVER=" + nobody.address("JsonNL")});
  CHECK(client.process().wait() == 1);
  CHECK(client.process().waitFor("refused"));
}

TEST_CASE("example binary_transfer: a file arrives whole; bad lengths close their connection only") {
  Example server("binary_transfer_server", {"LISTEN=BinaryTransfer://" + kAnyPort});
  const std::string port = server.port("BinaryTransfer");
  {
    char path[] = "/tmp/workerman-XXXXXX";
    ::close(::mkstemp(path));
    std::string bytes;
    for (int i = 0; i < 3000000; ++i) bytes += static_cast<char>(i);
    std::ofstream(path, std::ios::binary) << bytes;
    Example client("binary_transfer_client",
                   {"SERVER=" + at("BinaryTransfer", port), "FILE=" + std::string(path)});
    CHECK(client.process().wait() == 0);
    CHECK(client.process().waitFor(std::string(path).substr(5) + ": received 3000000 bytes\n"));
    std::filesystem::remove(path);
  }
  LoopFixture fixture;
  struct Case {
    std::string bytes;
    std::string answer;  // empty: closed
  };
  const Case cases[] = {
      {package(5, 0, ""), package(21, 0, "received 0 bytes")},
      {package(11, 3, "abcxyz"), package(24, 3, "abcreceived 3 bytes")},
      {package(8, 3, "abc"), package(24, 3, "abcreceived 0 bytes")},
      {package(7, 3, "abc"), ""},
      {package(4, 0, ""), ""},
      {package(0, 0, ""), ""},
      {package(0xffffffff, 0, ""), ""},
  };
  for (const auto& each : cases) {
    // Byte by byte: the length counts only once it is all there.
    Peer peer(at("tcp", port));
    for (const char byte : each.bytes) {
      peer.connection().send(std::string(1, byte));
      fixture.turn();
    }
    fixture.runUntil(
        [&] { return peer.isClosed() || peer.text().size() >= each.answer.size() + each.answer.empty(); });
    CHECK(peer.text() == each.answer);
    CHECK(peer.isClosed() == each.answer.empty());
  }
  CHECK(server.stop(fixture) == 0);
}

TEST_CASE("example push_server: messages go to one user's connections, or to everybody's") {
  LoopFixture fixture;
  Example server("push_server", {"LISTEN=websocket://" + kAnyPort, "PUSH=text://" + kAnyPort});
  const std::string users = at("ws", server.port("websocket"));
  Peer pusher(at("text", server.port("push")));
  Peer tom(users, "tom"), tomElsewhere(users, "tom"), ann(users, "ann"), stranger(users);
  const auto push = [&](const std::string& line) {
    const std::size_t before = pusher.messages().size();
    pusher.send(line);
    fixture.runUntil([&] { return pusher.messages().size() > before; });
    return pusher.messages().empty() ? "" : pusher.messages().back();
  };
  // The ids may take a moment to arrive.
  CHECK(testing::becomesTrue([&] { return push(R"({"data": "hello, all"})") == "ok 3"; }));
  CHECK(push(R"({"uid": "tom", "data": "your parcel"})") == "ok 2");
  CHECK(push(R"({"uid": "ann", "data": "her parcel"})") == "ok 1");
  CHECK(push(R"({"uid": "nobody", "data": "lost"})") == "ok 0");
  for (const char* bad : {"", "hello", "[]", "{}", R"({"uid": "tom"})", R"({"data": 7})",
                          R"({"uid": 7, "data": ""})", "{\"data\": \"\xff\"}"}) {
    CAPTURE(bad);
    CHECK(push(bad).substr(0, 5) == "fail:");
  }
  fixture.runUntil(
      [&] { return tom.has("your parcel") && tomElsewhere.has("your parcel") && ann.has("her parcel"); });
  CHECK(tom.has("hello, all"));
  CHECK_FALSE(tom.has("her parcel"));
  CHECK_FALSE(ann.has("your parcel"));
  CHECK(stranger.messages().empty());

  tom.leave();
  CHECK(testing::becomesTrue([&] { return push(R"({"uid": "tom", "data": "again"})") == "ok 1"; }));
  CHECK(server.stop(fixture) == 0);
}

TEST_CASE("example task_queue: the client's tasks are done by workers, which come back") {
  Example queue("task_queue", {"LISTEN=text://" + kAnyPort});
  const std::string address = at("text", queue.port("queue"));
  // The client comes first: its tasks wait.
  Example client("task_client", {"QUEUE=" + address});
  Example worker("task_worker", {"QUEUE=" + address}), another("task_worker", {"QUEUE=" + address});
  CHECK(worker.process().waitFor("ready"));
  CHECK(another.process().waitFor("ready"));
  CHECK(client.process().wait() == 0);
  for (const char* result : {"below 10: 4\n", "below 100: 25\n", "below 1000: 168\n", "below 10000: 1229\n",
                             "below 100000: 9592\n"}) {
    CHECK(client.process().waitFor(result));
  }
  CHECK(worker.stop() == 0);
  CHECK(another.stop() == 0);
  CHECK(queue.stop() == 0);
}

TEST_CASE("example task_queue: a lost worker's task goes to the next, three times at most") {
  LoopFixture fixture;
  Example queue("task_queue", {"LISTEN=text://" + kAnyPort});
  const std::string address = at("text", queue.port("queue"));
  Peer client(address, R"({"id":7,"task":"primes","below":9})");
  for (int losses = 1; losses <= 3; ++losses) {
    Peer worker(address, R"({"ready":true})");
    fixture.runUntil([&] { return worker.has("primes"); });
    CHECK(client.messages().empty());
  }
  fixture.runUntil([&] { return !client.messages().empty(); });
  CHECK(client.text() == R"({"error":"its workers were lost","id":7})");

  // Two tasks: the one that a lost worker had is done first.
  client.send(R"({"id":8,"task":"first"})");
  client.send(R"({"id":9,"task":"second"})");
  {
    Peer worker(address, R"({"ready":true})");
    fixture.runUntil([&] { return worker.has("first"); });
  }
  Peer worker(address, R"({"ready":true})");
  fixture.runUntil([&] { return worker.has("first"); });
  worker.send(R"({"result":"done"})");
  fixture.runUntil([&] { return worker.has("second") && client.has(R"({"id":8,"result":"done"})"); });

  // A task's client may go before it is done; nonsense gets an answer.
  client.leave();
  worker.send(R"({"error":"nobody cares"})");
  const std::string deep(20000, '[');
  for (const std::string& bad :
       {std::string("{}"), std::string("hello"), deep + std::string(deep.size(), ']')}) {
    Peer confused(address, bad);
    fixture.runUntil([&] { return confused.has("neither a task"); });
  }
  CHECK(queue.stop(fixture) == 0);
}

TEST_CASE("example task_worker: answers what it cannot do") {
  LoopFixture fixture;
  Example queue("task_queue", {"LISTEN=text://" + kAnyPort});
  const std::string address = at("text", queue.port("queue"));
  Example worker("task_worker", {"QUEUE=" + address});
  worker.process().waitFor("ready");
  for (const char* task : {R"({"task":"dance"})", R"({"task":7})", R"({"task":"primes"})",
                           R"({"task":"primes","below":-3})", R"({"task":"primes","below":1e99})"}) {
    CAPTURE(task);
    Peer client(address, task);
    fixture.runUntil([&] { return client.has("error"); });
  }
  CHECK(worker.stop(fixture) == 0);
  CHECK(queue.stop(fixture) == 0);
}

TEST_CASE("example udp_echo: each datagram comes back") {
  LoopFixture fixture;
  Example echo("udp_echo", {"LISTEN=udp://" + kAnyPort});
  auto client = std::make_shared<Workerman::Connection::AsyncUdpConnection>(at("udp", echo.port("udp")));
  std::vector<std::string> got;
  client->onMessage = [&](auto, auto data) { got.emplace_back(data); };
  client->connect();
  // One at a time: nothing on the loopback interface loses or swaps a lone datagram.
  const std::string all[] = {"hello", std::string(1, '\0'), "", std::string(60000, 'x')};
  for (const auto& datagram : all) {
    const std::size_t before = got.size();
    CHECK(client->send(datagram) == true);
    fixture.runUntil([&] { return got.size() > before; });
    CHECK(got.back() == datagram);
  }
  client->close();
  CHECK(echo.stop(fixture) == 0);
}

TEST_CASE("examples: nothing that a client sends ends a server") {
  struct Case {
    std::string name;
    std::vector<std::string> environment;
    std::vector<std::string> ports;
  };
  testing::RefusingPort nobody;
  const Case cases[] = {
      {"websocket_echo", {"LISTEN=websocket://" + kAnyPort}, {"echo"}},
      {"chat", {"LISTEN=websocket://" + kAnyPort, "PAGE=page://" + kAnyPort}, {"chat", "page"}},
      {"push_server", {"LISTEN=websocket://" + kAnyPort, "PUSH=text://" + kAnyPort}, {"websocket", "push"}},
      {"task_queue", {"LISTEN=text://" + kAnyPort}, {"queue"}},
      {"json_nl_server", {"LISTEN=JsonNL://" + kAnyPort}, {"JsonNL"}},
      {"binary_transfer_server", {"LISTEN=BinaryTransfer://" + kAnyPort}, {"BinaryTransfer"}},
      {"tcp_proxy", {"LISTEN=tcp://" + kAnyPort, "TARGET=" + nobody.address()}, {"proxy"}},
  };
  const std::string pieces[] = {"{",
                                "}",
                                "[",
                                "]",
                                "\"",
                                "\"task\":",
                                "\"uid\":",
                                "\"data\":",
                                "\"result\":",
                                ",",
                                "7",
                                "\n",
                                "\r\n",
                                "\r\n\r\n",
                                "GET ",
                                "/",
                                " HTTP/1.1",
                                ":",
                                "\xff",
                                " ",
                                std::string(1, '\0'),
                                std::string(4, '\0'),
                                "Upgrade: websocket"};
  std::minstd_rand random(20);
  for (const auto& each : cases) {
    CAPTURE(each.name);
    LoopFixture fixture;
    Example server(each.name, each.environment);
    for (const auto& what : each.ports) {
      const std::string port = server.port(what);
      std::vector<std::unique_ptr<Peer>> peers;
      for (int i = 0; i < 50; ++i) {
        std::string bytes;
        for (int count = 0; count < 40; ++count) bytes += pieces[random() % std::size(pieces)];
        peers.push_back(std::make_unique<Peer>(at("tcp", port.substr(0, port.find(' '))), bytes));
        peers.back()->connection().onConnect = [](auto connection) { connection->end(); };
      }
      fixture.runUntil([&] {
        return std::all_of(peers.begin(), peers.end(), [](const auto& peer) { return peer->isClosed(); });
      });
    }
    CHECK(server.stop(fixture) == 0);
  }
}
