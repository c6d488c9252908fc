// What flows through TLS: back pressure, records, pausing, pipes.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "../support/tls_fixture.h"
#include "../support/tls_peer.h"

using namespace testing;
using namespace Workerman;
using Connection::AsyncTcpConnection;
using Connection::AsyncTcpConnectionPtr;
using Connection::SendResult;
using Connection::TcpConnection;
using Connection::TcpConnectionPtr;

namespace {

/// Bytes that differ from place to place.
std::string patterned(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

void shrinkBuffers(const TcpConnectionPtr& connection, int size = 4096) {
  ::setsockopt(connection->getSocket(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  ::setsockopt(connection->getSocket(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

struct Flow : TlsFixture {
  /// What a worker's only connection has received.
  std::string received;
  TcpConnectionPtr accepted;
  bool isClosed = false;

  ~Flow() { accepted = nullptr; }
  /// Collects in `received`; the connection is paused at first.
  std::shared_ptr<Worker> slowReader() {
    auto worker = listen("tcp");
    worker->onConnect = [this](TcpConnectionPtr connection) {
      accepted = connection;
      connection->pauseRecv();
    };
    worker->onMessage = [this](TcpConnectionPtr, std::string_view data) { received += data; };
    worker->onClose = [this](TcpConnectionPtr) { isClosed = true; };
    return worker;
  }
  bool receives(const std::string& expected) {
    const bool came = runUntil([&] { return received.size() >= expected.size(); });
    CHECK(received.size() == expected.size());
    CHECK(received == expected);
    return came;
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    Flow, "tls: past a slow reader sends wait, fill the buffer and are dropped; what was taken arrives") {
  const auto worker = slowReader();
  const auto connection = connect(*worker, "tcp");
  client.record(*connection);
  connection->connect();
  REQUIRE(runUntil([&] { return accepted && client.has("connect"); }));
  shrinkBuffers(connection);
  const std::string chunk = patterned(100'000);
  std::string taken;
  int buffered = 0;
  SendResult result = SendResult::sent();
  while (result != false) {
    const std::size_t before = connection->getSendBufferQueueSize();
    result = connection->send(chunk);
    if (result == false) {
      CHECK(before >= connection->maxSendBufferSize);
      CHECK(connection->getSendBufferQueueSize() == before);
    } else {
      taken += chunk;
      buffered += result == nullptr;
      CHECK((connection->getSendBufferQueueSize() != 0) == (result == nullptr));
    }
  }
  CHECK(buffered > 9);
  CHECK(client.text == "connect full error:2 ");
  CHECK(client.error == "send buffer full and drop package");
  // What is encrypted counts as it is, and that is not much more.
  CHECK(connection->getSendBufferQueueSize() < connection->maxSendBufferSize + chunk.size() + 200'000);
  CHECK(connection->bytesWritten < static_cast<std::int64_t>(taken.size()));
  accepted->resumeRecv();
  receives(taken);
  CHECK(runUntil([&] { return client.has("drain"); }));
  CHECK(client.text == "connect full error:2 drain ");
  CHECK(connection->getSendBufferQueueSize() == 0);
  CHECK(connection->bytesWritten == static_cast<std::int64_t>(taken.size()));
  CHECK(accepted->bytesRead == static_cast<std::int64_t>(taken.size()));
}

TEST_CASE_FIXTURE(Flow, "tls: 50 MB through small socket buffers, in order and complete") {
  const auto worker = slowReader();
  const auto connection = connect(*worker, "tcp");
  const std::string all = patterned(50'000'000);
  connection->maxSendBufferSize = all.size() * 2;
  connection->onConnect = [&](AsyncTcpConnectionPtr self) {
    shrinkBuffers(self, 32 * 1024);
    std::string_view rest = all;
    // Sizes around records, batches and the cork.
    for (std::size_t size = 1; !rest.empty(); size = size * 7 % 300'007) {
      CHECK(self->send(rest.substr(0, size)) != false);
      rest.remove_prefix(std::min(size, rest.size()));
    }
  };
  connection->connect();
  REQUIRE(runUntil([&] { return accepted != nullptr; }));
  accepted->resumeRecv();
  receives(all);
}

TEST_CASE_FIXTURE(Flow,
                  "tls: small sends of one callback share a record, large ones fill records of 16 KiB") {
  const auto worker = listen("text");
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view data) {
    if (data == "small") {
      for (int i = 0; i < 100; ++i) connection->send(std::to_string(i));
    } else if (data == "mixed") {
      connection->send("short");
      connection->send(std::string(100'000, 'x'));
    }
    connection->send("end");
  };
  const Ticker ticker;
  TlsRelay relay(worker->getListenPort());
  const auto connection = connect(relay.port(), "text");
  client.record(*connection);
  connection->connect();
  const auto ask = [&](const std::string& question) {
    client.text.clear();
    const std::size_t mark = relay.toClient.seen.size();
    connection->send(question);
    REQUIRE(runUntil([&] { return relay.move(), client.has("message:end"); }));
    return recordsIn(std::string_view(relay.toClient.seen).substr(mark));
  };
  REQUIRE(runUntil([&] { return relay.move(), client.has("connect"); }));
  ask("tickets come first");
  const auto small = ask("small");
  REQUIRE(small.size() == 1);
  CHECK(small[0].type == 23);
  CHECK(small[0].size == 10 * 2 + 90 * 3 + 4 + 17);
  const auto mixed = ask("mixed");
  // 6 + 100,001 bytes; what follows a long message leaves by itself.
  REQUIRE(mixed.size() == 8);
  for (std::size_t i = 0; i < 6; ++i) CHECK(mixed[i].size == 16384 + 17);
  CHECK(mixed[6].size == 100'007 - 6 * 16384 + 17);
  CHECK(mixed[7].size == 4 + 17);
}

TEST_CASE_FIXTURE(Flow, "tls: what waits for a slow reader fills its records as well") {
  const Ticker ticker;
  const auto worker = listen("tcp");
  worker->onConnect = [&](TcpConnectionPtr peer) { accepted = peer; };
  TlsRelay relay(worker->getListenPort());
  const auto connection = connect(relay.port(), "tcp");
  connection->onMessage = [&](AsyncTcpConnectionPtr, std::string_view data) { received += data; };
  connection->connect();
  REQUIRE(runUntil([&] { return relay.move(), accepted != nullptr; }));
  // The tickets have left.
  turn(3), relay.move(), turn(3);
  const std::size_t mark = relay.toClient.seen.size();
  shrinkBuffers(accepted);
  accepted->maxSendBufferSize = 64 * 1024 * 1024;
  const std::string all = patterned(3'000'000);
  CHECK(accepted->send(std::string_view(all).substr(0, 2'000'000)) == nullptr);
  // More than a batch waits unencrypted, so that these find room in one record.
  for (std::size_t at = 2'000'000; at < all.size(); at += 100) {
    CHECK(accepted->send(std::string_view(all).substr(at, 100)) == nullptr);
  }
  REQUIRE(runUntil([&] { return relay.move(), received.size() >= all.size(); }));
  CHECK(received == all);
  const auto records = recordsIn(std::string_view(relay.toClient.seen).substr(mark));
  std::size_t full = 0;
  for (const auto& record : records) full += record.size == 16384 + 17;
  CHECK(full == records.size() - 1);
}

TEST_CASE_FIXTURE(Flow,
                  "tls: pauseRecv() keeps what has come, also with the stream's end, until resumeRecv()") {
  for (const bool isSecured : {false, true}) {
    CAPTURE(isSecured);
    Journal journal;
    const auto worker = isSecured ? listen("text") : listenOn("text");
    worker->onConnect = [](TcpConnectionPtr connection) {
      connection->send("one\ntwo\nthree");
      connection->close();
    };
    const auto connection = connect(*worker, "text");
    connection->transport = isSecured ? "ssl" : "tcp";
    journal.record(*connection);
    connection->onMessage = [&](AsyncTcpConnectionPtr self, std::string_view data) {
      journal.text += "message:" + std::string(data) + " ";
      self->pauseRecv();
    };
    connection->connect();
    REQUIRE(runUntil([&] { return journal.has("one"); }));
    turn(20);
    CHECK(journal.text == "connect message:one ");
    connection->resumeRecv();
    CHECK(journal.text == "connect message:one message:two ");
    turn(20);
    CHECK(journal.text == "connect message:one message:two ");
    connection->onMessage = [&](AsyncTcpConnectionPtr, std::string_view data) {
      journal.text += "message:" + std::string(data) + " ";
    };
    connection->resumeRecv();
    CHECK(runUntil([&] { return journal.has("close"); }));
    CHECK(journal.text == "connect message:one message:two message:three close ");
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(Flow, "tls: a paused connection reads nothing, so that the sender has to wait") {
  const auto worker = slowReader();
  const auto connection = connect(*worker, "tcp");
  connection->maxSendBufferSize = 64 * 1024 * 1024;
  const std::string all = patterned(20'000'000);
  connection->onConnect = [&](AsyncTcpConnectionPtr self) { self->send(all); };
  connection->connect();
  REQUIRE(runUntil([&] { return accepted != nullptr; }));
  std::size_t before = 0;
  for (int i = 0; i < 10 || before != connection->getSendBufferQueueSize(); ++i) {
    before = connection->getSendBufferQueueSize();
    turn(10);
  }
  CHECK(before > 0);
  CHECK(received.empty());
  CHECK(accepted->getRecvBufferQueueSize() <= 256 * 1024);
  accepted->resumeRecv();
  receives(all);
}

TEST_CASE_FIXTURE(Flow, "tls: close() sends what is queued first, and close_notify behind it") {
  const std::string all = patterned(8'000'000);
  for (const bool isPaused : {false, true}) {
    CAPTURE(isPaused);
    received.clear();
    isClosed = false;
    const auto worker = slowReader();
    std::string error;
    worker->onError = [&](TcpConnectionPtr, int, std::string message) { error = message; };
    const auto connection = connect(*worker, "tcp");
    connection->maxSendBufferSize = 64 * 1024 * 1024;
    if (isPaused) connection->onConnect = [&](AsyncTcpConnectionPtr self) { shrinkBuffers(self); };
    connection->connect();
    REQUIRE(
        runUntil([&] { return accepted && connection->getStatus() == TcpConnection::STATUS_ESTABLISHED; }));
    if (!isPaused) accepted->resumeRecv();
    connection->send(all);
    connection->close();
    turn(20);
    accepted->resumeRecv();
    receives(all);
    CHECK(runUntil([&] { return isClosed; }));
    CHECK(error == "");
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(
    Flow,
    "tls: close() in onConnect loses nothing of what was sent, though the server's tickets come later") {
  const std::string all = patterned(8'000'000);
  for (const int version : {STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT, STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT}) {
    CAPTURE(version);
    received.clear();
    isClosed = false;
    const auto worker = slowReader();
    std::string error;
    worker->onError = [&](TcpConnectionPtr, int, std::string message) { error = message; };
    const auto connection = connect(*worker, "tcp", {.crypto_method = version});
    connection->maxSendBufferSize = 64 * 1024 * 1024;
    connection->onConnect = [&](AsyncTcpConnectionPtr self) {
      // The kernel takes a part of it, or all.
      self->send(std::string_view(all).substr(
          0, version == STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT ? all.size() : 2'000'000));
      self->close();
    };
    accepted = nullptr;
    connection->connect();
    REQUIRE(runUntil([&] { return accepted != nullptr; }));
    turn(20);
    accepted->resumeRecv();
    receives(version == STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT ? all : all.substr(0, 2'000'000));
    CHECK(runUntil([&] { return isClosed; }));
    CHECK(error == "");
    worker->unlisten();
  }
}

TEST_CASE_FIXTURE(Flow, "tls: pipe() both ways, with the end of each direction passed on alone") {
  const Ticker ticker;
  const std::string certificate = certificates.issue();
  RawListener target;
  const auto worker = listen("tcp");
  AsyncTcpConnectionPtr outside;
  worker->onConnect = [&](TcpConnectionPtr inside) {
    accepted = inside;
    outside = connect(target.port(), "tcp");
    inside->pipe(outside);
    outside->pipe(inside);
    outside->connect();
  };
  TlsPeer left(connectRaw(worker->getListenPort()));
  REQUIRE(runUntil([&] { return left.handshake(); }));
  RawSocket plain;
  REQUIRE(runUntil([&] { return target.acceptInto(plain); }));
  TlsPeer right(std::move(plain), certificate);
  REQUIRE(runUntil([&] { return right.handshake(); }));
  std::string atLeft, atRight;
  const std::string request = patterned(300'000);
  left.write(request);
  left.endOutput();
  left.socket.shutdownWrite();
  CHECK(runUntil([&] { return atRight += right.read(), right.isEnded(); }));
  CHECK(atRight == request);
  CHECK(accepted->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  CHECK(outside->getStatus() == TcpConnection::STATUS_ESTABLISHED);
  right.write("answer");
  CHECK(runUntil([&] { return atLeft += left.read(), atLeft == "answer"; }));
  CHECK_FALSE(left.isEnded());
  right.write(", and its end");
  right.endOutput();
  CHECK(runUntil([&] { return atLeft += left.read(), left.isEnded() && left.socket.isAtEnd(); }));
  CHECK(atLeft == "answer, and its end");
  CHECK(runUntil([&] {
    return accepted->getStatus() == TcpConnection::STATUS_CLOSED &&
           outside->getStatus() == TcpConnection::STATUS_CLOSED;
  }));
}
