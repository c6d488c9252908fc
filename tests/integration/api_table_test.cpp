// The rows of the API's table that no other test covers, written as a program would.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "support/captured_stderr.h"
#include "support/loop_fixture.h"

using nlohmann::json;
using testing::LoopFixture;
using Workerman::EventLoop;
using Workerman::SocketContext;
using Workerman::Timer;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;
using Workerman::Connection::ConnectionInterface;
using Workerman::Connection::ConnectionPtr;
using Workerman::Connection::TcpConnection;
using Workerman::Connection::TcpConnectionPtr;
using Workerman::Protocols::Ws;

namespace {

void plainFunction(TcpConnectionPtr connection, std::string_view data) {
  connection->send(data);
}

struct Service {
  static void onMessage(const TcpConnectionPtr& connection, const std::string& data) {
    connection->send(data);
  }
  void member(TcpConnectionPtr connection, std::string_view data) const { connection->send(data); }
};

struct Functor {
  void operator()(ConnectionPtr connection, std::string data) const { connection->send(data); }
};

struct Session {
  int messages = 0;
  std::string name;
};

}  // namespace

TEST_CASE("table: any callable is a callback") {
  const Service service;
  const std::function<void(TcpConnectionPtr, std::string_view)> function = plainFunction;
  const std::function<void(Worker&)> ways[] = {
      [](Worker& w) { w.onMessage = plainFunction; },
      [](Worker& w) { w.onMessage = &plainFunction; },
      [](Worker& w) { w.onMessage = Service::onMessage; },
      [](Worker& w) { w.onMessage = Functor(); },
      [&](Worker& w) { w.onMessage = function; },
      [&](Worker& w) { w.onMessage = std::bind_front(&Service::member, &service); },
      [](Worker& w) { w.onMessage = [](auto connection, auto data) { connection->send(data); }; },
      [](Worker& w) {
        w.onMessage = [](const auto& connection, const auto& data) { connection->send(data); };
      },
      [](Worker& w) { w.onMessage = [](TcpConnectionPtr connection) { connection->send("hi"); }; },
  };
  for (const auto& way : ways) {
    LoopFixture fixture;
    const auto worker = testing::listenOn("text");
    CHECK_FALSE(worker->onMessage);
    way(*worker);
    CHECK(worker->onMessage);
    std::string answer;
    auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
    client->onMessage = [&](auto, auto data) { answer = data; };
    client->connect();
    client->send("hi");
    fixture.runUntil([&] { return answer == "hi"; });
    worker->onMessage = nullptr;
    CHECK_FALSE(worker->onMessage);
  }
}

TEST_CASE("table: a closure may declare fewer parameters than it is given") {
  LoopFixture fixture;
  std::vector<std::string> seen;
  const auto worker = std::make_shared<Worker>("text://127.0.0.1:0");
  worker->onConnect = [&] { seen.push_back("connect"); };
  worker->onMessage = [&] { seen.push_back("message"); };
  worker->onClose = [&] { seen.push_back("close"); };
  worker->listen();
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  client->onConnect = [&] { seen.push_back("client"); };
  client->connect();
  client->send("x");
  fixture.runUntil([&] { return seen.size() == 3; });
  client->close();
  fixture.runUntil([&] { return seen.size() == 4; });
  auto failing = std::make_shared<AsyncTcpConnection>("tcp://127.0.0.1:1");
  failing->onError = [&](auto, int code) { seen.push_back("error " + std::to_string(code)); };
  failing->connect();
  fixture.runUntil([&] { return seen.size() == 5; });
  CHECK(seen.back() == "error 1");
}

TEST_CASE("table: a connection captured by value is safe after its close, and callbacks make no cycle") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  const auto token = std::make_shared<int>(1);
  TcpConnectionPtr kept;
  worker->onConnect = [&](auto connection) {
    kept = connection;
    connection->onMessage = [connection, token](auto, auto) { connection->close(); };
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  client->onClose = [client, token] { CHECK(client->getStatus() == TcpConnection::STATUS_CLOSED); };
  client->connect();
  client->send("x");
  std::weak_ptr<AsyncTcpConnection> watched = client;
  client.reset();
  fixture.runUntil([&] { return watched.expired(); });
  CHECK(token.use_count() == 1);
  REQUIRE(kept != nullptr);
  CHECK(kept->getStatus() == TcpConnection::STATUS_CLOSED);
  CHECK(kept->getStatus(false) == "CLOSED");
  CHECK(kept->getStatus(true) == "16");
  CHECK(kept->send("late") == false);
  CHECK_FALSE(kept->send("late", true));
  kept->close();
  kept->close("late");
  kept->end();
  kept->destroy();
  kept->pauseRecv();
  kept->resumeRecv();
  CHECK(kept->getSocket() == -1);
  CHECK(kept->getSendBufferQueueSize() == 0);
  CHECK(kept->getLocalAddress().empty());
  CHECK(kept->getRemoteIp() == "127.0.0.1");
  CHECK(kept->worker == nullptr);
  CHECK(kept.use_count() == 1);
}

TEST_CASE("table: send in a condition, and compared as PHP does") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  bool isDone = false;
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  CHECK(client->send("before") == nullptr);
  CHECK_FALSE(client->send("before"));
  client->onConnect = [&](auto connection) {
    connection->onMessage = nullptr;
    isDone = true;
  };
  client->connect();
  fixture.runUntil([&] { return isDone; });
  if (!client->send("now")) FAIL("a send with nothing queued before it is true");
  CHECK(client->send("now") == true);
  client->destroy();
  CHECK(client->send("after") == false);
  CHECK(client->send("after") != nullptr);
}

TEST_CASE("table: json is refused by text, frame and tcp with a clear error; a string type is text") {
  for (const char* scheme : {"text", "frame", "tcp"}) {
    CAPTURE(std::string(scheme));
    LoopFixture fixture;
    const auto worker = testing::listenOn(scheme);
    std::string refusal;
    auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, scheme));
    client->onConnect = [&](auto connection) {
      try {
        connection->send(json{{"a", 1}});
      } catch (const std::invalid_argument& e) {
        refusal = e.what();
      }
    };
    client->connect();
    fixture.runUntil([&] { return !refusal.empty(); });
    CHECK_MESSAGE(refusal.find("json") != std::string::npos, refusal);
  }
}

TEST_CASE("table: close takes nothing, text, null; a code is for websockets") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  std::vector<std::string> got;
  worker->onMessage = [&](auto connection, auto data) {
    got.emplace_back(data);
    if (data == "code") {
      CHECK_THROWS_AS(connection->close(1000), std::logic_error);
      CHECK_THROWS_AS(connection->close(0, "x"), std::logic_error);
      connection->close();
    } else if (data == "text") {
      connection->close("bye");
    } else if (data == "raw") {
      connection->close("bye", true);
    } else {
      connection->close(nullptr);
    }
  };
  const std::pair<std::string, std::string> cases[] = {
      {"code", ""}, {"text", "bye\n"}, {"raw", "bye"}, {"null", ""}};
  for (const auto& each : cases) {
    const auto& how = each.first;
    const auto& wanted = each.second;
    CAPTURE(how);
    std::string answer;
    bool isClosed = false;
    auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "tcp"));
    client->onMessage = [&](auto, auto data) { answer += data; };
    client->onClose = [&] { isClosed = true; };
    client->send(how + "\n");
    client->connect();
    fixture.runUntil([&] { return isClosed; });
    CHECK(answer == wanted);
  }
}

TEST_CASE("table: context and userData on a connection, in generic lambdas and named ones") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  std::string answer;
  worker->onConnect = [](auto connection) {
    connection->context["uid"] = 7;
    connection->context["name"] = "tom";
    connection->headers = {{"One", "entry"}};
  };
  worker->onMessage = [](TcpConnectionPtr connection, std::string_view) {
    auto& session = connection->userData<Session>();
    ++session.messages;
    const int uid = connection->context["uid"];
    const std::string name = connection->context["name"];
    CHECK(connection->context.get<int>("uid") == 7);
    CHECK(connection->context.get<int>("missing", 5) == 5);
    CHECK_THROWS(connection->context.get<int>("missing"));
    CHECK_THROWS(connection->context.get<int>("name"));
    CHECK(connection->context.has("uid"));
    connection->context.erase("uid");
    CHECK_FALSE(connection->context.has("uid"));
    CHECK_THROWS(connection->userData<int>());
    connection->send(name + std::to_string(uid) + std::to_string(session.messages));
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  client->onMessage = [&](auto connection, auto data) {
    answer = data;
    int count = 0;
    connection->context["count"] = 1;
    count = connection->context["count"];
    CHECK(count == 1);
  };
  client->send("x");
  client->connect();
  fixture.runUntil([&] { return !answer.empty(); });
  CHECK(answer == "tom71");
}

TEST_CASE("table: Timer in all its forms") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  std::vector<std::string> seen;
  Timer::add(
      0.001, [&](int a, const std::string& b) { seen.push_back(b + std::to_string(a)); },
      std::tuple{1, "args"}, false);
  Timer::add(
      0.001, [&] { seen.push_back("once"); }, {}, false);
  Timer::add(
      0.001, [&] { seen.push_back("null"); }, nullptr, false);
  Timer::add(0.001, [&](int id) {
    seen.push_back("itself");
    CHECK(Timer::del(id));
    CHECK_FALSE(Timer::del(id));
  });
  Timer::delay(0, [&] { seen.push_back("delay"); });
  int ticks = 0;
  const int every = Timer::repeat(0, [&] { ++ticks; });
  fixture.runUntil([&] { return seen.size() == 5 && ticks > 5; });
  CHECK(Timer::del(every));
  std::sort(seen.begin(), seen.end());
  CHECK(seen == std::vector<std::string>{"args1", "delay", "itself", "null", "once"});
  CHECK_THROWS_AS(Timer::add(-1, [] {}), std::invalid_argument);
  Timer::add(1000, [] {});
  Timer::delAll();
  CHECK(Worker::globalEvent->getTimerCount() == 0);
  CHECK_FALSE(Timer::del(123456));
}

TEST_CASE(
    "table: Timer before the loop: kept while there is a worker, refused without one, below 0 throws "
    "anyway") {
  CHECK_THROWS_AS(Timer::add(1, [] {}), std::runtime_error);
  CHECK_THROWS_AS(Timer::add(-1, [] {}), std::invalid_argument);
  Worker worker;
  int fired = 0;
  Timer::add(
      0.001, [&] { ++fired; }, {}, false);
  const int dropped = Timer::add(0.001, [&] { fired += 100; });
  CHECK(Timer::del(dropped));
  LoopFixture fixture;
  fixture.runUntil([&] { return fired == 1; });
}

TEST_CASE("table: globalEvent watches signals and descriptors") {
  LoopFixture fixture;
  int signalled = 0;
  Worker::globalEvent->onSignal(SIGUSR2, [&](int number) { signalled = number; });
  ::kill(::getpid(), SIGUSR2);
  fixture.runUntil([&] { return signalled == SIGUSR2; });
  CHECK(Worker::globalEvent->offSignal(SIGUSR2));
  CHECK_FALSE(Worker::globalEvent->offSignal(SIGUSR2));
  ::kill(::getpid(), SIGUSR2);  // ignored now
  std::signal(SIGUSR2, SIG_DFL);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  std::string got;
  bool isWritable = false;
  Worker::globalEvent->onReadable(ends[0], [&](int fd) {
    char byte = 0;
    if (::read(fd, &byte, 1) == 1) got += byte;
  });
  Worker::globalEvent->onWritable(ends[1], [&] {
    isWritable = true;
    Worker::globalEvent->offWritable(ends[1]);
  });
  fixture.runUntil([&] { return isWritable; });
  CHECK(::write(ends[1], "ab", 2) == 2);
  fixture.runUntil([&] { return got == "ab"; });
  CHECK(Worker::globalEvent->offReadable(ends[0]));
  CHECK_FALSE(Worker::globalEvent->offReadable(ends[0]));
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(Worker::globalEvent->uvLoop() == fixture.loop());
}

TEST_CASE("table: a connection's loop, statistics, map-like connections, constants") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  const auto requests = ConnectionInterface::statistics.total_request;
  const auto connections = ConnectionInterface::statistics.connection_count;
  bool isDone = false;
  worker->onMessage = [&](auto connection, auto) {
    CHECK(connection->eventLoop == Worker::globalEvent);
    CHECK(TcpConnection::connections.at(connection->id) == connection);
    CHECK(TcpConnection::connections.contains(connection->id));
    isDone = true;
  };
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  client->send("x");
  client->connect();
  fixture.runUntil([&] { return isDone; });
  CHECK(ConnectionInterface::statistics.total_request == requests + 1);
  CHECK(ConnectionInterface::statistics.connection_count == connections + 2);
  CHECK(ConnectionInterface::statistics.send_fail >= 0);
  CHECK(TcpConnection::STATUS_TO_STRING.at(TcpConnection::STATUS_ESTABLISHED) == "ESTABLISHED");
  CHECK(AsyncTcpConnection::BUILD_IN_TRANSPORTS.count("tcp") == 1);
  CHECK(TcpConnection::CONNECT_FAIL == 1);
  CHECK(TcpConnection::SEND_FAIL == 2);
  std::ostringstream out;
  out << client->protocol << ' ' << client->transport;
  CHECK(out.str() == "text tcp");
  CHECK(client->jsonSerialize().at("remotePort") == worker->getListenPort());
}

TEST_CASE("table: connect on a connection that no shared_ptr owns says how to make it") {
  LoopFixture fixture;
  AsyncTcpConnection onStack("tcp://127.0.0.1:1");
  CHECK_THROWS_WITH_AS(onStack.connect(), doctest::Contains("std::make_shared<AsyncTcpConnection>"),
                       std::logic_error);
}

TEST_CASE("table: an AsyncTcpConnection seen as TcpConnectionPtr has the same callbacks") {
  LoopFixture fixture;
  const auto worker = testing::listenOn("text");
  auto client = std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text"));
  const TcpConnectionPtr base = client;
  int called = 0;
  base->onConnect = [&](TcpConnectionPtr) { ++called; };
  CHECK(client->onConnect);
  client->onConnect = [&](AsyncTcpConnectionPtr connection) { called += connection == client ? 10 : 0; };
  client->connect();
  fixture.runUntil([&] { return called != 0; });
  CHECK(called == 10);
}
