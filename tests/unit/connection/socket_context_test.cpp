#include "core/socket_context.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <type_traits>

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

TEST_CASE("socket context: the same options in any order, as PHP's array") {
  static_assert(std::is_aggregate_v<SocketContext> && std::is_aggregate_v<Workerman::SslOptions> &&
                std::is_aggregate_v<Workerman::SocketOptions>);
  const std::string pem = "b.pem";
  const SocketContext context{
      .socket = {{"backlog", 7}, {"bindto", "127.0.0.1:0"}, {"so_reuseport", true}, {"tcp_nodelay", false}},
      .ssl = {{"verify_peer", false},
              {"local_pk", "b.key"},
              {"SNI_server_certs", {{"a.example", "a.pem"}, {"b.example", "b.pem"}}},
              {"local_cert", pem},
              {"alpn_protocols", std::string_view("h2")},
              {"peer_fingerprint", {{"sha256", "aa"}}},
              {"allow_self_signed", 1},
              {"crypto_method", 121},
              {"passphrase", 1234}}};
  CHECK(context.socket.backlog == 7);
  CHECK(context.socket.bindto == "127.0.0.1:0");
  CHECK((context.socket.so_reuseport && !context.socket.so_broadcast));
  CHECK(context.socket.tcp_nodelay == false);
  CHECK(context.ssl.verify_peer == false);
  CHECK_FALSE(context.ssl.verify_peer_name.has_value());
  CHECK(context.ssl.local_pk == "b.key");
  CHECK(context.ssl.local_cert == "b.pem");
  CHECK(context.ssl.SNI_server_certs.at("b.example") == "b.pem");
  CHECK(context.ssl.SNI_server_certs.size() == 2);
  CHECK(context.ssl.alpn_protocols == "h2");
  CHECK(context.ssl.peer_fingerprint.digests().at("sha256") == "aa");
  CHECK((context.ssl.allow_self_signed && context.ssl.SNI_enabled));
  CHECK(context.ssl.crypto_method == 121);
  CHECK(context.ssl.passphrase == "1234");
  CHECK(context.ssl.cafile.empty());
  const SocketContext two{.ssl = {{"local_cert", "a"}, {"local_pk", "b"}}};
  CHECK((two.ssl.local_cert == "a" && two.ssl.local_pk == "b"));
  const SocketContext one{.ssl = {{"verify_peer", false}}};
  CHECK((one.ssl.local_cert.empty() && one.ssl.verify_peer == false));
  // All of them, backwards: every member is given a pair that is not its own.
  const Workerman::SslOptions all = {{"alpn_protocols", "a"},   {"SNI_server_certs", {{"h", "f"}}},
                                     {"SNI_enabled", false},    {"security_level", 1},
                                     {"crypto_method", 9},      {"ciphers", "c"},
                                     {"peer_fingerprint", "d"}, {"peer_name", "p"},
                                     {"capath", "x"},           {"cafile", "y"},
                                     {"verify_depth", 3},       {"verify_peer_name", true},
                                     {"verify_peer", true},     {"allow_self_signed", true},
                                     {"passphrase", "w"},       {"local_pk", "k"},
                                     {"local_cert", "l"}};
  CHECK((all.local_cert == "l" && all.local_pk == "k" && all.passphrase == "w" && all.allow_self_signed));
  CHECK((all.verify_peer == true && all.verify_peer_name == true && all.verify_depth == 3));
  CHECK((all.cafile == "y" && all.capath == "x" && all.peer_name == "p" && all.ciphers == "c"));
  CHECK((all.crypto_method == 9 && all.security_level == 1 && !all.SNI_enabled));
  CHECK((all.SNI_server_certs.at("h") == "f" && all.alpn_protocols == "a"));
  Workerman::SslOptions assigned = all;
  assigned.verify_peer = false;
  assigned.local_cert = std::string("m");
  assigned.verify_depth = std::nullopt;
  CHECK((assigned.verify_peer == false && assigned.local_cert == "m" && !assigned.verify_depth));
}

TEST_CASE(
    "socket context: a name that is none throws and names the nearest, as does a value of another kind") {
  const auto thrown = [](auto make) -> std::string {
    try {
      make();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  CHECK(thrown([] {
          SocketContext{.ssl = {{"local_crt", "a"}}};
        }) == "there is no option 'local_crt'; the nearest is 'local_cert'");
  CHECK(thrown([] {
          SocketContext{.ssl = {{"local_cert", "a"}, {"verify_pear", false}}};
        }) == "there is no option 'verify_pear'; the nearest is 'verify_peer'");
  CHECK(thrown([] {
          SocketContext{.socket = {{"bind_to", "a"}}};
        }) == "there is no option 'bind_to'; the nearest is 'bindto'");
  CHECK(thrown([] {
          SocketContext{.ssl = {{"verify_peer", "no"}}};
        }) == "the option 'verify_peer' takes true or false");
  CHECK(thrown([] {
          (void)SocketContext{.ssl = {{"local_cert", true}}};
        }) == "the option 'local_cert' takes text");
  CHECK(thrown([] {
          SocketContext{.socket = {{"backlog", "many"}}};
        }) == "the option 'backlog' takes a number");
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
