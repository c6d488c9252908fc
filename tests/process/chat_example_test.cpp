// The chat example: its rooms over the WebSocket, and the page that it hands out.

#include <string>
#include <vector>

#include "support/example.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using nlohmann::json;
using testing::Example;
using testing::LoopFixture;
using testing::Peer;

namespace {

struct Chat {
  Chat()
      : program("chat", {"LISTEN=websocket://127.0.0.1:0", "PAGE=page://127.0.0.1:0"}),
        chatPort(program.port("chat")),
        address("ws://127.0.0.1:" + chatPort),
        pageAddress("tcp://127.0.0.1:" + program.port("page")) {}

  LoopFixture fixture;
  Example program;
  std::string chatPort, address, pageAddress;
};

std::string join(const std::string& name, const std::string& room) {
  return json{{"type", "join"}, {"name", name}, {"room", room}}.dump();
}
std::string say(const std::string& text) {
  return json{{"type", "say"}, {"text", text}}.dump();
}

/// The last message of a type that came, or null.
json last(const Peer& peer, const std::string& type) {
  json found;
  for (const auto& text : peer.messages()) {
    const json message = json::parse(text);
    if (message["type"] == type) found = message;
  }
  return found;
}

}  // namespace

TEST_CASE("example chat: a room's people see each other come, speak and go") {
  Chat chat;
  Peer tom(chat.address, join("Tom", "lobby")), elsewhere(chat.address, join("Eve", "kitchen"));
  chat.fixture.runUntil([&] { return tom.has("welcome") && elsewhere.has("welcome"); });
  {
    Peer ann(chat.address, join("  Ann ", "lobby"));
    chat.fixture.runUntil([&] { return ann.has("welcome") && tom.has("Ann"); });
    CHECK(last(ann, "welcome")["name"] == "Ann");
    CHECK(last(ann, "welcome")["people"] == json{"Ann", "Tom"});
    CHECK(last(tom, "joined")["people"] == json{"Ann", "Tom"});
    ann.send(say("hello <b>all</b>"));
    chat.fixture.runUntil([&] { return tom.has("hello") && ann.has("hello"); });
    CHECK(last(tom, "say")["name"] == "Ann");
    CHECK(last(tom, "say")["text"] == "hello <b>all</b>");
    CHECK(last(tom, "say")["time"].is_number_integer());
  }
  chat.fixture.runUntil([&] { return tom.has("left"); });
  CHECK(last(tom, "left")["name"] == "Ann");
  CHECK(last(tom, "left")["people"] == json{"Tom"});
  CHECK_FALSE(elsewhere.has("hello"));
  CHECK_FALSE(elsewhere.has("Ann"));

  // Whoever moves to another room has left this one.
  Peer bob(chat.address, join("Bob", "lobby"));
  chat.fixture.runUntil([&] { return bob.has("welcome"); });
  tom.send(join("Tom", "kitchen"));
  chat.fixture.runUntil(
      [&] { return elsewhere.has("joined") && last(elsewhere, "joined")["name"] == "Tom"; });
  chat.fixture.runUntil([&] { return bob.has("left"); });
  CHECK(last(bob, "left")["people"] == json{"Bob"});
  CHECK(chat.program.stop(chat.fixture) == 0);
}

TEST_CASE("example chat: the history is the room's last 50 messages, and outlives its people") {
  Chat chat;
  for (int visit = 0; visit < 2; ++visit) {
    Peer talker(chat.address, join("Tom", "lobby"));
    chat.fixture.runUntil([&] { return talker.has("welcome"); });
    CHECK(last(talker, "welcome")["history"].size() == (visit == 0 ? 0 : 40));
    for (int i = 1; i <= 40; ++i) talker.send(say(std::to_string(visit * 100 + i)));
    chat.fixture.runUntil(
        [&] { return talker.has("\"text\":\"" + std::to_string(visit * 100 + 40) + "\""); });
  }
  Peer reader(chat.address, join("Ann", "lobby"));
  chat.fixture.runUntil([&] { return reader.has("welcome"); });
  const json history = last(reader, "welcome")["history"];
  REQUIRE(history.size() == 50);
  CHECK(history.front()["text"] == "31");
  CHECK(history.back()["text"] == "140");
  CHECK(chat.program.stop(chat.fixture) == 0);
}

TEST_CASE("example chat: names and texts are tidied, a second Tom is Tom 2") {
  Chat chat;
  std::string greek, cut;
  for (int i = 0; i < 40; ++i) greek += "\u03b1";
  for (int i = 0; i < 24; ++i) cut += "\u03b1";
  const std::pair<std::string, std::string> cases[] = {
      {"Tom", "Tom"},
      {"Tom", "Tom 2"},
      {" Tom\n", "Tom 3"},
      {"a\tb\x7f"
       "c",
       "a b c"},
      {greek, cut},
      {"\u4f60\u597d", "\u4f60\u597d"},
      {std::string(24, 'x') + " y", std::string(24, 'x')},
  };
  std::vector<std::unique_ptr<Peer>> guests;
  for (const auto& each : cases) {
    const auto& name = each.first;
    CAPTURE(name);
    guests.push_back(std::make_unique<Peer>(chat.address, join(name, "lobby")));
    Peer& guest = *guests.back();
    chat.fixture.runUntil([&] { return guest.has("welcome"); });
    CHECK(last(guest, "welcome")["name"] == each.second);
  }
  Peer& tom = *guests.front();
  tom.send(say(" \x01 two\r\nlines "));
  tom.send(say(std::string(3000, 'y')));
  chat.fixture.runUntil([&] { return tom.has("yyy"); });
  CHECK(tom.has(R"("text":"two  lines")"));
  CHECK(last(tom, "say")["text"] == std::string(2000, 'y'));
  CHECK(chat.program.stop(chat.fixture) == 0);
}

TEST_CASE("example chat: what makes no sense is answered, and ends nobody") {
  Chat chat;
  const std::string deep(30000, '[');
  const std::string cases[] = {
      "hello",
      "",
      "7",
      "[]",
      "{}",
      "null",
      "\"join\"",
      deep,
      deep + std::string(deep.size(), ']'),
      R"({"type":7})",
      R"({"type":"join"})",
      R"({"type":"join","name":"a"})",
      join(" ", "lobby"),
      join("a", "\n"),
      R"({"type":"join","name":{},"room":[]})",
      R"({"type":"join","name":"\ud800","room":"a"})",
      say("not in a room"),
      R"({"type":["say"]})",
  };
  for (const auto& text : cases) {
    CAPTURE(text.substr(0, 50));
    Peer guest(chat.address, "first");
    chat.fixture.runUntil([&] { return guest.messages().size() == 1; });
    guest.send(text);
    chat.fixture.runUntil([&] { return guest.messages().size() == 2; });
    CHECK(json::parse(guest.messages().back())["type"] == "error");
  }
  Peer big(chat.address, say(std::string(70000, 'z')));
  chat.fixture.runUntil([&] { return big.isClosed(); });
  CHECK(chat.program.stop(chat.fixture) == 0);
}

TEST_CASE("example chat: 1000 rooms at most, where empty ones make way") {
  Chat chat;
  Peer staying(chat.address, join("Tom", "room"));
  for (int i = 0; i < 1500; ++i) staying.send(join("Tom", "room " + std::to_string(i)));
  staying.send(say("still here"));
  chat.fixture.runUntil([&] { return staying.has("still here"); });
  CHECK(last(staying, "welcome")["people"] == json{"Tom"});
  CHECK(last(staying, "error").is_null());
  CHECK(chat.program.stop(chat.fixture) == 0);
}

TEST_CASE("example chat: the page is handed out, and only the page") {
  Chat chat;
  struct Case {
    std::string request;
    std::string status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK"},
      {"GET / HTTP/1.0\r\n\r\n", "200 OK"},
      {"GET /?x=/../chat HTTP/1.1\r\nHost: a\r\n\r\nand more", "200 OK"},
      {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK"},
      {"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"},
      {"GET /../chat.html HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"},
      {"GET /%2e%2e/chat HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"},
      {"GET //etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"},
      {"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"},
      {"get / HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed"},
      {"GET / HTTP/2.0\r\n\r\n", "400 Bad Request"},
      {"GET /\r\n\r\n", "400 Bad Request"},
      {"GET / / HTTP/1.1\r\n\r\n", "400 Bad Request"},
      {std::string("\0\xff\r\n\r\n", 6), "400 Bad Request"},
      {"\r\n\r\n", "400 Bad Request"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.request);
    Peer browser(chat.pageAddress, each.request);
    chat.fixture.runUntil([&] { return browser.isClosed(); });
    const std::string answer = browser.text();
    CHECK(answer.substr(0, 11 + each.status.size()) == "HTTP/1.1 " + each.status + "\r\n");
    const std::size_t body = answer.find("\r\n\r\n") + 4;
    const std::size_t length = std::stoul(answer.substr(answer.find("Content-Length: ") + 16));
    CHECK(answer.size() - body == (each.request.starts_with("HEAD") ? 0 : length));
    CHECK((answer.find("Content-Type: text/html; charset=utf-8\r\n") < body) == (each.status == "200 OK"));
    CHECK((answer.find("Allow: GET, HEAD\r\n") < body) == each.status.starts_with("405"));
    CHECK(answer.find("Connection: close\r\n") < body);
    if (each.request.starts_with("GET") && each.status == "200 OK") {
      CHECK(answer.find("data-port=\"" + chat.chatPort + "\"") != std::string::npos);
    }
  }
  // A head that never ends is cut off.
  Peer endless(chat.pageAddress, "GET / HTTP/1.1\r\nX: " + std::string(20000, 'x'));
  chat.fixture.runUntil([&] { return endless.isClosed(); });
  CHECK(endless.text().empty());
  CHECK(chat.program.stop(chat.fixture) == 0);
}
