// pipe() between two connections without sockets.

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "support/loop_fixture.h"
#include "support/memory_transport.h"

using namespace Workerman::Connection;
using testing::LoopFixture;
using testing::MemoryConnection;
using testing::Wire;
using Workerman::detail::PollHandle;

namespace {

/// Two ends that are piped to each other.
struct Pipe {
  LoopFixture loop;
  std::shared_ptr<Wire> leftWire = std::make_shared<Wire>();
  std::shared_ptr<Wire> rightWire = std::make_shared<Wire>();
  std::shared_ptr<MemoryConnection> left = MemoryConnection::make(leftWire);
  std::shared_ptr<MemoryConnection> right = MemoryConnection::make(rightWire);

  Pipe() {
    left->pipe(right);
    right->pipe(left);
  }
  ~Pipe() {
    left->destroy();
    right->destroy();
  }
  void settle() {
    while (static_cast<int>(left->step()) + static_cast<int>(right->step()) != 0) {
    }
  }
};

bool isRead(const Wire& wire) {
  return (wire.watched & PollHandle::Readable) != 0;
}

/// One way of a pipe: what arrives at one wire leaves by the other.
struct Way {
  Wire& in;
  Wire& out;
  MemoryConnection& from;
  MemoryConnection& to;
};
Way way(Pipe& pipe, bool isForth) {
  return isForth ? Way{*pipe.leftWire, *pipe.rightWire, *pipe.left, *pipe.right}
                 : Way{*pipe.rightWire, *pipe.leftWire, *pipe.right, *pipe.left};
}

}  // namespace

TEST_CASE("pipe: what arrives at one end leaves by the other, both ways, in pieces of any size") {
  for (std::size_t most = 1; most < 8; ++most) {
    CAPTURE(most);
    Pipe pipe;
    pipe.leftWire->readMost = most;
    pipe.rightWire->readMost = most + 1;
    pipe.leftWire->in = "question";
    pipe.rightWire->in = "answer";
    pipe.settle();
    CHECK(pipe.rightWire->out == "question");
    CHECK(pipe.leftWire->out == "answer");
  }
}

TEST_CASE("pipe: a side that takes nothing pauses the other, and nothing is lost") {
  for (const bool isForth : {true, false}) {
    CAPTURE(isForth);
    Pipe pipe;
    const Way slow = way(pipe, isForth);
    const Way other = way(pipe, !isForth);
    slow.to.maxSendBufferSize = 10;
    slow.in.readMost = 4;
    slow.out.room = 0;
    const std::string bytes = "0123456789abcdefghijklmnopqrstuvwxyz";
    slow.in.in = bytes;
    pipe.settle();
    CHECK_FALSE(isRead(slow.in));
    CHECK(slow.to.getSendBufferQueueSize() >= 10);
    CHECK(slow.to.getSendBufferQueueSize() < 10 + 4);
    CHECK(slow.in.in.size() == bytes.size() - slow.to.getSendBufferQueueSize());
    // The other way goes on.
    other.in.in = "other way";
    pipe.settle();
    CHECK(other.out.out == "other way");
    std::size_t steps = 0;
    while (slow.out.out.size() < bytes.size() && ++steps < 1000) {
      slow.out.room = 3;
      pipe.settle();
      CHECK(slow.to.getSendBufferQueueSize() < 10 + 4);
    }
    CHECK(slow.out.out == bytes);
    CHECK(isRead(slow.in));
  }
}

TEST_CASE("pipe: the end of one way is passed on alone, behind what is queued") {
  for (const bool isForth : {true, false}) {
    for (const bool isSlow : {false, true}) {
      CAPTURE(isForth);
      CAPTURE(isSlow);
      Pipe pipe;
      const Way first = way(pipe, isForth);
      const Way second = way(pipe, !isForth);
      first.out.room = isSlow ? 0 : SIZE_MAX;
      first.in.in = "question";
      first.in.isInEnded = true;
      pipe.settle();
      CHECK(first.out.isOutEnded == !isSlow);
      first.out.room = SIZE_MAX;
      pipe.settle();
      CHECK(first.out.out == "question");
      CHECK(first.out.isOutEnded);
      CHECK_FALSE(second.out.isOutEnded);
      second.in.in = "answer";
      pipe.settle();
      CHECK(second.out.out == "answer");
      CHECK(first.from.getStatus() == TcpConnection::STATUS_ESTABLISHED);
      second.in.isInEnded = true;
      pipe.settle();
      CHECK(second.out.isOutEnded);
      CHECK(first.from.getStatus() == TcpConnection::STATUS_CLOSED);
      CHECK(first.to.getStatus() == TcpConnection::STATUS_CLOSED);
    }
  }
}

TEST_CASE("pipe: the end of a paused side comes behind what it has sent") {
  for (const bool isForth : {true, false}) {
    CAPTURE(isForth);
    Pipe pipe;
    const Way slow = way(pipe, isForth);
    slow.to.maxSendBufferSize = 4;
    slow.in.readMost = 4;
    slow.out.room = 0;
    slow.in.in = "0123456789";
    slow.in.isInEnded = true;
    pipe.settle();
    CHECK_FALSE(slow.out.isOutEnded);
    CHECK(slow.from.getStatus() == TcpConnection::STATUS_ESTABLISHED);
    std::size_t steps = 0;
    while (!slow.out.isOutEnded && ++steps < 1000) {
      slow.out.room = 1;
      pipe.settle();
    }
    CHECK(slow.out.out == "0123456789");
    CHECK(slow.out.isOutEnded);
  }
}

TEST_CASE("pipe: one way only, the end closes the other side when everything has left") {
  LoopFixture loop;
  const auto fromWire = std::make_shared<Wire>();
  const auto toWire = std::make_shared<Wire>();
  const auto from = MemoryConnection::make(fromWire);
  const auto to = MemoryConnection::make(toWire);
  from->pipe(to);
  toWire->room = 0;
  fromWire->isInEnded = true;
  from->arrive("all");
  CHECK(from->getStatus() == TcpConnection::STATUS_CLOSED);
  CHECK(to->getStatus() == TcpConnection::STATUS_CLOSING);
  toWire->room = SIZE_MAX;
  to->settle();
  CHECK(toWire->out == "all");
  CHECK(to->getStatus() == TcpConnection::STATUS_CLOSED);
}

TEST_CASE("pipe: a side that is lost closes the other") {
  Pipe pipe;
  pipe.rightWire->pendingError = ECONNRESET;
  pipe.left->pauseRecv();
  pipe.right->pauseRecv();
  pipe.settle();
  CHECK(pipe.right->getStatus() == TcpConnection::STATUS_CLOSED);
  CHECK(pipe.left->getStatus() == TcpConnection::STATUS_CLOSED);
}
