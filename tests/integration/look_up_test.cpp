// Clients of names: which of several addresses they reach, and what a slow or failing look-up does.

#include <netdb.h>

#include <memory>
#include <string>
#include <vector>

#include "support/fake_names.h"
#include "support/journal.h"
#include "support/loop_fixture.h"
#include "support/raw_peer.h"

using namespace Workerman;
using namespace Workerman::Connection;
using testing::FakeNames;
using testing::Journal;
using testing::LoopFixture;
using testing::RawListener;
using testing::RawSocket;
using testing::StalledListener;

namespace {

double now() {
  return static_cast<double>(uv_hrtime()) * 1e-9;
}

std::string at(const std::string& name, int port) {
  return "tcp://" + name + ":" + std::to_string(port);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("look-up: addresses that refuse are passed over at once, to the last") {
  FakeNames names;
  LoopFixture fixture;
  RawListener listener;
  // With a delay for each they would take longer than any test.
  std::vector<std::string> ips{"::1"};
  for (int i = 0; i < 300; ++i) {
    ips.push_back("127.1." + std::to_string(i / 100) + "." + std::to_string(i % 100 + 1));
  }
  ips.push_back("127.0.0.1");
  names.answer("many.test", ips);
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(at("many.test", listener.port()));
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("connect"); });
  CHECK(client->getRemoteIp() == "127.0.0.1");
  CHECK(client->getRemoteHost() == "many.test");
  client->destroy();
  CHECK(journal.text == "connect close ");
}

TEST_CASE(
    "look-up: an address that does not answer gets a quarter of a second's start (RFC 8305 section 5)") {
  FakeNames names;
  LoopFixture fixture;
  RawListener listener;
  const StalledListener dead("127.0.0.2", listener.port());
  // The second refuses, so the third comes without another delay.
  names.answer("half.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(at("half.test", listener.port()));
  journal.record(*client);
  client->connect();
  const double begin = now();
  fixture.runUntil([&] { return journal.has("connect"); });
  CHECK(now() - begin >= 0.24);
  CHECK(client->getRemoteIp() == "127.0.0.1");
  client->destroy();
}

TEST_CASE("look-up: the first address that answers wins, also when it was tried before others") {
  FakeNames names;
  LoopFixture fixture;
  const testing::Ticker ticker;
  StalledListener slow("127.0.0.2");
  const StalledListener dead("127.0.0.3", slow.port());
  names.answer("slow.test", {"127.0.0.2", "127.0.0.3"});
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(at("slow.test", slow.port()));
  journal.record(*client);
  client->connect();
  bool isTime = false;
  Timer::delay(0.4, [&] { isTime = true; });
  fixture.runUntil([&] { return isTime; });
  CHECK(journal.text.empty());
  // Room in its queue: the next SYN that the kernel repeats is answered.
  std::vector<RawSocket> accepted;
  fixture.runUntil([&] {
    if (RawSocket socket = slow.accept()) accepted.push_back(std::move(socket));
    return journal.has("connect");
  });
  CHECK(client->getRemoteIp() == "127.0.0.2");
  client->destroy();
}

TEST_CASE("look-up: the other family is the second to be tried (RFC 8305 section 4)") {
  FakeNames names;
  LoopFixture fixture;
  RawListener listener;
  const StalledListener dead("127.0.0.2", listener.port());
  names.answer("both.test", {"127.0.0.2", "127.0.0.3", "::1", "127.0.0.1"});
  const auto server = std::make_shared<Worker>("tcp://[::1]:" + std::to_string(listener.port()));
  server->listen();
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(at("both.test", listener.port()));
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("connect"); });
  CHECK(client->getRemoteIp() == "::1");
  client->destroy();
}

TEST_CASE("look-up: all addresses dead is one onError, with the last cause, or with the stage") {
  FakeNames names;
  LoopFixture fixture;
  const testing::RefusingPort refusing;
  names.answer("dead.test", {"127.0.0.1", "127.0.0.2", "::1"});
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(at("dead.test", refusing.port()));
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("close"); });
  CHECK(journal.text == "error:1 close ");
  CHECK_MESSAGE(contains(journal.error, "Connection refused"), journal.error);

  const StalledListener first("127.0.0.1");
  const StalledListener second("127.0.0.2", first.port());
  Journal late;
  auto other = std::make_shared<AsyncTcpConnection>(at("dead.test", first.port()));
  other->connectTimeout = 0.4;
  late.record(*other);
  other->connect();
  fixture.runUntil([&] { return late.has("close"); });
  CHECK(late.text == "error:1 close ");
  const std::string stage = "timed out while connecting to dead.test:" + std::to_string(first.port());
  CHECK_MESSAGE(contains(late.error, stage), late.error);
}

TEST_CASE("look-up: a failed one is onError with the resolver's reason, for a proxy's name as well") {
  for (const int code : {EAI_NONAME, EAI_AGAIN, EAI_FAIL}) {
    for (const bool isProxy : {false, true}) {
      FakeNames names;
      names.fail("nobody.test", code);
      LoopFixture fixture;
      Journal journal;
      auto client =
          std::make_shared<AsyncTcpConnection>(isProxy ? "tcp://target.test:80" : "tcp://nobody.test:80");
      if (isProxy) client->proxyHttp = "nobody.test:3128";
      journal.record(*client);
      client->connect();
      CHECK(journal.text.empty());
      fixture.runUntil([&] { return journal.has("close"); });
      CHECK(journal.text == "error:1 close ");
      const std::string cause = std::string("cannot look up ") + (isProxy ? "the proxy " : "") +
                                "nobody.test: " + ::gai_strerror(code);
      CHECK_MESSAGE(contains(journal.error, cause), journal.error);
    }
  }
}

TEST_CASE("look-up: the time limit names it, and its late answer is nobody's") {
  for (const bool isProxy : {false, true}) {
    FakeNames names;
    names.stall("stalled.test", {"127.0.0.1"});
    LoopFixture fixture;
    Journal journal;
    auto client =
        std::make_shared<AsyncTcpConnection>(isProxy ? "tcp://target.test:80" : "tcp://stalled.test:80");
    if (isProxy) client->proxySocks5 = "stalled.test:1080";
    client->connectTimeout = 0.1;
    journal.record(*client);
    client->connect();
    fixture.runUntil([&] { return journal.has("close"); });
    CHECK(journal.text == "error:1 close ");
    const std::string stage =
        std::string("timed out while looking up ") + (isProxy ? "the proxy " : "") + "stalled.test";
    CHECK_MESSAGE(contains(journal.error, stage), journal.error);
    names.release();
    fixture.turn(3);
    CHECK(journal.text == "error:1 close ");
    CHECK(client.use_count() == 1);
  }
}

TEST_CASE("look-up: many that hang hold up neither other names nor the loop's file-system work") {
  FakeNames names;
  names.answer("fast.test", {"127.0.0.1"});
  LoopFixture fixture;
  const testing::Ticker ticker;
  RawListener listener;
  int closed = 0, connected = 0;
  std::vector<AsyncTcpConnectionPtr> clients;
  const auto dial = [&](const std::string& name) {
    auto client = std::make_shared<AsyncTcpConnection>(at(name, listener.port()));
    client->onConnect = [&] { ++connected; };
    client->onClose = [&] { ++closed; };
    client->connect();
    clients.push_back(client);
  };
  // One thread is left of sixteen; of those who ask for the same name one is enough.
  for (int i = 0; i < 15; ++i) {
    const std::string name = "stalled" + std::to_string(i) + ".test";
    names.stall(name, {"127.0.0.1"});
    for (int again = 0; again < 8; ++again) dial(name);
  }
  fixture.runUntil([&] { return names.stalled() == 15; });
  for (int i = 0; i < 30; ++i) dial("fast.test");
  RawSocket accepted[30];
  fixture.runUntil([&] {
    for (auto& socket : accepted) listener.acceptInto(socket);
    return connected == 30;
  });

  uv_fs_t request{};
  bool isStatted = false;
  request.data = &isStatted;
  REQUIRE(uv_fs_stat(fixture.loop(), &request, "/",
                     [](uv_fs_t* done) { *static_cast<bool*>(done->data) = true; }) == 0);
  fixture.runUntil([&] { return isStatted; });
  CHECK(request.result == 0);
  uv_fs_req_cleanup(&request);

  // Beyond sixteen they wait for each other, and none is forgotten.
  for (int i = 15; i < 40; ++i) {
    const std::string name = "stalled" + std::to_string(i) + ".test";
    names.stall(name, {"127.0.0.1"});
    dial(name);
  }
  fixture.runUntil([&] { return names.stalled() == 16; });
  listener.close();
  names.release();
  fixture.runUntil([&] { return closed == 15 * 8 + 25; });
  for (int i = 0; i < 40; ++i) CHECK(names.timesAsked("stalled" + std::to_string(i) + ".test") == 1);
  CHECK(names.timesAsked("fast.test") <= 30);
  for (auto& client : clients) client->destroy();
}

TEST_CASE("look-up: scoped IPv6 literals, and a zone that is none (RFC 4007 section 11)") {
  LoopFixture fixture;
  const auto server = std::make_shared<Worker>("tcp://[::1]:0");
  server->listen();
  Journal journal;
  auto client = std::make_shared<AsyncTcpConnection>(at("[::1%lo]", server->getListenPort()));
  journal.record(*client);
  client->connect();
  fixture.runUntil([&] { return journal.has("connect"); });
  client->destroy();

  Journal failed;
  auto lost = std::make_shared<AsyncTcpConnection>("tcp://[fe80::1%nosuch0]:80");
  failed.record(*lost);
  lost->connect();
  fixture.runUntil([&] { return failed.has("close"); });
  CHECK(failed.text == "error:1 close ");
  CHECK_MESSAGE(contains(failed.error, "cannot look up fe80::1%nosuch0: "), failed.error);
}
