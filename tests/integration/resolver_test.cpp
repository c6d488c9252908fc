#include "connection/names/resolver.h"

#include <doctest/doctest.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/deadline.h"

using namespace Workerman::Connection::detail;

namespace {

struct Answer {
  std::vector<std::string> addresses;
  std::string error;
};

/// A loop that runs until it has nothing to do; what is left open, or a deadline passed, fails.
class Loop {
 public:
  Loop() { REQUIRE(uv_loop_init(&loop_) == 0); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    run();
    CHECK(uv_loop_close(&loop_) == 0);
  }
  uv_loop_t* get() { return &loop_; }

  void run() {
    uv_timer_t deadline;
    uv_timer_init(&loop_, &deadline);
    uv_timer_start(
        &deadline, [](uv_timer_t* timer) { uv_stop(timer->loop); },
        static_cast<std::uint64_t>(testing::kHangSeconds * 1000), 0);
    // It counts the time and keeps nothing running.
    uv_unref(reinterpret_cast<uv_handle_t*>(&deadline));
    CHECK(uv_run(&loop_, UV_RUN_DEFAULT) == 0);
    uv_close(reinterpret_cast<uv_handle_t*>(&deadline), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
  }

 private:
  uv_loop_t loop_;
};

ResolveCallback storeIn(std::optional<Answer>& answer) {
  return [&answer](std::vector<SocketAddress> addresses, std::string error) {
    REQUIRE_FALSE(answer.has_value());
    answer.emplace();
    for (const SocketAddress& address : addresses) {
      answer->addresses.push_back(address.text());
    }
    answer->error = std::move(error);
  };
}

}  // namespace

TEST_CASE("resolver: literals are only converted, and never called back before resolve returns") {
  const struct {
    std::string host, text;
  } cases[] = {{"127.0.0.1", "127.0.0.1:80"}, {"::1", "[::1]:80"}, {"fe80::1%lo", "[fe80::1%lo]:80"}};
  for (const auto& c : cases) {
    CAPTURE(c.host);
    Loop loop;
    std::optional<Answer> answer;
    const Resolution resolution = resolve(loop.get(), c.host, 80, storeIn(answer));
    CHECK_FALSE(answer.has_value());
    CHECK(resolution.isPending());
    loop.run();
    REQUIRE(answer.has_value());
    CHECK(answer->addresses == std::vector<std::string>{c.text});
    CHECK(answer->error.empty());
    CHECK_FALSE(resolution.isPending());
  }
}

TEST_CASE("resolver: localhost is known everywhere") {
  Loop loop;
  std::optional<Answer> answer;
  const Resolution resolution = resolve(loop.get(), "localhost", 1234, storeIn(answer));
  loop.run();
  REQUIRE(answer.has_value());
  REQUIRE_FALSE(answer->addresses.empty());
  for (const std::string& address : answer->addresses) {
    const bool isLoopback = address == "127.0.0.1:1234" || address == "[::1]:1234";
    CHECK(isLoopback);
  }
}

TEST_CASE("resolver: what cannot be resolved is an error in words") {
  // Neither leaves this machine: a label of 64 bytes is no name, and a name above 255 bytes even less.
  for (const std::string& host :
       {std::string(64, 'a') + ".invalid", std::string(300, 'a'), std::string(), std::string("\xff\xfe")}) {
    CAPTURE(host);
    Loop loop;
    std::optional<Answer> answer;
    const Resolution resolution = resolve(loop.get(), host, 80, storeIn(answer));
    CHECK_FALSE(answer.has_value());
    loop.run();
    REQUIRE(answer.has_value());
    CHECK(answer->addresses.empty());
    CHECK(answer->error.size() > 5);
  }
}

TEST_CASE("resolver: the callback is forgotten with its owner, the look-up ends into nothing") {
  Loop loop;
  std::optional<Answer> answer;
  const auto captured = std::make_shared<int>(0);
  // More than the pool has threads: some are under way, others still queued.
  for (int i = 0; i < 50; ++i) {
    Resolution dropped =
        resolve(loop.get(), "localhost", 80, [captured, &answer](auto, auto) { answer.emplace(); });
    CHECK(captured.use_count() == 2);
  }
  CHECK(captured.use_count() == 1);
  loop.run();
  CHECK_FALSE(answer.has_value());
}

TEST_CASE("resolver: cancel, move and assignment forget or carry the callback") {
  Loop loop;
  std::optional<Answer> cancelled, replaced, kept;
  Resolution first = resolve(loop.get(), "127.0.0.1", 1, storeIn(cancelled));
  first.cancel();
  CHECK_FALSE(first.isPending());
  first.cancel();
  Resolution second = resolve(loop.get(), "127.0.0.1", 2, storeIn(replaced));
  second = resolve(loop.get(), "127.0.0.1", 3, storeIn(kept));
  Resolution third = std::move(second);
  CHECK_FALSE(second.isPending());
  CHECK(third.isPending());
  loop.run();
  CHECK_FALSE(cancelled.has_value());
  CHECK_FALSE(replaced.has_value());
  REQUIRE(kept.has_value());
  CHECK(kept->addresses == std::vector<std::string>{"127.0.0.1:3"});
  third.cancel();
  CHECK(Resolution().isPending() == false);
}

TEST_CASE("resolver: the callback may destroy its owner, or begin the next look-up") {
  Loop loop;
  struct Owner {
    Resolution resolution;
    std::string secret = "a text that is long enough to live on the heap";
  };
  auto owner = std::make_unique<Owner>();
  std::string seen;
  owner->resolution = resolve(loop.get(), "127.0.0.1", 80, [&](auto, auto) {
    owner.reset();
    seen = "destroyed";
  });
  Resolution chained;
  int rounds = 0;
  std::function<void(std::vector<SocketAddress>, std::string)> again = [&](auto, auto) {
    if (++rounds < 5) {
      chained = resolve(loop.get(), "::1", 80, again);
    }
  };
  chained = resolve(loop.get(), "::1", 80, again);
  loop.run();
  CHECK(seen == "destroyed");
  CHECK(owner == nullptr);
  CHECK(rounds == 5);
}

TEST_CASE("resolver: an owner inside what the callback captured is freed with it") {
  Loop loop;
  struct Owner {
    Resolution resolution;
  };
  auto owner = std::make_shared<Owner>();
  const std::weak_ptr<Owner> watched = owner;
  owner->resolution = resolve(loop.get(), "127.0.0.1", 80, [owner](auto, auto) {});
  Owner* raw = owner.get();
  owner.reset();
  CHECK_FALSE(watched.expired());
  raw->resolution.cancel();
  CHECK(watched.expired());
  loop.run();
}

TEST_CASE("resolver: families take turns, the first one's first (RFC 8305 section 4)") {
  const struct {
    std::vector<std::string> given, wanted;
  } cases[] = {
      {{}, {}},
      {{"::1"}, {"::1"}},
      {{"::1", "::2", "::3", "1.1.1.1", "2.2.2.2"}, {"::1", "1.1.1.1", "::2", "2.2.2.2", "::3"}},
      {{"1.1.1.1", "2.2.2.2", "::1"}, {"1.1.1.1", "::1", "2.2.2.2"}},
      {{"1.1.1.1", "2.2.2.2"}, {"1.1.1.1", "2.2.2.2"}},
      {{"::1", "::1", "1.1.1.1", "::1"}, {"::1", "1.1.1.1"}},
  };
  for (const auto& c : cases) {
    std::vector<SocketAddress> addresses;
    for (const std::string& ip : c.given) {
      addresses.push_back(SocketAddress::fromLiteral(ip, 80).value());
    }
    std::vector<std::string> result;
    for (const SocketAddress& address : interleaveFamilies(addresses)) {
      result.push_back(address.ip());
    }
    CHECK(result == c.wanted);
  }
}
