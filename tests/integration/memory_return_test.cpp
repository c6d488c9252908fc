// Memory of many connections goes back to the system when they have gone.

#include <doctest/doctest.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <unistd.h>
#include <workerman/workerman.h>

#include <fstream>
#include <memory>
#include <vector>

#include "../support/in_child.h"
#include "../support/loop_fixture.h"
#include "../support/raw_peer.h"

using testing::LoopFixture;
using Workerman::Worker;
using Workerman::Connection::AsyncTcpConnection;
using Workerman::Connection::AsyncTcpConnectionPtr;

namespace {

std::size_t residentBytes() {
  std::size_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("memory: what many connections have used is given back after most of them have gone") {
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__)
  MESSAGE("this allocator is another");
  CHECK(residentBytes() > 0);
#else
  // In a process of its own, from a heap without what other tests have left free in it.
  const int status = testing::inChild([] {
    ::malloc_trim(0);
    std::size_t before = 0, most = 0, after = 0;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    {
      LoopFixture fixture;
      const auto worker = testing::listenOn("text");
      std::size_t open = 0;
      worker->onConnect = [&](auto connection) {
        ++open;
        // Pieces too small for memory of their own from the system.
        connection->context["state"] = std::string(20'000, 's');
      };
      worker->onClose = [&] { --open; };
      before = residentBytes();
      std::vector<AsyncTcpConnectionPtr> clients;
      for (int i = 0; i < 1500; ++i) {
        clients.push_back(std::make_shared<AsyncTcpConnection>(testing::addressOf(*worker, "text")));
        clients.back()->connect();
        if (i % 50 == 49) fixture.runUntil([&] { return open == static_cast<std::size_t>(i + 1); });
      }
      // Held for good, and the youngest of all: what lies before it in the heap cannot simply be cut off.
      const auto last = std::make_unique<std::string>(3000, 'x');
      most = residentBytes();
      for (const auto& client : clients) client->destroy();
      clients.clear();
      fixture.runUntil([&] { return open == 0; });
      fixture.runUntil([&] { return (after = residentBytes()) < before + (most - before) / 2; });
      if (last->empty()) return 2;
    }
    return most - before > 20'000'000 && after < before + (most - before) / 2 ? 0 : 1;
  });
  CHECK(status == 0);
#endif
}
