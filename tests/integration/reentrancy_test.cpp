// Each callback as the place where each thing is done to its own connection.

#include <stdexcept>
#include <vector>

#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::LoopFixture;

namespace {

enum class Where { Connect, Message, Close, Refused, Dropped, Full, Drain };
enum class What {
  Close,
  CloseText,
  Destroy,
  End,
  ReconnectNow,
  ReconnectSoon,
  Cancelled,
  StopAll,
  Replace,
  Clear,
  Throw,
  ThrowHandled,
  PauseAndDestroy
};

constexpr const char* kWhere[] = {"onConnect",    "onMessage",    "onClose",      "onError refused",
                                  "onError full", "onBufferFull", "onBufferDrain"};
constexpr const char* kWhat[] = {"close",
                                 "close(text)",
                                 "destroy",
                                 "end",
                                 "reConnect(0)",
                                 "reConnect(0.01)",
                                 "reConnect, close",
                                 "stopAll",
                                 "replace",
                                 "nullptr",
                                 "throw",
                                 "throw to errorHandler",
                                 "pauseRecv, resumeRecv, destroy"};

/// More than the kernel takes for a peer that does not read.
constexpr std::size_t kTooMuch = 16 * 1024 * 1024;

/// A connection under test, its peer, and what has happened to it.
class Scene {
 public:
  Scene(Where where, What what) : where_(where), what_(what) {
    server->onConnect = [this](auto connection) { peerConnected(connection); };
    server->onMessage = [](TcpConnectionPtr) {};
  }

  void runClient() {
    auto client = std::make_shared<AsyncTcpConnection>(
        where_ == Where::Refused ? refusing_.address() : testing::addressOf(*server, "tcp"));
    install(*client);
    watched_ = client;
    client->connect();
    client.reset();
    play();
  }

  void runAccepted() {
    // The roles change places: a client is the peer of the connection that the worker accepted.
    server->onConnect = [this](TcpConnectionPtr connection) {
      if (watched_.expired()) {
        watched_ = connection;
        install(*connection);
        happened(Where::Connect, connection);
      }
    };
    auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*server, "tcp"));
    client->onConnect = [this](TcpConnectionPtr connection) { peerConnected(connection); };
    client->onMessage = [](TcpConnectionPtr) {};
    client->connect();
    client.reset();
    play();
  }

 private:
  /// What the connection at the other end does, so that `where_` comes to pass.
  void peerConnected(const TcpConnectionPtr& connection) {
    peers_.push_back(connection);
    if (where_ == Where::Close && peers_.size() == 1) return connection->close("bye");
    if (where_ >= Where::Dropped) connection->pauseRecv();
    connection->send("hi");
  }

  template <class F>
  static void assign(TcpConnection& target, Where where, F callback) {
    switch (where) {
      case Where::Connect:
        target.onConnect = callback;
        break;
      case Where::Message:
        target.onMessage = callback;
        break;
      case Where::Close:
        target.onClose = callback;
        break;
      case Where::Refused:
      case Where::Dropped:
        target.onError = callback;
        break;
      case Where::Full:
        target.onBufferFull = callback;
        break;
      case Where::Drain:
        target.onBufferDrain = callback;
        break;
    }
  }

  void install(TcpConnection& target) {
    const auto token = std::make_shared<int>(0);
    captured_ = token;
    target.lingerTimeout = 0.05;
    target.onConnect = [this, token](TcpConnectionPtr c) { happened(Where::Connect, c); };
    target.onMessage = [this, token](TcpConnectionPtr c) { messageCame(c); };
    target.onClose = [this, token](TcpConnectionPtr c) { happened(Where::Close, c); };
    target.onError = [this, token](TcpConnectionPtr c, int code) {
      happened(code == AsyncTcpConnection::CONNECT_FAIL ? Where::Refused : Where::Dropped, c);
    };
    target.onBufferFull = [this, token](TcpConnectionPtr c) { happened(Where::Full, c); };
    target.onBufferDrain = [this, token](TcpConnectionPtr c) { happened(Where::Drain, c); };
    if (what_ == What::ThrowHandled) target.errorHandler = [this, token] { ++handled_; };
  }

  void messageCame(const TcpConnectionPtr& connection) {
    happened(Where::Message, connection);
    if (where_ < Where::Dropped || hasFilled_) return;
    hasFilled_ = true;
    connection->send(std::string(kTooMuch, 'x'));
    if (where_ == Where::Dropped) CHECK(connection->send("one more") == false);
  }

  void happened(Where where, const TcpConnectionPtr& connection) {
    ++count_[static_cast<int>(where)];
    if (where != where_ || hasActed_) return;
    hasActed_ = true;
    act(connection);
  }

  void act(const TcpConnectionPtr& connection) {
    const auto client = std::dynamic_pointer_cast<AsyncTcpConnection>(connection);
    switch (what_) {
      case What::Close:
        return connection->close();
      case What::CloseText:
        return connection->close("good-bye");
      case What::Destroy:
        return connection->destroy();
      case What::End:
        return connection->end("good-bye");
      case What::ReconnectNow:
        return client->reConnect(0);
      case What::ReconnectSoon:
        return client->reConnect(0.01);
      case What::Cancelled:
        return client->reConnect(0.01), client->close();
      case What::StopAll:
        return Worker::stopAll();
      case What::Replace:
        return assign(*connection, where_, [this] { ++replaced_; });
      case What::Clear:
        return assign(*connection, where_, nullptr);
      case What::Throw:
      case What::ThrowHandled:
        throw std::runtime_error("thrown on purpose");
      case What::PauseAndDestroy:
        return connection->pauseRecv(), connection->resumeRecv(), connection->destroy();
    }
  }

  bool expectsReconnect() const { return what_ == What::ReconnectNow || what_ == What::ReconnectSoon; }
  bool livesOn() const {
    return what_ == What::Replace || what_ == What::Clear || what_ == What::ThrowHandled ||
           expectsReconnect();
  }
  int count(Where where) const { return count_[static_cast<int>(where)]; }

  void play() {
    fixture.runUntil([&] {
      for (const auto& peer : peers_) {
        if (hasActed_ || where_ == Where::Drain) peer->resumeRecv();
      }
      return hasActed_;
    });
    fixture.turn(3);
    if (expectsReconnect()) {
      if (where_ == Where::Refused) {
        fixture.runUntil([&] { return count(Where::Refused) == 2; });
      } else {
        fixture.runUntil([&] { return peers_.size() == 2 && count(Where::Connect) >= 1; });
        fixture.turn(3);
      }
    }
    if (livesOn()) end();
    fixture.runUntil([&] { return watched_.expired(); });
    checkTheEnd();
  }

  /// Ends what the callback has left alive.
  void end() {
    if (what_ == What::Replace && where_ == Where::Message) {
      peers_.back()->send("again");
      fixture.runUntil([&] { return replaced_ == 1; });
    }
    if (const auto connection = watched_.lock()) connection->destroy();
  }

  void checkTheEnd() {
    CHECK(captured_.expired());
    for (auto& peer : peers_) peer->destroy();
    peers_.clear();
    const bool isSilenced = where_ == Where::Close && (what_ == What::Replace || what_ == What::Clear);
    const bool closesTwice = where_ == Where::Close && expectsReconnect();
    CHECK(count(Where::Close) == (closesTwice ? 2 : 1));
    if (isSilenced) CHECK(replaced_ == 0);
    CHECK(handled_ == (what_ == What::ThrowHandled ? 1 : 0));
    const bool isStopped = what_ == What::StopAll || what_ == What::Throw;
    if (isStopped) {
      fixture.runUntil([] { return !Worker::isRunning(); });
    } else {
      CHECK(Worker::getStatus() == Worker::STATUS_RUNNING);
    }
  }

  Where where_;
  What what_;
  LoopFixture fixture;
  std::shared_ptr<Worker> server = testing::listenOn("tcp");
  testing::RefusingPort refusing_;
  std::vector<TcpConnectionPtr> peers_;
  std::weak_ptr<TcpConnection> watched_;
  std::weak_ptr<int> captured_;
  bool hasActed_ = false;
  bool hasFilled_ = false;
  int count_[7]{};
  int replaced_ = 0;
  int handled_ = 0;
};

}  // namespace

TEST_CASE("re-entrancy: a client's callbacks may do anything to their connection") {
  for (int where = 0; where <= static_cast<int>(Where::Drain); ++where) {
    for (int what = 0; what <= static_cast<int>(What::PauseAndDestroy); ++what) {
      CAPTURE(std::string(kWhere[where]));
      CAPTURE(std::string(kWhat[what]));
      Scene(static_cast<Where>(where), static_cast<What>(what)).runClient();
    }
  }
}

TEST_CASE("re-entrancy: an accepted connection's callbacks may do anything to it") {
  for (int where = 0; where <= static_cast<int>(Where::Drain); ++where) {
    if (where == static_cast<int>(Where::Refused)) continue;
    for (int what = 0; what <= static_cast<int>(What::PauseAndDestroy); ++what) {
      if (what >= static_cast<int>(What::ReconnectNow) && what <= static_cast<int>(What::Cancelled)) continue;
      CAPTURE(std::string(kWhere[where]));
      CAPTURE(std::string(kWhat[what]));
      Scene(static_cast<Where>(where), static_cast<What>(what)).runAccepted();
    }
  }
}
