// Protocols of one's own: the manual's JsonNL, every way to declare the functions, and what goes wrong.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"

using namespace Workerman;
using namespace Workerman::Connection;
using nlohmann::json;
using testing::CapturedStderr;
using testing::LoopFixture;

namespace {

/// The manual's own: one JSON value a line.
struct JsonNL {
  static std::size_t input(std::string_view buffer) { return buffer.find('\n') + 1; }
  static json decode(std::string_view package) { return json::parse(package); }
  static std::string encode(const json& data) { return data.dump() + "\n"; }
};

/// A 4-byte length in network order, then the payload; every function with the connection.
struct BinaryLength {
  static std::int64_t input(std::string_view buffer, const TcpConnectionPtr& connection) {
    REQUIRE(connection != nullptr);
    if (buffer.size() < 4) return 0;
    std::uint32_t length = 0;
    for (int i = 0; i < 4; ++i)
      length = length << 8 | static_cast<unsigned char>(buffer[static_cast<std::size_t>(i)]);
    return std::int64_t{length} + 4;
  }
  static std::string_view decode(std::string_view package, TcpConnectionPtr connection) {
    REQUIRE(connection->getStatus() == TcpConnection::STATUS_ESTABLISHED);
    return package.substr(4);
  }
  static std::string encode(std::string_view text, ConnectionPtr connection) {
    REQUIRE(connection != nullptr);
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(text.size() >> shift & 0xff);
    return out.append(text);
  }
};

struct Point {
  int x = 0, y = 0;
};

/// "x,y;" with a type of its own, functions with `auto`.
struct Points {
  static auto input(std::string_view buffer, auto) { return static_cast<std::uint8_t>(buffer.find(';') + 1); }
  static Point decode(std::string_view package, auto connection) {
    connection->context["decoded"] = true;
    return {package[0] - '0', package[2] - '0'};
  }
  static std::string encode(const Point& point, auto connection) {
    connection->context["encoded"] = true;
    return std::to_string(point.x) + "," + std::to_string(point.y) + ";";
  }
};

/// On top of the library's own text protocol.
struct Shout {
  static auto input(std::string_view buffer, ConnectionPtr connection) {
    return Protocols::Text::input(buffer, connection);
  }
  static std::string decode(std::string_view package) {
    return std::string(Protocols::Text::decode(package)) + "!";
  }
  static std::string encode(std::string_view text) { return std::string(Protocols::Text::encode(text)); }
};

/// Does what its input says.
struct Naughty {
  static int input(std::string_view buffer) {
    if (buffer == "negative") return -1;
    if (buffer == "far too long") return 1 << 30;
    if (buffer == "throw") throw std::runtime_error("input has had enough");
    if (buffer == "throw a number") throw 5;
    return static_cast<int>(buffer.size());
  }
  static std::string_view decode(std::string_view package) {
    if (package == "decode throws") throw std::out_of_range("no such thing");
    return package;
  }
  static std::string encode(std::string_view text) {
    if (text == "encode throws") throw std::length_error("cannot say that");
    if (text == "nothing") return "";
    return std::string(text);
  }
};

std::vector<std::string> hooks;

struct Hooked : Shout {
  static void onConnect(const TcpConnectionPtr& connection) {
    hooks.push_back("hook onConnect");
    connection->send("from the hook");
  }
  static void onClose(auto) { hooks.push_back("hook onClose"); }
};

struct HookedBare : Shout {
  static void onConnect() { hooks.push_back("bare onConnect"); }
  static void onClose() { hooks.push_back("bare onClose"); }
};

/// Registered once; the same type under the same name again changes nothing.
void addAll() {
  Protocols::add<JsonNL>("JsonNL");
  Protocols::add<BinaryLength>("BinaryLength");
  Protocols::add<Points>("Points");
  Protocols::add<Shout>("Shout");
  Protocols::add<Naughty>("Naughty");
  Protocols::add<Hooked>("Hooked");
  Protocols::add<HookedBare>("HookedBare");
}

/// A worker and a raw client of it.
struct Pair {
  explicit Pair(const std::string& scheme, const std::string& clientScheme = "tcp") {
    addAll();
    worker = testing::listenOn(scheme);
    client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, clientScheme));
  }
  LoopFixture fixture;
  std::shared_ptr<Worker> worker;
  std::shared_ptr<AsyncTcpConnection> client;
};

}  // namespace

TEST_CASE("custom protocol: the manual's JsonNL on a worker and a client") {
  Pair pair("JsonNL", "JsonNL");
  std::vector<json> got;
  pair.worker->onMessage = [&](TcpConnectionPtr connection, const json& data) {
    got.push_back(data);
    connection->send(json{{"code", 0}, {"msg", "ok"}});
  };
  json answer;
  pair.client->onMessage = [&](AsyncTcpConnectionPtr, json data) { answer = std::move(data); };
  pair.client->onConnect = [](auto connection) {
    connection->send(json::array({1, 2}));
    connection->send("text is a JSON string here");
    connection->send(json("bare"));
    connection->send(json(nullptr));
  };
  pair.client->connect();
  pair.fixture.runUntil([&] { return got.size() == 4 && !answer.is_null(); });
  CHECK(got == std::vector<json>{json::array({1, 2}), "text is a JSON string here", "bare", nullptr});
  CHECK(answer == json{{"code", 0}, {"msg", "ok"}});
}

TEST_CASE("custom protocol: onMessage may take the decoded value by auto&, by value, by reference") {
  Pair pair("JsonNL", "JsonNL");
  int got = 0;
  pair.worker->onMessage = [&](TcpConnectionPtr connection, json& data) {
    data["seen"] = true;
    connection->send(data);
  };
  pair.client->onMessage = [&](TcpConnectionPtr, const json& data) {
    got = data.at("seen").get<bool>() ? 1 : -1;
  };
  pair.client->send(json{{"a", 1}});
  pair.client->connect();
  pair.fixture.runUntil([&] { return got != 0; });
  CHECK(got == 1);
}

TEST_CASE("custom protocol: packages cut at every byte, and many in one piece") {
  for (std::size_t cut = 0; cut <= 12; ++cut) {
    CAPTURE(cut);
    Pair pair("BinaryLength");
    const std::string bytes("\0\0\0\3one\0\0\0\0\0\0\0\4four", 19);
    std::vector<std::string> got;
    pair.worker->onMessage = [&](auto, auto data) { got.emplace_back(data); };
    pair.client->connect();
    pair.client->send(bytes.substr(0, cut));
    pair.fixture.runUntil([&] {
      const auto& connections = pair.worker->connections;
      return connections.size() == 1 &&
             connections.begin()->second->bytesRead == static_cast<std::int64_t>(cut);
    });
    pair.client->send(bytes.substr(cut));
    pair.fixture.runUntil([&] { return got.size() == 3; });
    CHECK(got == std::vector<std::string>{"one", "", "four"});
  }
}

TEST_CASE(
    "custom protocol: a package longer than the receive buffer, and one byte more than maxPackageSize") {
  CapturedStderr output;
  Pair pair("BinaryLength", "BinaryLength");
  std::size_t got = 0;
  bool isClosed = false;
  pair.worker->onConnect = [](auto connection) { connection->maxPackageSize = 2'000'004; };
  pair.worker->onMessage = [&](auto, auto data) { got = data.size(); };
  pair.worker->onClose = [&](auto) { isClosed = true; };
  pair.client->maxSendBufferSize = 10'000'000;
  pair.client->send(std::string(2'000'000, 'x'));
  pair.client->connect();
  pair.fixture.runUntil([&] { return got == 2'000'000; });
  CHECK_FALSE(isClosed);
  pair.client->send(std::string(2'000'001, 'x'));
  pair.fixture.runUntil([&] { return isClosed; });
  CHECK(got == 2'000'000);
  CHECK(output.text().find(
            "Protocol BinaryLength Error package. package_length=2000005, maxPackageSize=2000004") !=
        std::string::npos);
}

TEST_CASE("custom protocol: a type of one's own, functions with auto, any integer from input") {
  Pair pair("Points", "Points");
  Point got;
  pair.worker->onMessage = [](auto connection, Point& point) {
    CHECK(connection->context.template get<bool>("decoded"));
    connection->send(Point{point.y, point.x});
    CHECK(connection->context.template get<bool>("encoded"));
    CHECK_THROWS_AS(connection->send("text"), std::invalid_argument);
    CHECK_THROWS_AS(connection->send(json{1}), std::invalid_argument);
  };
  pair.client->onMessage = [&](auto, const Point& point) { got = point; };
  pair.client->connect();
  pair.client->send(Point{1, 2});
  pair.fixture.runUntil([&] { return got.x != 0; });
  CHECK(got.x == 2);
  CHECK(got.y == 1);
}

TEST_CASE("custom protocol: a callback for another type is one clear error when listening and connecting") {
  addAll();
  LoopFixture fixture;
  const auto worker = std::make_shared<Worker>("Points://127.0.0.1:0");
  worker->onMessage = [](auto, auto data) { CHECK(data.empty()); };
  CHECK_THROWS_WITH_AS(worker->listen(), doctest::Contains("Point& (or const"), std::runtime_error);
  auto client = std::make_shared<AsyncTcpConnection>("JsonNL://127.0.0.1:1");
  client->onMessage = [](auto, Point&) {};
  CHECK_THROWS_WITH_AS(client->connect(), doctest::Contains("nlohmann::json& (or const"), std::runtime_error);
  CHECK(client->getStatus() == TcpConnection::STATUS_INITIAL);
}

TEST_CASE("custom protocol: built on Text::input") {
  Pair pair("Shout");
  std::string got;
  pair.worker->onMessage = [&](auto connection, auto data) { connection->send(data); };
  pair.client->onMessage = [&](auto, auto data) { got += data; };
  pair.client->send("a\nb\n");
  pair.client->connect();
  pair.fixture.runUntil([&] { return got == "a!\nb!\n"; });
}

TEST_CASE("custom protocol: bad input destroys the connection with a log line, and nobody else's") {
  const std::pair<std::string, std::string> cases[] = {
      {"negative", "Protocol Naughty Error package. package_length=-1"},
      {"far too long", "Protocol Naughty Error package. package_length=1073741824, maxPackageSize=10485760"},
      {"throw", "Protocol Naughty Error package. std::runtime_error: input has had enough"},
      {"throw a number", "Protocol Naughty Error package. something that is no std::exception"},
  };
  for (const auto& each : cases) {
    const auto& bytes = each.first;
    const auto& wanted = each.second;
    CAPTURE(bytes);
    CapturedStderr output;
    Pair pair("Naughty");
    int closed = 0, errors = 0;
    pair.worker->onClose = [&](auto) { ++closed; };
    pair.worker->onError = [&](auto, auto, auto) { ++errors; };
    pair.client->send(bytes);
    pair.client->connect();
    pair.fixture.runUntil([&] { return closed == 1; });
    CHECK(errors == 0);
    CHECK_MESSAGE(output.text().find(wanted) != std::string::npos, output.text());
    CHECK(Worker::isRunning());
  }
}

TEST_CASE("custom protocol: exceptions of decode and encode go to errorHandler; the connection goes on") {
  Pair pair("Naughty");
  std::vector<std::string> errors;
  std::string answered;
  pair.worker->onConnect = [&](auto connection) {
    connection->errorHandler = [&](const std::exception& e) { errors.emplace_back(e.what()); };
  };
  pair.worker->onMessage = [](auto connection, auto data) {
    if (data == "ask") CHECK(connection->send("encode throws") == false);
    CHECK(connection->send("nothing") == nullptr);
    connection->send("answer");
  };
  pair.client->onMessage = [&](auto, auto data) { answered += data; };
  pair.client->connect();
  pair.client->send("decode throws");
  pair.fixture.runUntil([&] { return errors.size() == 1; });
  CHECK(answered.empty());
  pair.client->send("ask");
  pair.fixture.runUntil([&] { return answered == "answer"; });
  CHECK(errors == std::vector<std::string>{"no such thing", "cannot say that"});
}

TEST_CASE("custom protocol: without errorHandler a throwing decode ends its connection, and nobody else's") {
  CapturedStderr output;
  Pair pair("Naughty");
  int closed = 0;
  std::string answered;
  pair.worker->onMessage = [](auto connection, auto data) { connection->send(data); };
  pair.worker->onClose = [&](auto) { ++closed; };
  pair.client->connect();
  pair.client->send("decode throws");
  pair.fixture.runUntil([&] { return closed == 1; });
  const std::string line =
      "Protocol Naughty Error package. std::out_of_range: no such thing; the connection of 127.0.0.1:";
  CHECK_MESSAGE(output.text().find(line) != std::string::npos, output.text());
  auto another = std::make_shared<AsyncTcpConnection>(testing::addressOf(*pair.worker, "tcp"));
  another->onMessage = [&](auto, auto data) { answered += data; };
  another->connect();
  another->send("hello");
  pair.fixture.runUntil([&] { return !answered.empty(); });
  CHECK(Worker::isRunning());
}

TEST_CASE("custom protocol: bad packages of many connections are one line") {
  CapturedStderr output;
  Pair pair("Naughty");
  int closed = 0;
  pair.worker->onClose = [&](auto) { ++closed; };
  std::vector<AsyncTcpConnectionPtr> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_shared<AsyncTcpConnection>(testing::addressOf(*pair.worker, "tcp")));
    clients.back()->connect();
    clients.back()->send(i % 2 == 0 ? "negative" : "decode throws");
  }
  pair.fixture.runUntil([&] { return closed == 20; });
  const std::string text = output.text();
  REQUIRE(text.find("Error package") != std::string::npos);
  CHECK(text.find("Error package") == text.rfind("Error package"));
}

TEST_CASE("custom protocol: hooks run after the user's callback; onConnect on an AsyncTcpConnection only") {
  const std::pair<std::string, std::string> cases[] = {{"Hooked", "hook"}, {"HookedBare", "bare"}};
  for (const auto& each : cases) {
    const auto& scheme = each.first;
    const auto& prefix = each.second;
    CAPTURE(scheme);
    hooks.clear();
    {
      Pair pair(scheme, scheme);
      pair.worker->onConnect = [](auto) { hooks.push_back("server"); };
      pair.worker->onMessage = [](auto connection, auto) { connection->close(); };
      pair.client->onConnect = [](auto connection) {
        hooks.push_back("client");
        connection->send("go");
      };
      pair.client->onClose = [](auto) { hooks.push_back("client closes"); };
      pair.client->connect();
      pair.fixture.runUntil([&] { return hooks.size() >= 6; });
    }
    const auto place = [](const std::string& what) {
      return std::find(hooks.begin(), hooks.end(), what) - hooks.begin();
    };
    CHECK(hooks.size() == 6);
    CHECK(std::count(hooks.begin(), hooks.end(), prefix + " onConnect") == 1);
    CHECK(std::count(hooks.begin(), hooks.end(), prefix + " onClose") == 2);
    CHECK(place("client") + 1 == place(prefix + " onConnect"));
    CHECK(hooks.back() == prefix + " onClose");
    CHECK(place("client closes") == 4);
  }
}

TEST_CASE("protocol: changed while connected it is spoken from the next message on; empty is raw") {
  Pair pair("text");
  std::vector<std::string> got;
  pair.worker->onMessage = [&](TcpConnectionPtr connection, std::string_view data) {
    got.emplace_back(data);
    if (data == "frame") connection->protocol = "BinaryLength";
    if (data == "raw") connection->protocol = "";
    if (data == "text") connection->protocol = "text";
    if (data == "unknown") CHECK_THROWS_AS(connection->protocol = "unknown", std::runtime_error);
    connection->send(connection->protocol);
  };
  std::string answers;
  pair.client->onMessage = [&](auto, auto data) { answers += data; };
  pair.client->connect();
  pair.client->send(std::string("line\nunknown\nframe\n\0\0\0\3raw", 26));
  pair.fixture.runUntil([&] { return got.size() == 4; });
  pair.client->send("text");
  pair.fixture.runUntil([&] { return got.size() == 5; });
  pair.client->send("end\n");
  pair.fixture.runUntil([&] { return got.size() == 6; });
  CHECK(got == std::vector<std::string>{"line", "unknown", "frame", "raw", "text", "end"});
  pair.fixture.runUntil([&] { return answers.ends_with("text\ntext\n"); });
  CHECK(answers == std::string("text\ntext\n\0\0\0\x0c"
                               "BinaryLengthtext\ntext\n",
                               36));
}

TEST_CASE("Protocols::add: names that are none, or are taken") {
  addAll();
  addAll();
  CHECK_THROWS_WITH_AS(Protocols::add<Shout>("JsonNL"), doctest::Contains("already registered"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Protocols::add<Shout>("text"), doctest::Contains("already registered"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Protocols::add<Shout>("tcp"), doctest::Contains("transport"), std::invalid_argument);
  for (const char* name : {"", "1st", "with space", "a:b", "a/b", "\xc3\xa4"}) {
    CAPTURE(std::string(name));
    CHECK_THROWS_AS(Protocols::add<Shout>(name), std::invalid_argument);
  }
}
