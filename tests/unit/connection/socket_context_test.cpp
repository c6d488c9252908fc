#include "core/socket_context.h"

#include <doctest/doctest.h>

#include <string>

using Workerman::PeerFingerprint;
using Workerman::SocketContext;

TEST_CASE("socket context: PHP's names as designated initialisers, any left out (api.md)") {
  const SocketContext none;
  CHECK(none.socket.bindto.empty());
  CHECK_FALSE(none.socket.backlog.has_value());
  CHECK_FALSE(none.ssl.verify_peer.has_value());
  CHECK(none.ssl.SNI_enabled);

  const SocketContext some{.socket = {.bindto = "127.0.0.1:0", .backlog = 1024},
                           .ssl = {.local_cert = "a.pem", .local_pk = "a.key", .verify_peer = false}};
  CHECK(some.socket.bindto == "127.0.0.1:0");
  CHECK(some.socket.backlog == 1024);
  CHECK_FALSE(some.socket.tcp_nodelay.has_value());
  CHECK(some.ssl.local_cert == "a.pem");
  CHECK(some.ssl.local_pk == "a.key");
  CHECK(some.ssl.verify_peer == false);
  CHECK_FALSE(some.ssl.verify_peer_name.has_value());
}

TEST_CASE("socket context: every option, in the order declared") {
  const SocketContext all{.socket = {.bindto = "[::1]:0",
                                     .backlog = 1,
                                     .so_reuseport = true,
                                     .so_broadcast = true,
                                     .tcp_nodelay = false,
                                     .ipv6_v6only = true},
                          .ssl = {.local_cert = "a",
                                  .local_pk = "b",
                                  .passphrase = "c",
                                  .allow_self_signed = true,
                                  .verify_peer = true,
                                  .verify_peer_name = false,
                                  .verify_depth = 5,
                                  .cafile = "d",
                                  .capath = "e",
                                  .peer_name = "f",
                                  .peer_fingerprint = "00112233445566778899aabbccddeeff",
                                  .ciphers = "g",
                                  .crypto_method = 121,
                                  .security_level = 2,
                                  .SNI_enabled = false,
                                  .SNI_server_certs = {{"a.example", "a.pem"}, {"b.example", "b.pem"}},
                                  .alpn_protocols = "h2,http/1.1"}};
  CHECK(all.socket.tcp_nodelay == false);
  CHECK(all.ssl.verify_peer == true);
  CHECK(all.ssl.verify_depth == 5);
  CHECK(all.ssl.SNI_server_certs.at("b.example") == "b.pem");
  CHECK(all.ssl.peer_fingerprint.digests().at("md5") == "00112233445566778899aabbccddeeff");
}

TEST_CASE("socket context: a fingerprint is one digest, told by its length, or pairs of name and digest") {
  const struct {
    PeerFingerprint fingerprint;
    std::size_t count;
    std::string name;
  } cases[] = {
      {PeerFingerprint(), 0, ""},          {"", 0, ""},
      {std::string(32, 'a'), 1, "md5"},    {std::string(40, 'a'), 1, "sha1"},
      {std::string(64, 'a'), 1, "sha256"}, {"abc", 1, ""},
      {{{"sha256", "aa"}}, 1, "sha256"},   {{{"sha1", "bb"}, {"sha256", "aa"}}, 2, "sha1"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.name);
    CHECK(c.fingerprint.empty() == (c.count == 0));
    REQUIRE(c.fingerprint.digests().size() == c.count);
    if (c.count > 0) {
      CHECK(c.fingerprint.digests().begin()->first == c.name);
    }
  }
}
