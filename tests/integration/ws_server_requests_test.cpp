#include <string>
#include <vector>

#include "support/wire_echo.h"

/// What a websocket worker answers to every kind of request, and that it lives on.

using namespace Workerman;
using namespace Workerman::Connection;
using namespace testing;
namespace Http = Workerman::Protocols::Http;

namespace {

/// A worker whose requests are told, and plain sockets that call it.
struct Server {
  std::vector<std::string> paths;
  int opened = 0, closed = 0, told = 0;
  std::vector<std::string> messages;
  LoopFixture fixture;
  Ticker ticker;
  std::shared_ptr<Worker> worker = listenOn("websocket");

  Server() {
    worker->onWebSocketConnect = [this](auto, Http::Request& request) { paths.emplace_back(request.path()); };
    worker->onWebSocketConnected = [this] { ++opened; };
    worker->onMessage = [this](auto, std::string data) { messages.push_back(data); };
    worker->onWebSocketClose = [this] { ++told; };
    worker->onClose = [this] { ++closed; };
  }

  /// All that comes back for `bytes`, sent in pieces of `piece` (0: at once),
  /// until the worker ends the connection or has switched to websocket.
  std::string ask(std::string_view bytes, std::size_t piece = 0) {
    WirePeer peer(connectRaw(worker->getListenPort()), Role::Client);
    const int before = opened;
    const int closedBefore = closed;
    while (!bytes.empty() && !peer.isAtEnd()) {
      const std::size_t sent = peer.offer(piece == 0 ? bytes : bytes.substr(0, piece));
      bytes.remove_prefix(sent);
      fixture.turn(piece != 0 ? 2 : 1);
      peer.collect();
    }
    fixture.runUntil([&] {
      return peer.collect(), peer.isAtEnd() || peer.bytes().find("101 Switching") != std::string::npos;
    });
    const bool isUp = opened > before;
    std::string answer = peer.bytes();
    peer.socket().close();
    fixture.runUntil([&] { return closed == closedBefore + 1; });
    CHECK(isUp == answer.starts_with("HTTP/1.1 101 "));
    return answer;
  }
};

std::string request(const std::string& line, const std::string& fields) {
  return line + "\r\n" + fields + "\r\n";
}

const std::string kFields =
    "Host: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The fields with one of them exchanged, or left out.
std::string with(const std::string& name, const std::string& line) {
  std::string fields = kFields;
  const std::size_t at = fields.find(name + ":");
  fields.replace(at, fields.find("\r\n", at) + 2 - at, line);
  return fields;
}

}  // namespace

TEST_CASE(
    "websocket requests: what is no upgrade is refused with its status, readable, and the worker lives on") {
  struct Case {
    std::string what, sent, status;
  };
  const std::string get = "GET / HTTP/1.1";
  const Case cases[] = {
      {"a browser's plain GET", request(get, "Host: here\r\nAccept: text/html\r\n"), "426 Upgrade Required"},
      {"another upgrade", request(get, with("Upgrade", "Upgrade: h2c\r\n")), "426 Upgrade Required"},
      {"version 8", request(get, with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\n")),
       "426 Upgrade Required"},
      {"version 14", request(get, with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 14\r\n")),
       "426 Upgrade Required"},
      {"two versions", request(get, with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8\r\n")),
       "426 Upgrade Required"},
      {"no version", request(get, with("Sec-WebSocket-Version", "")), "400 Bad Request"},
      {"version twice", request(get, kFields + "Sec-WebSocket-Version: 13\r\n"), "400 Bad Request"},
      {"no key", request(get, with("Sec-WebSocket-Key", "")), "400 Bad Request"},
      {"key twice", request(get, kFields + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
       "400 Bad Request"},
      {"a short key", request(get, with("Sec-WebSocket-Key", "Sec-WebSocket-Key: c2hvcnQ=\r\n")),
       "400 Bad Request"},
      {"no base64",
       request(get, with("Sec-WebSocket-Key", "Sec-WebSocket-Key: ****************======**\r\n")),
       "400 Bad Request"},
      {"no Connection: Upgrade", request(get, with("Connection", "Connection: keep-alive\r\n")),
       "400 Bad Request"},
      {"no Host", request(get, with("Host", "")), "400 Bad Request"},
      {"Host twice", request(get, kFields + "Host: there\r\n"), "400 Bad Request"},
      {"a body", request(get, kFields + "Content-Length: 5\r\n") + "hello", "400 Bad Request"},
      {"a chunked body", request(get, kFields + "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
       "400 Bad Request"},
      {"both lengths", request(get, kFields + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
       "400 Bad Request"},
      {"HTTP/1.0", request("GET / HTTP/1.0", kFields), "400 Bad Request"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
      {"POST", request("POST / HTTP/1.1", kFields), "405 Method Not Allowed"},
      {"HEAD", request("HEAD / HTTP/1.1", kFields), "405 Method Not Allowed"},
      {"OPTIONS", request("OPTIONS * HTTP/1.1", kFields), "405 Method Not Allowed"},
      {"CONNECT", request("CONNECT here:80 HTTP/1.1", kFields), "405 Method Not Allowed"},
      {"an unknown method", request("BREW / HTTP/1.1", kFields), "501 Not Implemented"},
      {"another host in the target", request("GET http://there/ HTTP/1.1", kFields), "400 Bad Request"},
      {"a folded line", request(get, kFields + "X: a\r\n b\r\n"), "400 Bad Request"},
      {"white space before the colon", request(get, kFields + "X : a\r\n"), "400 Bad Request"},
      {"a bare line feed", "GET / HTTP/1.1\n" + kFields + "\r\n", "400 Bad Request"},
      {"a NUL", request(get, kFields + "X: a" + std::string(1, '\0') + "b\r\n"), "400 Bad Request"},
      {"two spaces", request("GET  / HTTP/1.1", kFields), "400 Bad Request"},
      {"no version of HTTP", request("GET /", kFields), "505 HTTP Version Not Supported"},
      {"two empty lines first", "\r\n\r\n" + request(get, kFields), "400 Bad Request"},
      {"an unknown expectation", request(get, kFields + "Expect: 200-ok\r\n"), "417 Expectation Failed"},
      {"TLS", std::string("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 11), "400 Bad Request"},
      {"zeros", std::string(64, '\0'), "400 Bad Request"},
      {"a frame without a handshake", text("hi").bytes(Role::Client), "400 Bad Request"},
      {"101 fields",
       request(
           get, kFields +
                    [] {
                      std::string many;
                      for (int i = 0; i < 96; ++i) many += "X" + std::to_string(i) + ": y\r\n";
                      return many;
                    }()),
       "431 Request Header Fields Too Large"},
      {"a long head", request(get, kFields + "X: " + std::string(17000, 'x') + "\r\n"),
       "431 Request Header Fields Too Large"},
      {"a head without end", "GET / HTTP/1.1\r\nX: " + std::string(20000, 'x'),
       "431 Request Header Fields Too Large"},
      {"a long target", request("GET /" + std::string(17000, 'x') + " HTTP/1.1", kFields),
       "414 URI Too Long"},
  };
  Server server;
  for (const auto& each : cases) {
    CAPTURE(each.what);
    for (const std::size_t piece : {0, 1}) {
      if (piece == 1 && each.sent.size() > 1000) continue;
      const std::string answer = server.ask(each.sent, piece);
      CHECK_MESSAGE(answer.starts_with("HTTP/1.1 " + each.status), answer);
      CHECK(answer.find("Connection: close") != std::string::npos);
      const std::size_t body = answer.find("\r\n\r\n");
      REQUIRE(body != std::string::npos);
      CHECK(answer.size() > body + 8);
      if (each.status.starts_with("426")) {
        CHECK(answer.find("Upgrade: websocket\r\n") != std::string::npos);
        CHECK(answer.find("Sec-WebSocket-Version: 13\r\n") != std::string::npos);
      }
      if (each.status.starts_with("405")) CHECK(answer.find("Allow: GET\r\n") != std::string::npos);
    }
  }
  CHECK(server.opened == 0);
  CHECK(server.told == 0);
  CHECK(server.ask(upgradeRequest()).starts_with("HTTP/1.1 101 "));
}

TEST_CASE("websocket requests: what an upgrade may look like (RFC 6455 section 4.2.1)") {
  struct Case {
    std::string what, sent, path;
  };
  const Case cases[] = {
      {"the usual", request("GET /chat?a=b HTTP/1.1", kFields), "/chat"},
      {"names and tokens in any case",
       request("GET / HTTP/1.1",
               "hOST: here\r\nUPGRADE: WebSocket\r\nconnection: UPGRADE\r\n"
               "sec-websocket-version: 13\r\nSEC-WEBSOCKET-KEY:dGhlIHNhbXBsZSBub25jZQ==\r\n"),
       "/"},
      {"lists", request("GET / HTTP/1.1", with("Connection", "Connection: keep-alive, Upgrade\r\n")), "/"},
      {"lists over two fields",
       request("GET / HTTP/1.1", kFields + "Connection: keep-alive\r\nUpgrade: h2c\r\n"), "/"},
      {"an empty body", request("GET / HTTP/1.1", kFields + "Content-Length: 0\r\n"), "/"},
      {"the absolute form", request("GET http://here/room?x HTTP/1.1", kFields), "/room"},
      {"white space around values", request("GET / HTTP/1.1", with("Host", "Host: \t here \t\r\n")), "/"},
      {"a port and IPv6", request("GET / HTTP/1.1", with("Host", "Host: [::1]:8080\r\n")), "/"},
      {"an extension and a sub-protocol nobody wants",
       request("GET / HTTP/1.1", kFields + "Sec-WebSocket-Extensions: x-unknown; a=b, "
                                           "permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n"),
       "/"},
      {"100 fields",
       request(
           "GET / HTTP/1.1", kFields +
                                 [] {
                                   std::string many;
                                   for (int i = 0; i < 95; ++i) many += "X" + std::to_string(i) + ": y\r\n";
                                   return many;
                                 }()),
       "/"},
  };
  Server server;
  for (const auto& each : cases) {
    CAPTURE(each.what);
    for (const std::size_t piece : {0, 1}) {
      server.paths.clear();
      const std::string answer = server.ask(each.sent, piece);
      CHECK_MESSAGE(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), answer);
      CHECK(answer.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
      CHECK(answer.find("Sec-WebSocket-Extensions") == std::string::npos);
      CHECK(answer.find("Sec-WebSocket-Protocol") == std::string::npos);
      CHECK(server.paths == std::vector<std::string>{each.path});
    }
  }
}

TEST_CASE("websocket requests: a head of exactly 16384 bytes passes, one byte more is 431") {
  Server server;
  for (const std::size_t size : {16383, 16384, 16385}) {
    const std::string bare = request("GET / HTTP/1.1", kFields + "X: \r\n");
    const std::string sent =
        request("GET / HTTP/1.1", kFields + "X: " + std::string(size - bare.size(), 'x') + "\r\n");
    REQUIRE(sent.size() == size);
    CAPTURE(size);
    CHECK(server.ask(sent).starts_with(size <= 16384 ? "HTTP/1.1 101 " : "HTTP/1.1 431 "));
  }
}

TEST_CASE("websocket requests: the same cut in two anywhere, with the first frames behind it") {
  const std::string sent = upgradeRequest() + text("first").bytes(Role::Client) +
                           ping("p").bytes(Role::Client) + text("second").bytes(Role::Client);
  Server server;
  for (std::size_t cut = 1; cut <= sent.size(); ++cut) {
    CAPTURE(cut);
    server.messages.clear();
    WirePeer peer(connectRaw(server.worker->getListenPort()), Role::Client);
    peer.offer(std::string_view(sent).substr(0, cut));
    server.fixture.turn(3);
    peer.offer(std::string_view(sent).substr(cut));
    // All of it is there: nothing may wait for more bytes.
    server.fixture.runUntil([&] { return server.messages.size() == 2; });
    CHECK(server.messages == std::vector<std::string>{"first", "second"});
    std::string head;
    server.fixture.runUntil([&] {
      peer.collect();
      if (head.empty()) head = peer.takeHead();
      return !peer.words.empty();
    });
    CHECK(head.starts_with("HTTP/1.1 101 "));
    CHECK(peer.words == Words{"pong:p"});
  }
}

TEST_CASE("websocket requests: a client that goes away before, in and behind its request") {
  Server server;
  const std::string sent = upgradeRequest();
  for (const bool resets : {false, true}) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, sent.size() / 2, sent.size() - 1, sent.size()}) {
      CAPTURE(size);
      const int before = server.closed;
      WirePeer peer(connectRaw(server.worker->getListenPort()), Role::Client);
      peer.offer(std::string_view(sent).substr(0, size));
      if (resets) {
        peer.socket().reset();
      } else {
        peer.socket().close();
      }
      server.fixture.runUntil([&] { return server.closed == before + 1; });
    }
  }
  CHECK(server.ask(sent).starts_with("HTTP/1.1 101 "));
}

TEST_CASE("websocket requests: one empty line before the request is ignored (RFC 9112 section 2.2)") {
  for (const std::size_t piece : {0, 1, 3}) {
    Server server;
    CHECK(server.ask("\r\n" + request("GET /x HTTP/1.1", kFields), piece).starts_with("HTTP/1.1 101 "));
    CHECK(server.paths == std::vector<std::string>{"/x"});
  }
}
