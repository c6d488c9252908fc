#include "connection/tls/tls_buffers.h"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "core/event_loop.h"
#include "support/tls_ends.h"

using namespace testing;
using Workerman::EventLoop;
using Workerman::Connection::detail::TlsBuffers;
using Workerman::Connection::detail::TlsIo;
using Workerman::Connection::detail::TlsStream;

namespace {

TlsBuffers& buffers() {
  return TlsIo::ofThisThread().buffers;
}

bool isKept(const TlsStream& stream) {
  return stream.bufferPlace != TlsBuffers::kNowhere;
}

}  // namespace

TEST_CASE("tls buffers: a stream keeps its own from its first use after the handshake until it goes") {
  EventLoop loop;
  {
    const TlsContexts contexts;
    Ends ends(contexts);
    buffers().used(ends.server, loop);
    CHECK(buffers().count() == 0);
    ends.open();
    for (int i = 0; i < 3; ++i) {
      buffers().used(ends.server, loop);
      CHECK(isKept(ends.server));
      CHECK(buffers().count() == 1);
      CHECK(ends.client.write("question", 100) == 8);
      CHECK(Ends::received(ends.server, takeOutput(), 3) == "question");
      CHECK(ends.server.write("answer", 100) == 6);
      CHECK(Ends::received(ends.client, takeOutput(), 3) == "answer");
    }
    buffers().used(ends.client, loop);
    CHECK(buffers().count() == 2);
  }
  CHECK(buffers().count() == 0);
  // Nothing keeps it.
  loop.run();
}

TEST_CASE("tls buffers: of more streams than there is room for, those keep theirs that came last") {
  EventLoop loop;
  const TlsContexts contexts;
  std::vector<std::unique_ptr<Ends>> all;
  for (int i = 0; i < TlsBuffers::kMost + 2; ++i) {
    all.push_back(std::make_unique<Ends>(contexts));
    all.back()->open();
    buffers().used(all.back()->server, loop);
  }
  CHECK(buffers().count() == TlsBuffers::kMost);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(isKept(all[i]->server) == (i >= 2));

  // The place of one that has gone is the next one's.
  all.erase(all.begin() + 50);
  CHECK(buffers().count() == TlsBuffers::kMost - 1);
  buffers().used(all[0]->server, loop);
  CHECK(buffers().count() == TlsBuffers::kMost);
  CHECK(isKept(all[2]->server));
  buffers().used(all[1]->server, loop);
  CHECK(buffers().count() == TlsBuffers::kMost);

  // Also those without them still work.
  for (const auto& ends : all) {
    CHECK(ends->client.write("text", 100) == 4);
    CHECK(Ends::received(ends->server, takeOutput(), 1 << 20) == "text");
  }
}

TEST_CASE("tls buffers: a stream that is not used for a second or two gives them back") {
  EventLoop loop;
  const TlsContexts contexts;
  Ends busy(contexts), quiet(contexts), half(contexts);
  for (Ends* ends : {&busy, &quiet, &half}) {
    ends->open();
    buffers().used(ends->server, loop);
  }
  // In the middle of a record: the rest of it must still fit.
  CHECK(half.client.write("halves", 100) == 6);
  const std::string record = takeOutput();
  CHECK(Ends::received(half.server, record.substr(0, 10), 10) == "");
  const int use = loop.repeat(0.2, [&] { buffers().used(busy.server, loop); });
  loop.repeat(0.05, [&] {
    if (!isKept(quiet.server) && !isKept(half.server)) loop.stop();
  });
  loop.delay(20, [&] { loop.stop(); });
  loop.run();
  CHECK(isKept(busy.server));
  CHECK_FALSE(isKept(quiet.server));
  CHECK(Ends::received(half.server, record.substr(10), 10) == "halves");
  CHECK(buffers().count() == 1);
  // The last one that goes takes the timer along.
  loop.deleteAllTimer();
  CHECK_FALSE(loop.offRepeat(use));
  loop.run();
  CHECK(buffers().count() == 0);
}

TEST_CASE("tls buffers: when the loop is closed, the next one's timer takes its streams over") {
  const TlsContexts contexts;
  Ends first(contexts), second(contexts);
  first.open();
  second.open();
  {
    EventLoop loop;
    buffers().used(first.server, loop);
  }
  CHECK(buffers().count() == 1);
  EventLoop loop;
  buffers().used(second.server, loop);
  CHECK(buffers().count() == 2);
  loop.run();
  CHECK(buffers().count() == 0);
}
