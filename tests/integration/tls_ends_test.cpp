// How TLS connections end, in order and otherwise, and what broken peers may send.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "../support/captured_stderr.h"
#include "../support/tls_fixture.h"
#include "../support/tls_peer.h"

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnection;
using Connection::AsyncTcpConnectionPtr;
using Connection::TcpConnection;
using Connection::TcpConnectionPtr;

namespace {

/// A worker of ours and a client that is OpenSSL.
struct Ends : TlsFixture {
  const Ticker ticker;
  TcpConnectionPtr accepted;

  ~Ends() { accepted = nullptr; }
  std::shared_ptr<Worker> echo(const std::string& scheme) {
    auto worker = listen(scheme);
    server.record(*worker);
    worker->onConnect = [this](TcpConnectionPtr connection) {
      server.text += "connect ";
      accepted = connection;
    };
    worker->onMessage = [this](TcpConnectionPtr connection, std::string_view data) {
      server.text += "message:" + std::string(data.substr(0, 20)) + " ";
      connection->send(data);
    };
    return worker;
  }
  bool open(TlsPeer& peer) {
    return runUntil([&] { return peer.handshake() && accepted; });
  }
  std::string readUntil(TlsPeer& peer, const std::function<bool(const std::string&)>& isDone) {
    std::string all;
    runUntil([&] { return all += peer.read(), isDone(all); });
    return all;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Ends, "tls: close(), end() and destroy() all say close_notify (RFC 8446 section 6.1)") {
  struct Case {
    const char* name;
    std::function<void(const TcpConnectionPtr&)> close;
    std::string last;
  };
  const Case cases[] = {
      {"close", [](const TcpConnectionPtr& connection) { connection->close("bye"); }, "bye\n"},
      {"end", [](const TcpConnectionPtr& connection) { connection->end("bye"); }, "bye\n"},
      {"destroy", [](const TcpConnectionPtr& connection) { connection->destroy(); }, ""},
      {"destroy, with something corked",
       [](const TcpConnectionPtr& connection) { connection->send("bye"), connection->destroy(); }, "bye\n"},
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const Case& each : cases) {
      CAPTURE(version);
      CAPTURE(each.name);
      server.text.clear();
      accepted = nullptr;
      const auto worker = echo("text");
      worker->onMessage = [&](TcpConnectionPtr connection, std::string_view) { each.close(connection); };
      TlsPeer peer(connectRaw(worker->getListenPort()), "", version);
      REQUIRE(open(peer));
      peer.write("now\n");
      CHECK(readUntil(peer, [&](const auto&) { return peer.isEnded() && peer.socket.isAtEnd(); }) ==
            each.last);
      peer.endOutput();
      peer.socket.close();
      CHECK(runUntil([&] { return server.has("close"); }));
      CHECK(server.text == "connect close ");
      worker->unlisten();
    }
  }
}

TEST_CASE_FIXTURE(Ends, "tls: the peer's close_notify ends the connection, and what is queued still leaves") {
  const auto worker = echo("tcp");
  TlsPeer peer(connectRaw(worker->getListenPort()));
  REQUIRE(open(peer));
  accepted->maxSendBufferSize = 64 * 1024 * 1024;
  accepted->send(std::string(8'000'000, 'x'));
  CHECK(accepted->getSendBufferQueueSize() > 0);
  peer.endOutput();
  peer.socket.shutdownWrite();
  const std::string all =
      readUntil(peer, [&](const auto&) { return peer.isEnded() && peer.socket.isAtEnd(); });
  CHECK(all.size() == 8'000'000);
  CHECK(runUntil([&] { return server.has("close"); }));
  CHECK_FALSE(server.has("error"));
}

TEST_CASE_FIXTURE(Ends, "tls: a stream that is cut off is an error where its end means something") {
  SUBCASE("raw bytes: onError(TLS_FAIL), then onClose") {
    const auto worker = echo("tcp");
    TlsPeer peer(connectRaw(worker->getListenPort()));
    REQUIRE(open(peer));
    peer.write("half of it");
    peer.socket.close();
    CHECK(runUntil([&] { return server.has("close"); }));
    CHECK(server.text == "connect message:half of it error:3 close ");
    CHECK(server.error == "the stream was cut off: the peer has closed it without close_notify");
  }
  SUBCASE("with a protocol that knows its own ends: only onClose") {
    const auto worker = echo("text");
    TlsPeer peer(connectRaw(worker->getListenPort()));
    REQUIRE(open(peer));
    peer.write("whole\nhalf");
    peer.socket.shutdownWrite();
    CHECK(runUntil([&] { return server.has("close"); }));
    CHECK(server.text == "connect message:whole close ");
  }
  SUBCASE("a websocket: 1006") {
    const auto worker = echo("websocket");
    int code = 0;
    worker->onWebSocketClose = [&](TcpConnectionPtr, int given, std::string_view) { code = given; };
    TlsRelay relay(worker->getListenPort());
    const auto connection = connect(relay.port(), "wss");
    client.record(*connection);
    int seen = 0;
    connection->onWebSocketClose = [&](AsyncTcpConnectionPtr, int given, std::string_view) { seen = given; };
    connection->onWebSocketConnect = [&](AsyncTcpConnectionPtr, const auto&) { client.text += "open "; };
    connection->connect();
    REQUIRE(runUntil([&] { return relay.move(), client.has("open"); }));
    relay.cut();
    CHECK(runUntil([&] { return code != 0 && seen != 0 && client.has("close"); }));
    CHECK(code == 1006);
    CHECK(seen == 1006);
    CHECK(client.text == "connect open close ");
  }
}

TEST_CASE_FIXTURE(Ends, "tls: what is no TLS ends the handshake of either side") {
  SUBCASE("a client's") {
    for (const std::string garbage :
         {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x16\x03\x01\xff\xff"}) {
      CAPTURE(garbage);
      Journal journal;
      RawListener listener;
      const auto connection = connect(listener.port(), "text");
      journal.record(*connection);
      connection->connect();
      RawSocket peer;
      REQUIRE(runUntil([&] { return listener.acceptInto(peer); }));
      peer.send(garbage);
      CHECK(runUntil([&] { return journal.has("close"); }));
      CHECK(journal.text == "error:1 close ");
      CHECK_MESSAGE(journal.error.find("TLS: what the peer sends is not TLS") != std::string::npos,
                    journal.error);
    }
  }
  SUBCASE("a server's: it tells the log and nobody else") {
    CapturedStderr log;
    const auto worker = echo("text");
    RawSocket peer = connectRaw(worker->getListenPort());
    peer.send("\x01\x02\x03 this is no TLS at all");
    std::string answer;
    CHECK(runUntil([&] { return answer += peer.receiveAll(), peer.isAtEnd(); }));
    // Who speaks no TLS understands no alert.
    CHECK(answer == "");
    peer.close();
    CHECK(runUntil([&] { return worker->connections.size() == 0; }));
    CHECK(server.text == "");
    CHECK(log.text().find(": what the peer sends is not TLS;") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Ends, "tls: a record that was changed on its way ends the connection with TLS_FAIL") {
  for (const bool isServers : {false, true}) {
    CAPTURE(isServers);
    server.text.clear();
    client.text.clear();
    const auto worker = echo("text");
    TlsRelay relay(worker->getListenPort());
    const auto connection = connect(relay.port(), "text");
    client.record(*connection);
    connection->connect();
    connection->send("fine");
    REQUIRE(runUntil([&] { return relay.move(), client.has("message:fine"); }));
    bool isDone = false;
    (isServers ? relay.toClient : relay.toServer).change = [&](std::string bytes) {
      if (bytes.size() > 6 && !std::exchange(isDone, true)) bytes[6] = static_cast<char>(bytes[6] ^ 1);
      return bytes;
    };
    connection->send("broken");
    CHECK(runUntil([&] { return relay.move(), client.has("close") && server.has("close"); }));
    Journal& victim = isServers ? client : server;
    Journal& other = isServers ? server : client;
    CHECK_MESSAGE(victim.text.find(" error:3 close ") != std::string::npos, victim.text);
    CHECK(victim.error == "TLS: decryption failed or bad record mac");
    // The alert has told it.
    CHECK_MESSAGE(other.text.find(" error:3 close ") != std::string::npos, other.text);
    CHECK_FALSE(client.has("message:broken"));
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(Ends, "tls: byte by byte in both directions, handshake, data and end") {
  for (const int version : {STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT, STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT}) {
    CAPTURE(version);
    server.text.clear();
    client.text.clear();
    const auto worker = echo("text");
    TlsRelay relay(worker->getListenPort());
    const auto connection = connect(relay.port(), "text", {.crypto_method = version});
    client.record(*connection);
    connection->connect();
    connection->send("drop by drop");
    REQUIRE(runUntil([&] {
      for (int i = 0; i < 50; ++i) relay.move(1), turn();
      return client.has("message:");
    }));
    CHECK(client.text == "connect message:drop by drop ");
    connection->close();
    CHECK(runUntil([&] { return relay.move(1), server.has("close"); }));
    CHECK(server.text == "connect message:drop by drop close ");
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(Ends, "tls: records cut at every offset arrive as they were sent") {
  const auto worker = echo("text");
  TlsPeer peer(connectRaw(worker->getListenPort()));
  REQUIRE(open(peer));
  readUntil(peer, [](const auto&) { return true; });
  const std::string line = "a line of its own\n";
  for (std::size_t at = 1; at < 2 * (line.size() + 22); ++at) {
    REQUIRE(SSL_write(peer.ssl, line.data(), static_cast<int>(line.size())) > 0);
    REQUIRE(SSL_write(peer.ssl, line.data(), static_cast<int>(line.size())) > 0);
    const std::string bytes = peer.takeOutput();
    REQUIRE(bytes.size() == 2 * (line.size() + 22));
    peer.socket.send(std::string_view(bytes).substr(0, at));
    turn(2);
    peer.socket.send(std::string_view(bytes).substr(at));
    CHECK(readUntil(peer, [&](const std::string& all) { return all.size() >= 2 * line.size(); }) ==
          line + line);
  }
}

TEST_CASE_FIXTURE(Ends,
                  "tls: renegotiation is refused, and the connection goes on (RFC 5246 section 7.2.2)") {
  const auto worker = echo("text");
  TlsPeer peer(connectRaw(worker->getListenPort()), "", TLS1_2_VERSION);
  REQUIRE(open(peer));
  REQUIRE(SSL_renegotiate(peer.ssl) == 1);
  CHECK_FALSE(peer.handshake());
  std::string answer;
  CHECK(
      runUntil([&] { return !answer.empty() || (peer.handshake(), answer = peer.error, !answer.empty()); }));
  CHECK(answer == "no renegotiation");
  CHECK(server.text == "connect ");
  CHECK(accepted->getStatus() == TcpConnection::STATUS_ESTABLISHED);
}

TEST_CASE_FIXTURE(Ends, "tls: a peer that asks for new keys without end and reads nothing is cut off") {
  const auto worker = echo("text");
  TlsPeer peer(connectRaw(worker->getListenPort()), "", TLS1_3_VERSION);
  REQUIRE(open(peer));
  const int size = 4096;
  ::setsockopt(accepted->getSocket(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  ::setsockopt(peer.socket.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  std::size_t most = 0;
  std::string rest;
  CHECK(runUntil([&] {
    for (int i = 0; i < 200 && rest.size() < 65536; ++i) {
      SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED);
      SSL_do_handshake(peer.ssl);
      rest += peer.takeOutput();
    }
    const ssize_t sent = ::send(peer.socket.fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) rest.erase(0, static_cast<std::size_t>(sent));
    most = std::max(most, accepted->getSendBufferQueueSize());
    return server.has("close");
  }));
  CHECK(server.text == "connect error:3 close ");
  CHECK(most > 100'000);
  CHECK(most < 400'000);
}

TEST_CASE_FIXTURE(Ends, "tls: new keys are taken over while data flows") {
  const auto worker = echo("text");
  TlsPeer peer(connectRaw(worker->getListenPort()), "", TLS1_3_VERSION);
  REQUIRE(open(peer));
  for (int i = 0; i < 20; ++i) {
    REQUIRE(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
    peer.write("round " + std::to_string(i) + "\n");
    const std::string expected = "round " + std::to_string(i) + "\n";
    CHECK(readUntil(peer, [&](const std::string& all) { return all.size() >= expected.size(); }) == expected);
  }
}

TEST_CASE_FIXTURE(Ends, "tls: websockets over it: fragments, a megabyte, close codes") {
  const auto worker = echo("websocket");
  int code = 0;
  worker->onWebSocketClose = [&](TcpConnectionPtr, int given, std::string_view) { code = given; };
  const auto connection = connect(*worker, "wss");
  client.record(*connection);
  const std::string large(1'048'576, 'm');
  connection->onWebSocketConnect = [&](AsyncTcpConnectionPtr self, const auto&) { self->send(large); };
  std::size_t got = 0;
  connection->onMessage = [&](AsyncTcpConnectionPtr, std::string_view data) {
    got = data == large ? data.size() : 1;
  };
  connection->connect();
  CHECK(runUntil([&] { return got != 0; }));
  CHECK(got == large.size());
  connection->close(4001, "done");
  CHECK(runUntil([&] { return server.has("close") && client.has("close"); }));
  CHECK(code == 4001);
  CHECK(client.text == "connect close ");

  TlsPeer peer(connectRaw(worker->getListenPort()));
  REQUIRE(open(peer));
  peer.write(
      "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  readUntil(peer, [](const std::string& all) { return all.find("\r\n\r\n") != std::string::npos; });
  using namespace std::string_literals;
  // "Hel", "lo" (RFC 6455 section 5.7), masked with zeros.
  peer.write("\x01\x83\0\0\0\0Hel\x80\x82\0\0\0\0lo"s);
  CHECK(readUntil(peer, [](const std::string& all) { return all.size() >= 7; }) == "\x81\x05Hello");
  // Not masked: 1002.
  peer.write("\x81\x01x"s);
  CHECK(readUntil(peer, [](const std::string& all) { return all.size() >= 4; }).substr(0, 4).substr(2) ==
        "\x03\xea");
}
