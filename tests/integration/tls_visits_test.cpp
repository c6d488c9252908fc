// Nothing is left of TLS connections, however they end: objects are counted (tests/soak does it for longer).
// Nor are they left alone that say nothing.

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "../support/raw_peer.h"
#include "../support/tls_fixture.h"
#include "../support/tls_visits.h"

using testing::TlsFixture;
using testing::TlsVisits;
using Workerman::Connection::ConnectionInterface;

namespace {

/// How many objects of a kind OpenSSL has, by the callbacks that it has for that.
class Living {
 public:
  explicit Living(int kind)
      : kind_(kind), index_(CRYPTO_get_ex_new_index(kind, 0, &count_, onNew, nullptr, onFree)) {
    REQUIRE(index_ >= 0);
  }
  Living(const Living&) = delete;
  Living& operator=(const Living&) = delete;
  ~Living() { CRYPTO_free_ex_index(kind_, index_); }
  int count() const { return count_; }

 private:
  static void onNew(void*, void*, CRYPTO_EX_DATA*, int, long, void* count) { ++*static_cast<int*>(count); }
  static void onFree(void*, void*, CRYPTO_EX_DATA*, int, long, void* count) { --*static_cast<int*>(count); }

  int count_ = 0;
  int kind_;
  int index_;
};

}  // namespace

TEST_CASE("tls: of 270 connections that end in every way nothing is left") {
  const Living streams(CRYPTO_EX_INDEX_SSL), contexts(CRYPTO_EX_INDEX_SSL_CTX);
  const auto before = ConnectionInterface::statistics.connection_count;
  TlsVisits visits;
  visits.run(9);
  const int contextsThen = contexts.count();
  CHECK(streams.count() == 0);
  visits.run(261);
  CHECK(streams.count() == 0);
  CHECK(contexts.count() == contextsThen);
  CHECK(ConnectionInterface::statistics.connection_count == before);
  // Each kind came thirty times; where certificates were read anew nothing is resumed.
  CHECK(visits.answers == 30 * (1 + 1 + 3 + 1));
  CHECK(visits.refusals == 30);
  CHECK(visits.closes == 30 * (1 + 1 + 3 + 1 + 1 + 1));
  CHECK(visits.refusedPlain == 30);
  CHECK(visits.resumed == 30 * (1 + 3 + 1 + 1) - 1);
}

TEST_CASE_FIXTURE(TlsFixture,
                  "tls: idleTimeout ends an open connection in order, and one that owes a handshake") {
  const auto worker = listen("text");
  worker->idleTimeout = 0.3;
  worker->handshakeTimeout = 0;
  server.record(*worker);
  testing::RawSocket mute(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(worker->getListenPort()));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(mute.fd(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  const auto connection = connect(*worker, "tcp");
  client.record(*connection);
  connection->connect();
  const testing::Ticker ticker;
  runUntil([&] { return client.has("close"); });
  // With close_notify: without it a raw stream has an error.
  CHECK(client.text == "connect close ");
  runUntil([&] { return mute.receive(), mute.isAtEnd(); });
  runUntil([&] { return worker->connections.size() == 0; });
  CHECK(server.text == "connect close ");
}
