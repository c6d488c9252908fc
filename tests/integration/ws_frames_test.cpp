#include <set>

#include "support/scripted_server.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::closing;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;
using Workerman::Protocols::Ws;

namespace {

std::string letters(std::size_t size) {
  std::string text(size, 'a');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

std::size_t shortestHeader(std::size_t length) {
  return (length < 126 ? 2 : length < 65536 ? 4 : 10) + 4;
}

const std::vector<std::size_t> kLengths{0, 1, 125, 126, 127, 65535, 65536, 1048576};

}  // namespace

TEST_CASE(
    "ws frames: what is sent has the shortest length, FIN, a mask, and arrives whole (RFC 6455 section "
    "5.2)") {
  Scene scene;
  const auto client = scene.opened();
  client->maxSendBufferSize = 16 << 20;
  for (const bool isBinary : {false, true}) {
    client->websocketType = isBinary ? Ws::BINARY_TYPE_ARRAYBUFFER : Ws::BINARY_TYPE_BLOB;
    for (const std::size_t length : kLengths) {
      CAPTURE(length);
      scene.server.frames.clear();
      CHECK_FALSE(client->send(letters(length)) == false);
      REQUIRE(scene.until([&] { return scene.server.frames.size() == 1; }));
      const auto& sent = scene.server.frames[0];
      CHECK(sent.opcode == (isBinary ? Opcode::Binary : Opcode::Text));
      CHECK(sent.fin);
      CHECK(sent.headerSize == shortestHeader(length));
      CHECK(sent.payload == letters(length));
    }
  }
}

TEST_CASE("ws frames: the mask is random and fresh for each frame (RFC 6455 section 5.3)") {
  Scene scene;
  const auto client = scene.opened();
  for (int i = 0; i < 500; ++i) client->send("same");
  scene.until([&] { return scene.server.frames.size() == 500; });
  std::set<std::uint32_t> masks;
  for (const auto& each : scene.server.frames) masks.insert(each.mask);
  CHECK(masks.size() >= 499);  // two alike among 500 happen once in 34,000 runs
  CHECK(masks.count(0) == 0);
  for (int bit = 0; bit < 32; ++bit) {
    int set = 0;
    for (const auto each : masks) set += (each >> bit) & 1;
    CHECK(set > 150);
    CHECK(set < 350);
  }
}

TEST_CASE("ws frames: messages of every length arrive whole, with their type") {
  Scene scene;
  std::size_t bad = 0, count = 0;
  const auto client = scene.client();
  std::size_t length = 0;
  WebsocketType type;
  client->onMessage = [&](auto connection, std::string_view data) {
    ++count;
    bad += data != letters(length) || connection->websocketMessageType != type;
  };
  client->connect();
  scene.until("open");
  for (const bool isBinary : {true, false}) {
    type = isBinary ? Ws::BINARY_TYPE_ARRAYBUFFER : Ws::BINARY_TYPE_BLOB;
    for (const std::size_t each : kLengths) {
      length = each;
      const std::size_t before = count;
      scene.server.peer->maxSendBufferSize = 16 << 20;
      scene.server.write(frame(isBinary ? Opcode::Binary : Opcode::Text, letters(each)));
      REQUIRE(scene.until([&] { return count == before + 1; }));
    }
  }
  CHECK(bad == 0);
  CHECK(scene.events == Lines{"connect", "open"});
}

TEST_CASE("ws frames: onMessage may take its data as a string or as a view, and answer in kind") {
  Scene scene;
  const auto client = scene.opened();
  client->onMessage = [](auto connection, const std::string& data) {
    connection->websocketType = connection->websocketMessageType;
    connection->send(data);
  };
  scene.server.write(frame(Opcode::Binary, "b") + frame(Opcode::Text, "t"));
  scene.until([&] { return scene.server.frames.size() == 2; });
  CHECK(scene.server.sent(Opcode::Binary) == Lines{"b"});
  CHECK(scene.server.sent(Opcode::Text) == Lines{"t"});
}

TEST_CASE("ws frames: fragments make one message; control frames between them are answered at once") {
  Scene scene;
  const auto client = scene.opened();
  scene.server.write(frame(Opcode::Text, "one ", false) + frame(Opcode::Ping, "p1") +
                     frame(Opcode::Continuation, "", false) + frame(Opcode::Pong, "unasked"));
  scene.until([&] { return scene.server.sent(Opcode::Pong) == Lines{"p1"}; });
  scene.until("pong");
  CHECK(scene.events == Lines{"pong unasked"});
  scene.server.write(frame(Opcode::Continuation, "two ", false) + frame(Opcode::Ping, "p2") +
                     frame(Opcode::Continuation, "three") + frame(Opcode::Text, "next"));
  scene.until("message", 2);
  CHECK(scene.events == Lines{"pong unasked", "message one two three", "message next"});
  scene.until([&] { return scene.server.sent(Opcode::Pong) == Lines{"p1", "p2"}; });
}

TEST_CASE("ws frames: a fragment may cut a UTF-8 sequence anywhere (RFC 6455 section 8.1)") {
  Scene scene;
  const auto client = scene.opened();
  const std::string text = "\xce\xba\xe2\x82\xac\xf0\x9f\x98\x80";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    scene.server.write(frame(Opcode::Text, text.substr(0, cut), false) +
                       frame(Opcode::Continuation, text.substr(cut)));
  }
  scene.until("message " + text, static_cast<int>(text.size()) + 1);
  CHECK(scene.count("wsclose") == 0);
}

namespace {

/// Legal frames of all kinds, and what the client makes of them.
struct Exchange {
  std::string bytes;
  Lines events;
  Lines pongs;
};

Exchange longExchange() {
  Exchange all;
  all.bytes = frame(Opcode::Text, "hello") + frame(Opcode::Ping, "p") +
              frame(Opcode::Binary, std::string(200, 'b')) + frame(Opcode::Text, "", false) +
              frame(Opcode::Continuation, "\xe2\x82", false) + frame(Opcode::Pong, "q") +
              frame(Opcode::Continuation, "\xac") + frame(Opcode::Text, "") +
              frame(Opcode::Text, "\xc3\xa4 end") + frame(Opcode::Close, closing(3001, "b\xc3\xa4h"));
  all.events = {"message hello",
                "message " + std::string(200, 'b'),
                "pong q",
                "message \xe2\x82\xac",
                "message ",
                "message \xc3\xa4 end",
                "wsclose 3001 b\xc3\xa4h"};
  all.pongs = {"p"};
  return all;
}

void checkExchange(Scene& scene, const Exchange& wanted) {
  scene.until([&] { return scene.server.closeCode() != 0; });
  scene.server.peer->close();
  scene.until("close");
  Lines events = wanted.events;
  events.push_back("close");
  CHECK(scene.events == events);
  CHECK(scene.server.sent(Opcode::Pong) == wanted.pongs);
  CHECK(scene.server.closeCode() == 3001);
}

}  // namespace

TEST_CASE("ws frames: a long exchange is the same in pieces of any size") {
  const Exchange exchange = longExchange();
  for (const std::size_t size : {1, 2, 3, 5, 7, 13, 64, 1000}) {
    CAPTURE(size);
    Scene scene;
    scene.server.answersClose = false;
    const auto client = scene.opened();
    scene.feed(client, exchange.bytes, size);
    checkExchange(scene, exchange);
  }
}

TEST_CASE("ws frames: a long exchange is the same cut in two anywhere") {
  const Exchange exchange = longExchange();
  for (std::size_t cut = 1; cut<exchange.bytes.size(); cut += cut> 20 && cut < 200 ? 29 : 1) {
    CAPTURE(cut);
    Scene scene;
    scene.server.answersClose = false;
    const auto client = scene.opened();
    scene.feed(client, exchange.bytes.substr(0, cut), cut);
    scene.feed(client, exchange.bytes.substr(cut), exchange.bytes.size());
    checkExchange(scene, exchange);
  }
}

TEST_CASE("ws frames: the limit counts one message: exactly maxPackageSize passes, one byte more is 1009") {
  const auto limited = [](Scene& scene) {
    const auto client = scene.opened();
    client->maxPackageSize = 1000;
    return client;
  };
  SUBCASE("exactly, many together") {
    Scene scene;
    const auto client = limited(scene);
    std::string all;
    for (int i = 0; i < 20; ++i) all += frame(Opcode::Text, letters(1000));
    scene.server.write(all);
    scene.until("message " + letters(1000), 20);
    CHECK(scene.events.size() == 20);
  }
  SUBCASE("exactly, in fragments") {
    Scene scene;
    const auto client = limited(scene);
    scene.server.write(frame(Opcode::Text, letters(600), false) +
                       frame(Opcode::Continuation, std::string(400, 'b')));
    scene.until("message");
    CHECK(scene.count("wsclose") == 0);
  }
  for (const bool isFragmented : {false, true}) {
    CAPTURE(isFragmented);
    Scene scene;
    const auto client = limited(scene);
    const std::string over = frame(Opcode::Text, letters(1001)).substr(0, 4);  // told by the header alone
    scene.server.write(isFragmented ? frame(Opcode::Text, letters(600), false) +
                                          frame(Opcode::Continuation, letters(401))
                                    : over);
    scene.until("close");
    CHECK(scene.server.closeCode() == 1009);
    CHECK(scene.count("wsclose 1009 ") == 1);
    CHECK(scene.events.size() == 2);
  }
}

TEST_CASE("ws frames: JSON is sent as PHP does: a string bare, anything else dumped") {
  Scene scene;
  const auto client = scene.opened();
  CHECK(client->send(nlohmann::json("bare \"text\"")) == true);
  client->send(nlohmann::json{{"a", 1}, {"b", {true, nullptr}}});
  client->send(nlohmann::json::array({1, 2}));
  client->send(nlohmann::json(7));
  client->send(nlohmann::json());
  client->websocketType = Ws::BINARY_TYPE_ARRAYBUFFER;
  client->send(nlohmann::json("binary"));
  scene.until([&] { return scene.server.frames.size() == 6; });
  CHECK(scene.server.sent(Opcode::Text) ==
        Lines{"bare \"text\"", R"({"a":1,"b":[true,null]})", "[1,2]", "7", "null"});
  CHECK(scene.server.sent(Opcode::Binary) == Lines{"binary"});
}

TEST_CASE("ws frames: JSON on text://, frame:// and tcp:// is refused with a clear error") {
  for (const std::string scheme : {"text", "frame", "tcp"}) {
    CAPTURE(scheme);
    Scene scene;
    const auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(scene.server.worker, scheme));
    std::string what;
    client->onConnect = [&](auto connection) {
      try {
        connection->send(nlohmann::json{{"a", 1}});
      } catch (const std::exception& e) {
        what = e.what();
      }
    };
    client->connect();
    scene.until([&] { return !what.empty(); });
    CHECK_MESSAGE(what.find("json") != std::string::npos, what);
  }
}

TEST_CASE("ws frames: paused, messages wait; resumeRecv() delivers what came before it returns") {
  Scene scene;
  const auto client = scene.opened();
  int count = 0;
  client->onMessage = [&](auto connection, auto) {
    if (++count == 1) connection->pauseRecv();
  };
  scene.server.write(frame(Opcode::Text, "1") + frame(Opcode::Text, "2") + frame(Opcode::Ping, "p") +
                     frame(Opcode::Text, "3"));
  scene.until([&] { return count == 1; });
  scene.fixture.turn(3);
  CHECK(count == 1);
  CHECK(scene.server.sent(Opcode::Pong) == Lines{});
  client->resumeRecv();
  CHECK(count == 3);
  scene.until([&] { return scene.server.sent(Opcode::Pong) == Lines{"p"}; });
}

TEST_CASE("ws frames: statistics and byte counters count what moves") {
  Scene scene;
  const auto requests = ConnectionInterface::statistics.total_request;
  const auto client = scene.opened();
  const auto readBefore = client->bytesRead;
  const auto writtenBefore = client->bytesWritten;
  CHECK(client->send("12345") == true);
  CHECK(client->bytesWritten == writtenBefore + 2 + 4 + 5);
  scene.until([&] { return scene.server.frames.size() == 1; });
  const auto others = ConnectionInterface::statistics.total_request;
  scene.server.sendText("123");
  scene.until("message");
  CHECK(client->bytesRead == readBefore + 2 + 3);
  CHECK(ConnectionInterface::statistics.total_request == others + 1);
  CHECK(others > requests);
}
