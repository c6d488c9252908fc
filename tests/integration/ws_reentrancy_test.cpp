#include "support/scripted_server.h"

/// Each websocket callback as the place where its connection is closed,
/// destroyed, connected anew, stopped, or the callback itself replaced.

using namespace Workerman;
using namespace Workerman::Connection;
using testing::closing;
using testing::frame;
using testing::Lines;
using testing::Opcode;
using testing::Scene;

namespace {

using Slot = std::string;
const std::vector<Slot> kSlots{"onConnect",       "onWebSocketConnect", "onMessage", "onWebSocketPing",
                               "onWebSocketPong", "onWebSocketClose",   "onClose",   "onError"};

/// Makes `act` run in the callback of that name, the first time only.
void install(Scene& scene, AsyncTcpConnection& client, const Slot& slot,
             const std::function<void(AsyncTcpConnectionPtr)>& act) {
  const auto once = [&scene, slot, act, isDone = std::make_shared<bool>()](AsyncTcpConnectionPtr connection) {
    scene.events.push_back(slot);
    if (!std::exchange(*isDone, true)) act(connection);
  };
  if (slot == "onConnect") client.onConnect = once;
  if (slot == "onWebSocketConnect") client.onWebSocketConnect = [once](auto c, const auto&) { once(c); };
  if (slot == "onMessage") client.onMessage = [once](auto c, std::string_view) { once(c); };
  if (slot == "onWebSocketPing") client.onWebSocketPing = [once](auto c, std::string_view) { once(c); };
  if (slot == "onWebSocketPong") client.onWebSocketPong = [once](auto c, std::string_view) { once(c); };
  if (slot == "onWebSocketClose")
    client.onWebSocketClose = [once](auto c, int, std::string_view) { once(c); };
  if (slot == "onClose") client.onClose = once;
  if (slot == "onError") client.onError = [once](auto c, int, std::string_view) { once(c); };
}

void clear(AsyncTcpConnection& client, const Slot& slot) {
  if (slot == "onConnect") client.onConnect = nullptr;
  if (slot == "onWebSocketConnect") client.onWebSocketConnect = nullptr;
  if (slot == "onMessage") client.onMessage = nullptr;
  if (slot == "onWebSocketPing") client.onWebSocketPing = nullptr;
  if (slot == "onWebSocketPong") client.onWebSocketPong = nullptr;
  if (slot == "onWebSocketClose") client.onWebSocketClose = nullptr;
  if (slot == "onClose") client.onClose = nullptr;
  if (slot == "onError") client.onError = nullptr;
}

/// Connects, and lets every callback have its turn: a message, a ping and a pong
/// come with the 101, then a close frame. For onError the first answer is a 503.
void script(Scene& scene, const Slot& slot) {
  const auto isFirst = std::make_shared<bool>(true);
  scene.server.answer = [slot, isFirst](const std::string& key) {
    if (slot == "onError" && std::exchange(*isFirst, false)) return std::string("HTTP/1.1 503 Busy\r\n\r\n");
    return testing::ScriptedServer::accepting(key);
  };
  scene.server.behindAnswer = frame(Opcode::Text, "m1") + frame(Opcode::Ping, "p") +
                              frame(Opcode::Pong, "q") + frame(Opcode::Text, "m2");
  if (slot == "onWebSocketClose" || slot == "onClose")
    scene.server.behindAnswer += frame(Opcode::Close, closing(1000));
}

bool isOver(const AsyncTcpConnectionPtr& client) {
  return client->getStatus() == TcpConnection::STATUS_CLOSED;
}

}  // namespace

TEST_CASE("ws re-entrancy: each callback may close its connection, which ends once") {
  const std::vector<std::pair<std::string, std::function<void(AsyncTcpConnectionPtr)>>> ways{
      {"close()", [](auto c) { c->close(); }},
      {"close(code)", [](auto c) { c->close(1001, "enough"); }},
      {"close(text)", [](auto c) { c->close("last words"); }},
      {"end()", [](auto c) { c->end(); }},
      {"destroy()", [](auto c) { c->destroy(); }},
      {"destroy() twice, then more",
       [](auto c) {
         c->destroy();
         c->destroy();
         c->close(1000);
         CHECK(c->send("x") == false);
         c->pauseRecv();
         c->resumeRecv();
       }},
  };
  for (const auto& slot : kSlots) {
    for (const auto& [name, act] : ways) {
      CAPTURE(slot);
      const std::string way = name;  // clang 14 captures no structured binding
      CAPTURE(way);
      Scene scene;
      script(scene, slot);
      const auto client = scene.client();
      int closed = 0, told = 0;
      client->onClose = [&](auto) { ++closed; };
      client->onWebSocketClose = [&](auto, int, auto) { ++told; };
      install(scene, *client, slot, act);
      client->connect();
      scene.until([&] { return isOver(client); });
      scene.fixture.turn(3);
      CHECK(scene.count(slot) == 1);
      CHECK(closed == (slot == "onClose" ? 0 : 1));
      CHECK(told <= 1);
      // Every callback is released, and with them what they hold.
      CHECK_FALSE(client->onMessage);
      CHECK_FALSE(client->onClose);
      CHECK(client.use_count() == 1);
    }
  }
}

TEST_CASE("ws re-entrancy: each callback may connect anew, at once or later, with a fresh handshake") {
  for (const auto& slot : kSlots) {
    for (const double after : {0.0, 0.01}) {
      CAPTURE(slot);
      CAPTURE(after);
      Scene scene;
      script(scene, slot);
      const auto client = scene.client();
      install(scene, *client, slot, [after](auto connection) { connection->reConnect(after); });
      client->connect();
      const int requests = slot == "onConnect" ? 1 : 2;
      scene.until([&] { return scene.server.accepted == 2 && scene.server.requests == requests; });
      scene.fixture.turn(5);
      client->destroy();
      CHECK(isOver(client));
      CHECK(client.use_count() == 1);
      CHECK(scene.server.accepted == 2);
    }
  }
}

TEST_CASE("ws re-entrancy: a connection renewed in a callback gets no more of the old one's frames") {
  for (const Slot& slot :
       {Slot("onWebSocketConnect"), Slot("onMessage"), Slot("onWebSocketPing"), Slot("onWebSocketPong")}) {
    CAPTURE(slot);
    Scene scene;
    script(scene, slot);
    const auto client = scene.client();
    install(scene, *client, slot, [&](auto connection) {
      scene.server.behindAnswer = frame(Opcode::Text, "new");
      scene.events = {"renewed"};
      connection->reConnect();
      CHECK(connection->send("early") == nullptr);
    });
    client->connect();
    scene.until([&] { return scene.has("message new") || scene.count("onMessage") > 0; });
    scene.until([&] { return scene.server.sent(Opcode::Text) == Lines{"early"}; });
    const Lines wanted = slot == "onWebSocketConnect" ? Lines{"renewed", "connect", slot, "message new"}
                         : slot == "onMessage"        ? Lines{"renewed", "connect", "open", slot}
                                                      : Lines{"renewed", "connect", "open", "message new"};
    CHECK(scene.events == wanted);
    CHECK(scene.server.accepted == 2);
  }
}

TEST_CASE("ws re-entrancy: each callback may stop everything; each connection is closed once") {
  for (const auto& slot : kSlots) {
    CAPTURE(slot);
    Scene scene;
    script(scene, slot);
    const auto client = scene.client();
    int closed = 0;
    if (slot != "onClose") client->onClose = [&](auto) { ++closed; };
    install(scene, *client, slot, [](auto) { Worker::stopAll(); });
    client->connect();
    scene.until([&] { return isOver(client) && TcpConnection::connections.size() == 0; });
    CHECK(scene.count(slot) == 1);
    CHECK(closed == (slot == "onClose" ? 0 : 1));
  }
}

TEST_CASE(
    "ws re-entrancy: each callback may replace or clear itself while it runs, and keeps its captures till it "
    "returns") {
  for (const auto& slot : kSlots) {
    for (const bool isReplaced : {false, true}) {
      CAPTURE(slot);
      CAPTURE(isReplaced);
      Scene scene;
      script(scene, slot);
      const auto client = scene.client();
      const std::string longText(1000, 'x');
      bool isIntact = false;
      install(scene, *client, slot, [&scene, &isIntact, slot, isReplaced, longText](auto connection) {
        clear(*connection, slot);
        if (isReplaced) install(scene, *connection, slot, [](auto) {});
        isIntact = longText == std::string(1000, 'x');
      });
      client->connect();
      scene.until([&] { return isIntact; });
      scene.fixture.turn(5);
      const bool comesAgain = slot == "onMessage";
      CHECK(scene.count(slot) == (comesAgain && isReplaced ? 2 : 1));
      client->destroy();
    }
  }
}

TEST_CASE("ws re-entrancy: what a callback throws goes to errorHandler, and the connection lives on") {
  for (const auto& slot : kSlots) {
    CAPTURE(slot);
    Scene scene;
    script(scene, slot);
    const auto client = scene.client();
    std::string caught;
    client->errorHandler = [&](const std::exception& e) { caught += e.what(); };
    install(scene, *client, slot, [slot](auto) { throw std::runtime_error("in " + slot); });
    client->connect();
    scene.until([&] { return !caught.empty(); });
    CHECK(caught == "in " + slot);
    if (slot == "onClose" || slot == "onWebSocketClose" || slot == "onError") {
      scene.until([&] { return isOver(client); });
    } else {
      scene.until([&] { return scene.count("message m2") + scene.count("onMessage") / 2 == 1; });
      CHECK(client->getStatus() == TcpConnection::STATUS_ESTABLISHED);
    }
  }
}

TEST_CASE("ws re-entrancy: dropping the last handle inside a callback is safe") {
  for (const auto& slot : kSlots) {
    CAPTURE(slot);
    Scene scene;
    script(scene, slot);
    auto client = scene.client();
    const std::weak_ptr<AsyncTcpConnection> weak = client;
    install(scene, *client, slot, [&](auto connection) {
      client.reset();
      connection->destroy();
    });
    client->connect();
    scene.until([&] { return weak.expired(); });
    CHECK(scene.count(slot) == 1);
  }
}
