#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <memory>
#include <string>
#include <vector>

#include "../support/loop_fixture.h"

using testing::addressOf;
using testing::listenOn;
using testing::LoopFixture;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;
using Workerman::Connection::TcpConnectionPtr;

namespace {

using Lines = std::vector<std::string>;

/// A text worker and clients whose lines are kept; "a" subscribes the sender to topic a.
struct Scene {
  LoopFixture loop;
  std::shared_ptr<Worker> worker;
  std::vector<AsyncTcpConnectionPtr> clients;
  std::vector<TcpConnectionPtr> peers;  ///< the worker's side, in the order of the clients
  std::vector<Lines> got;

  explicit Scene(const std::string& scheme = "text", const std::string& clientScheme = "text")
      : worker(listenOn(scheme)), clientScheme_(clientScheme) {
    worker->onConnect = [this](auto connection) { peers.push_back(connection); };
  }
  ~Scene() { clients.clear(); }

  /// Connects one client after the other, so that both sides have one order.
  void connect(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t place = got.size();
      got.emplace_back();
      auto client = std::make_shared<AsyncTcpConnection>(addressOf(*worker, clientScheme_));
      client->onMessage = [this, place](auto, std::string_view data) { got[place].emplace_back(data); };
      bool isUp = false;
      if (clientScheme_ == "ws") {
        client->onWebSocketConnect = [&](auto, const auto&) { isUp = true; };
      } else {
        client->onConnect = [&] { isUp = true; };
      }
      client->connect();
      clients.push_back(client);
      loop.runUntil([&] { return isUp && peers.size() == place + 1; });
      client->onWebSocketConnect = nullptr;
      client->onConnect = nullptr;
    }
  }
  bool until(const std::function<bool()>& done) { return loop.runUntil(done); }

 private:
  std::string clientScheme_;
};

}  // namespace

TEST_CASE("topics: what is published reaches those who have subscribed, once each") {
  Scene scene;
  scene.connect(3);
  CHECK(scene.peers[0]->subscribe("room/1"));
  CHECK(scene.peers[1]->subscribe("room/1"));
  CHECK(scene.peers[2]->subscribe("room/2"));
  CHECK_FALSE(scene.peers[0]->subscribe("room/1"));
  CHECK(scene.peers[0]->isSubscribed("room/1"));
  CHECK_FALSE(scene.peers[2]->isSubscribed("room/1"));

  CHECK(scene.worker->publish("room/1", "one") == 2);
  CHECK(scene.worker->publish("room/2", std::string("two")) == 1);
  CHECK(scene.worker->publish("room/3", "nobody") == 0);
  CHECK(scene.worker->broadcast("all") == 3);
  scene.until(
      [&] { return scene.got[0].size() == 2 && scene.got[1].size() == 2 && scene.got[2].size() == 2; });
  CHECK(scene.got[0] == Lines{"one", "all"});
  CHECK(scene.got[1] == Lines{"one", "all"});
  CHECK(scene.got[2] == Lines{"two", "all"});
}

TEST_CASE("topics: who unsubscribes or closes gets no more") {
  Scene scene;
  scene.connect(2);
  scene.peers[0]->subscribe("a");
  scene.peers[1]->subscribe("a");
  CHECK(scene.peers[0]->unsubscribe("a"));
  CHECK_FALSE(scene.peers[0]->unsubscribe("a"));
  CHECK_FALSE(scene.peers[0]->unsubscribe("never"));
  CHECK(scene.worker->publish("a", "x") == 1);
  scene.peers[1]->close();
  CHECK(scene.worker->publish("a", "y") == 0);
  CHECK_FALSE(scene.peers[1]->subscribe("a"));
  CHECK_FALSE(scene.peers[1]->isSubscribed("a"));
  scene.worker->broadcast("last");
  scene.until([&] { return scene.got[0].size() == 1 && scene.got[1].size() == 1; });
  CHECK(scene.got[0] == Lines{"last"});
  CHECK(scene.got[1] == Lines{"x"});
}

TEST_CASE("topics: publish, send, subscribe and close keep the order of the calls") {
  Scene scene;
  scene.connect(2);
  scene.worker->onMessage = nullptr;
  const auto first = scene.peers[0];
  const auto second = scene.peers[1];
  first->subscribe("a");
  first->subscribe("b");
  second->subscribe("b");
  // Inside one callback, where all of it is gathered.
  first->onMessage = [&] {
    scene.worker->publish("a", "1");
    scene.worker->publish("b", "2");
    first->send("3");
    scene.worker->publish("a", "4");
    second->subscribe("a");
    scene.worker->publish("a", "5");
    second->unsubscribe("b");
    scene.worker->publish("b", "6");
    scene.worker->broadcast("7");
    scene.worker->publish("a", "8");
    first->close("9");
    scene.worker->publish("a", "10");
  };
  scene.clients[0]->send("go");
  scene.until([&] { return scene.got[0].size() == 9 && scene.got[1].size() == 5; });
  CHECK(scene.got[0] == Lines{"1", "2", "3", "4", "5", "6", "7", "8", "9"});
  CHECK(scene.got[1] == Lines{"2", "5", "7", "8", "10"});
}

TEST_CASE("topics: what one callback publishes leaves for each connection in one write") {
  Scene scene;
  scene.connect(2);
  for (const auto& peer : scene.peers) peer->subscribe("a");
  std::vector<std::size_t> pieces;
  scene.clients[1]->protocol = "";
  scene.clients[1]->onMessage = [&](auto, std::string_view data) { pieces.push_back(data.size()); };
  scene.peers[0]->onMessage = [&] {
    for (int i = 0; i < 100; ++i) scene.worker->publish("a", "0123456789");
  };
  scene.clients[0]->send("go");
  scene.until([&] { return scene.got[0].size() == 100 && !pieces.empty(); });
  CHECK(pieces == std::vector<std::size_t>{1100});
}

TEST_CASE("topics: more than a callback should gather does not wait for its end") {
  Scene scene;
  scene.connect(1);
  scene.peers[0]->subscribe("a");
  const std::string text(10'000, 'x');
  scene.peers[0]->onMessage = [&] {
    for (int i = 0; i < 300; ++i) scene.worker->publish("a", text);
  };
  scene.peers[0]->maxSendBufferSize = 10'000'000;
  scene.clients[0]->send("go");
  scene.until([&] { return scene.got[0].size() == 300; });
}

TEST_CASE("topics: callbacks of a full or dead connection may do anything") {
  Scene scene;
  scene.connect(4);
  for (const auto& peer : scene.peers) {
    peer->subscribe("a");
    peer->maxSendBufferSize = 100'000'000;
  }
  const std::string large(9'000'000, 'x');
  scene.clients[1]->pauseRecv();
  scene.peers[1]->maxSendBufferSize = 1000;
  SUBCASE("close the others") {
    scene.peers[1]->onBufferFull = [&] {
      scene.peers[2]->destroy();
      scene.peers[0]->destroy();
    };
    CHECK(scene.worker->publish("a", large) == 4);
    CHECK(scene.worker->publish("a", "next") == 2);
    scene.until([&] { return scene.got[3].size() == 2; });
    CHECK(scene.got[3].back().substr(0, 10) == "next");
  }
  SUBCASE("publish and unsubscribe") {
    scene.peers[1]->onBufferFull = [&] {
      scene.peers[1]->unsubscribe("a");
      scene.peers[2]->unsubscribe("a");
      CHECK(scene.worker->publish("a", "full") == 2);
      scene.peers[1]->onBufferFull = nullptr;
    };
    scene.worker->publish("a", large);
    scene.until(
        [&] { return scene.got[3].size() == 2 && scene.got[2].size() == 1 && scene.got[0].size() == 2; });
    CHECK(scene.got[0].back().substr(0, 10) == "full");
  }
  SUBCASE("a dropped message is told by onError, and the others still get it") {
    int dropped = 0;
    scene.peers[1]->onError = [&](auto, int code, auto) { dropped += code == AsyncTcpConnection::SEND_FAIL; };
    scene.worker->publish("a", large);
    scene.worker->publish("a", "dropped here");
    scene.until([&] { return scene.got[0].size() == 2 && scene.got[3].size() == 2; });
    CHECK(dropped == 1);
  }
  SUBCASE("destroy the worker") {
    scene.peers[1]->onBufferFull = [&] {
      scene.peers.clear();
      scene.worker->stop();
      scene.worker.reset();
    };
    scene.worker->publish("a", large);
    CHECK(scene.worker == nullptr);
    scene.until([&] { return scene.clients[3]->getStatus() == AsyncTcpConnection::STATUS_CLOSED; });
  }
}

TEST_CASE("topics: a websocket message is framed once, and goes out in each connection's own type") {
  Scene scene("websocket", "ws");
  scene.connect(3);
  std::vector<bool> binary(3);
  for (std::size_t i = 0; i < 3; ++i) {
    scene.peers[i]->subscribe("a");
    scene.clients[i]->onMessage = [&, i](auto connection, std::string_view data) {
      scene.got[i].emplace_back(data);
      binary[i] = connection->websocketMessageType == Workerman::Protocols::Ws::BINARY_TYPE_ARRAYBUFFER;
    };
  }
  scene.peers[1]->websocketType = Workerman::Protocols::Websocket::BINARY_TYPE_ARRAYBUFFER;
  SUBCASE("text") {
    scene.worker->publish("a", "hello");
    scene.until([&] { return scene.got[0].size() + scene.got[1].size() + scene.got[2].size() == 3; });
    CHECK(scene.got == std::vector<Lines>{{"hello"}, {"hello"}, {"hello"}});
    CHECK(binary == std::vector<bool>{false, true, false});
  }
  SUBCASE("json") {
    CHECK(scene.worker->publish("a", nlohmann::json{{"n", 1}}) == 3);
    CHECK(scene.worker->broadcast(nlohmann::json("bare")) == 3);
    scene.until(
        [&] { return scene.got[0].size() == 2 && scene.got[1].size() == 2 && scene.got[2].size() == 2; });
    CHECK(scene.got[1] == Lines{"{\"n\":1}", "bare"});
  }
}

namespace {

struct Counted {
  static inline int encoded = 0;
  static int input(std::string_view buffer) { return static_cast<int>(buffer.find(';') + 1); }
  static std::string encode(std::string_view text) {
    ++encoded;
    return std::string(text) + ";";
  }
  static std::string decode(std::string_view package) {
    return std::string(package.substr(0, package.size() - 1));
  }
};

}  // namespace

TEST_CASE("topics: a protocol of one's own encodes a message once for all") {
  Workerman::Protocols::add<Counted>("Counted");
  Scene scene("Counted", "Counted");
  scene.connect(3);
  for (const auto& peer : scene.peers) peer->subscribe("a");
  Counted::encoded = 0;
  scene.worker->publish("a", "x");
  scene.until([&] { return scene.got[0].size() + scene.got[1].size() + scene.got[2].size() == 3; });
  CHECK(scene.got == std::vector<Lines>{{"x"}, {"x"}, {"x"}});
  CHECK(Counted::encoded == 1);
}

TEST_CASE("topics: one that no Worker accepted has none") {
  Scene scene;
  scene.connect(1);
  CHECK_THROWS_AS(scene.clients[0]->subscribe("a"), std::logic_error);
  CHECK_FALSE(scene.clients[0]->unsubscribe("a"));
}

namespace {

struct Recorder final : Workerman::TopicBridge {
  Lines told;
  void onPublish(Worker&, std::string_view topic, std::string_view data) override {
    told.push_back("publish " + std::string(topic) + " " + std::string(data));
  }
  void onSubscribe(Worker&, std::string_view topic) override {
    told.push_back("subscribe " + std::string(topic));
  }
  void onUnsubscribe(Worker&, std::string_view topic) override {
    told.push_back("unsubscribe " + std::string(topic));
  }
};

}  // namespace

TEST_CASE("topics: forty thousand of one connection, in any order, as those of many") {
  Scene scene;
  scene.connect(2);
  constexpr int kTopics = 40'000;
  const auto nameOf = [](int i) { return "topic " + std::to_string(i); };
  const auto& [many, few] = std::tie(scene.peers[0], scene.peers[1]);
  for (int i = 0; i < kTopics; ++i) {
    REQUIRE(many->subscribe(nameOf(i)));
    if (i % 5000 == 0) REQUIRE(few->subscribe(nameOf(i)));
  }
  CHECK_FALSE(many->subscribe(nameOf(17)));
  // While much waits, each send of the connection looks whether it is meant.
  CHECK(scene.worker->publish(nameOf(39'999), "last") == 1);
  CHECK(scene.worker->publish(nameOf(5000), "both") == 2);
  // The first half from the front, so that the last ones take their places.
  for (int i = 0; i < kTopics / 2; ++i) REQUIRE(many->unsubscribe(nameOf(i)));
  CHECK_FALSE(many->unsubscribe(nameOf(0)));
  for (int i = 0; i < kTopics; ++i) REQUIRE(many->isSubscribed(nameOf(i)) == (i >= kTopics / 2));
  CHECK(scene.worker->publish(nameOf(5000), "few") == 1);
  CHECK(scene.worker->publish(nameOf(30'000), "again both") == 2);
  for (int i = kTopics - 1; i > kTopics / 2 + 3; --i) REQUIRE(many->unsubscribe(nameOf(i)));
  REQUIRE(many->subscribe("new"));
  for (int i = kTopics / 2; i <= kTopics / 2 + 3; ++i) REQUIRE(many->isSubscribed(nameOf(i)));
  CHECK(scene.worker->publish(nameOf(kTopics / 2 + 1), "left") == 1);
  CHECK(scene.worker->publish("new", "new") == 1);
  scene.until([&] { return scene.got[0].size() == 5 && scene.got[1].size() == 3; });
  CHECK(scene.got[0] == Lines{"last", "both", "again both", "left", "new"});
  CHECK(scene.got[1] == Lines{"both", "few", "again both"});
}

TEST_CASE("topics: a bridge hears of what is published here, and of the first and last subscriber") {
  Scene scene;
  scene.connect(2);
  const auto bridge = std::make_shared<Recorder>();
  scene.worker->topicBridge = bridge;
  scene.peers[0]->subscribe("a");
  scene.peers[1]->subscribe("a");
  scene.worker->publish("a", "1");
  scene.worker->publishHere("a", "from elsewhere");
  scene.worker->publish("nobody here", "2");
  scene.peers[0]->unsubscribe("a");
  scene.peers[1]->destroy();
  CHECK(bridge->told == Lines{"subscribe a", "publish a 1", "publish nobody here 2", "unsubscribe a"});
  scene.until([&] { return scene.got[0].size() == 2; });
  CHECK(scene.got[0] == Lines{"1", "from elsewhere"});
}
