// Websockets of both roles, without a socket.

#include "protocols/websocket/websocket_session.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "session_fixture.h"

using namespace SessionTest;
using FrameTest::closed;
using FrameTest::message;
using FrameTest::ping;
using FrameTest::pong;
using FrameTest::Step;

TEST_CASE("websocket session: a handshake that is cut at any byte, with a message behind it") {
  LoopFixture loop;
  for (const Role role : kRoles) {
    const std::size_t size = [&] {
      End end(role);
      return (end.greeting() + end.frame(0x81, "hello")).size();
    }();
    for (std::size_t cut = 0; cut <= size; ++cut) {
      CAPTURE(role);
      CAPTURE(cut);
      End end(role);
      const std::string bytes = end.greeting() + end.frame(0x81, "hello");
      end.connection->arrive(bytes.substr(0, cut));
      end.connection->arrive(bytes.substr(cut));
      CHECK(end.journal == "open message:hello ");
      CHECK(end.connection->getStatus() == TcpConnection::STATUS_ESTABLISHED);
    }
    End slow(role);
    slow.wire->readMost = 1;
    slow.connection->arrive(slow.greeting() + slow.frame(0x81, "hello"));
    CHECK(slow.journal == "open message:hello ");
  }
}

TEST_CASE("websocket session: messages of every size go both ways") {
  Pair pair;
  pair.open();
  for (const std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 1'000'000u}) {
    CAPTURE(size);
    const std::string text(size, 'x');
    pair.client.connection->send(text);
    pair.server.connection->send(text);
    pair.exchange();
    CHECK(pair.server.journal == "message:" + text + " ");
    CHECK(pair.client.journal == "message:" + text + " ");
    pair.server.journal.clear();
    pair.client.journal.clear();
  }
}

TEST_CASE("websocket session: an echo in pieces of any size, with any room") {
  for (const std::size_t most : {1u, 2u, 3u, 5u, 7u}) {
    CAPTURE(most);
    Pair pair;
    pair.open();
    pair.server.connection->onMessage = [](const TcpConnectionPtr& connection, std::string_view data) {
      connection->send(data);
    };
    pair.server.wire->readMost = most;
    pair.client.wire->readMost = most;
    pair.client.connection->send("one");
    pair.client.connection->send(std::string(200, 'x'));
    const std::string wanted = "message:one message:" + std::string(200, 'x') + " ";
    for (int i = 0; i < 1000 && pair.client.journal.size() < wanted.size(); ++i) {
      pair.server.wire->room = most;
      pair.exchange();
    }
    CHECK(pair.client.journal == wanted);
  }
}

TEST_CASE("websocket session: what is sent before the handshake is done leaves behind it") {
  Pair pair;
  CHECK(pair.client.connection->send("early") == nullptr);
  CHECK(pair.client.connection->getSendBufferQueueSize() > 5);
  pair.client.begin();
  CHECK(pair.client.wire->out.ends_with("\r\n\r\n"));
  pair.exchange();
  CHECK(pair.server.journal == "open message:early ");
  CHECK(pair.client.connection->bufferIsEmpty());
}

TEST_CASE("websocket session: a ping is answered with its payload, or with what the application sends") {
  LoopFixture loop;
  for (const Role role : kRoles) {
    CAPTURE(role);
    End end(role);
    end.open();
    end.connection->arrive(end.frame(0x89, "payload"));
    CHECK(end.sent() == std::vector{pong("payload")});
    end.wire->out.clear();
    end.connection->onWebSocketPing = [](const TcpConnectionPtr& connection, std::string_view) {
      connection->send("mine");
      connection->send("a message");
    };
    end.connection->arrive(end.frame(0x89, "payload"));
    CHECK(end.sent() == std::vector{pong("mine"), message("a message")});
    end.connection->arrive(end.frame(0x8a, "unasked"));
    CHECK(end.journal == "pong:unasked ");
  }
}

TEST_CASE("websocket session: of the pings of a peer that does not read, the last gets a pong when it does") {
  LoopFixture loop;
  End end(Role::Server);
  end.open();
  end.connection->maxSendBufferSize = 10;
  end.wire->room = 0;
  end.connection->send("a long message");
  const std::size_t queued = end.connection->getSendBufferQueueSize();
  for (int i = 0; i < 100; ++i) end.connection->arrive(end.frame(0x89, std::to_string(i)));
  CHECK(end.connection->getSendBufferQueueSize() == queued);
  end.wire->room = SIZE_MAX;
  end.connection->settle();
  CHECK(end.sent() == std::vector{message("a long message"), pong("99")});
}

TEST_CASE("websocket session: a peer that answers pings lives") {
  Pair pair;
  pair.server.connection->websocketPingInterval = 0.005;
  pair.client.connection->websocketPingInterval = 0.005;
  pair.open();
  int pongs = 0;
  pair.server.connection->onWebSocketPong = [&] { ++pongs; };
  CHECK(pair.loop.runUntil([&] {
    pair.exchange();
    return pongs >= 5;
  }));
  CHECK(pair.client.journal.starts_with("pong: pong: "));
  CHECK(pair.server.journal == "");
}

TEST_CASE("websocket session: a peer that neither answers nor takes anything is lost") {
  for (const Role role : kRoles) {
    for (const bool isFull : {false, true}) {
      CAPTURE(role);
      CAPTURE(isFull);
      LoopFixture loop;
      End end(role);
      end.connection->websocketPingInterval = 0.005;
      end.connection->websocketPongTimeout = 0.01;
      end.open();
      if (isFull) {
        end.connection->maxSendBufferSize = 10;
        end.wire->room = 0;
      }
      end.wire->isAcknowledged = false;
      end.connection->send(std::string(200, 'x'));
      CHECK(loop.runUntil([&] { return end.isClosed(); }));
      CHECK(end.journal == "goodbye:1006 close ");
      CHECK(end.why == "no pong in time");
      // To one that takes nothing a ping is only more of it.
      CHECK((end.sent().size() > 1) == !isFull);
    }
  }
}

TEST_CASE("websocket session: a slow reader lives as long as it takes something, in front of the ping") {
  for (const Role role : kRoles) {
    for (const bool isFull : {false, true}) {
      CAPTURE(role);
      CAPTURE(isFull);
      LoopFixture loop;
      End end(role);
      end.connection->websocketPingInterval = 0.002;
      end.connection->websocketPongTimeout = 0.002;
      end.open();
      if (isFull) {
        end.connection->maxSendBufferSize = 10;
        end.wire->room = 0;
      }
      end.wire->isAcknowledged = false;
      end.connection->send(std::string(1000, 'x'));
      // The loop turns when a timer has run, which asks whether the peer lives. Each turn finds that it has
      // taken a byte.
      int turns = 0;
      CHECK(loop.runUntil([&] {
        if (isFull) ++end.wire->room;
        end.connection->settle();
        if (end.wire->unacknowledged != 0) --end.wire->unacknowledged;
        return ++turns >= 100;
      }));
      CHECK(end.journal == "");
      CHECK(end.connection->getStatus() == TcpConnection::STATUS_ESTABLISHED);
      CHECK(loop.runUntil([&] { return end.isClosed(); }));
      CHECK(end.why == "no pong in time");
    }
  }
}

TEST_CASE("websocket session: whoever says good-bye first, both hear of it and the server closes") {
  const struct {
    bool byServer;
    int code;
    const char* journalOfFirst;
    const char* journalOfOther;
  } cases[] = {
      {true, 0, "goodbye:1000 close ", "goodbye:1000 close "},
      {false, 0, "goodbye:1000 close ", "goodbye:1000 close "},
      {true, 3000, "goodbye:3000 close ", "goodbye:3000 close "},
      {false, 4999, "goodbye:4999 close ", "goodbye:4999 close "},
  };
  for (const auto& each : cases) {
    CAPTURE(each.byServer);
    CAPTURE(each.code);
    Pair pair;
    pair.open();
    End& first = each.byServer ? pair.server : pair.client;
    End& other = each.byServer ? pair.client : pair.server;
    first.connection->send("last");
    each.code == 0 ? first.connection->close() : first.connection->close(each.code, "enough");
    CHECK(first.connection->getStatus() == TcpConnection::STATUS_CLOSING);
    CHECK(first.connection->send("more") == false);
    pair.exchange();
    CHECK(first.journal == each.journalOfFirst);
    CHECK(other.journal == std::string("message:last ") + each.journalOfOther);
    CHECK(other.why == (each.code == 0 ? "" : "enough"));
    CHECK(pair.server.wire->isClosed);
    CHECK(pair.client.wire->isClosed);
  }
}

TEST_CASE("websocket session: both say good-bye at once") {
  Pair pair;
  pair.open();
  pair.server.connection->close(3001, "server");
  pair.client.connection->close(3002, "client");
  pair.exchange();
  CHECK(pair.server.journal == "goodbye:3002 close ");
  CHECK(pair.client.journal == "goodbye:3001 close ");
}

TEST_CASE("websocket session: a good-bye that is not answered") {
  for (const Role role : kRoles) {
    CAPTURE(role);
    LoopFixture loop;
    End end(role);
    end.open();
    end.connection->websocketCloseTimeout = 0.01;
    end.connection->close();
    CHECK_FALSE(end.isClosed());
    CHECK(loop.runUntil([&] { return end.isClosed(); }));
    CHECK(end.journal == "goodbye:1006 close ");
    CHECK(end.sent() == std::vector{closed(1000)});
  }
}

TEST_CASE("websocket session: a slow reader gets all of what was sent together with the good-bye") {
  for (const Role role : kRoles) {
    CAPTURE(role);
    LoopFixture loop;
    End end(role);
    end.open();
    end.connection->websocketCloseTimeout = 0.005;
    const std::string answer(4000, 'x');
    end.connection->onMessage = [&](const TcpConnectionPtr& connection, std::string_view) {
      connection->send(answer);
      connection->close();
    };
    end.wire->room = 0;
    end.wire->isAcknowledged = false;
    end.connection->arrive(end.frame(0x81, "go"));
    // The loop turns when a timer has run, which asks whether the peer lives.
    CHECK(loop.runUntil([&] {
      end.wire->room += 200;
      end.connection->settle();
      end.wire->unacknowledged = 0;
      return end.isClosed() || end.connection->bufferIsEmpty();
    }));
    CHECK(end.sent() == std::vector{message(answer), closed(1000)});
    end.wire->isInEnded = true;
    end.connection->arrive(end.frame(0x88, std::string("\x03\xe8", 2)));
    CHECK(end.journal == "goodbye:1000 close ");
  }
}

TEST_CASE("websocket session: the good-bye is answered although the application has paused it") {
  LoopFixture loop;
  for (const Role role : kRoles) {
    CAPTURE(role);
    End end(role);
    end.open();
    end.connection->pauseRecv();
    end.connection->arrive(end.frame(0x88, std::string("\x03\xe8", 2)));
    CHECK(end.journal == "");
    end.connection->close();
    end.connection->settle();
    CHECK(end.journal.starts_with("goodbye:1000 "));
  }
}

TEST_CASE("websocket session: the end of the stream without a good-bye, and what breaks the rules") {
  LoopFixture loop;
  for (const Role role : kRoles) {
    CAPTURE(role);
    {
      End end(role);
      end.open();
      end.wire->isInEnded = true;
      end.connection->arrive(end.frame(0x81, "last"));
      CHECK(end.journal == "message:last goodbye:1006 close ");
      CHECK(end.why == "the peer closed the connection");
    }
    End end(role);
    end.open();
    end.connection->arrive(end.frame(0x81, "fine") + end.frame(0x83, "reserved") + end.frame(0x81, "behind"));
    CHECK(end.journal == "message:fine goodbye:1002 ");
    REQUIRE(end.sent().size() == 1);
    CHECK(end.sent()[0].code == 1002);
    CHECK(end.wire->isOutEnded == (role == Role::Server));
    end.wire->isInEnded = true;
    end.connection->settle();
    CHECK(end.journal == "message:fine goodbye:1002 close ");
  }
}

TEST_CASE("websocket session: closing inside every callback") {
  LoopFixture loop;
  for (const Role role : kRoles) {
    for (const std::string callback : {"open", "message", "ping", "pong", "goodbye", "close"}) {
      for (const int way : {0, 1, 2}) {
        CAPTURE(role);
        CAPTURE(callback);
        CAPTURE(way);
        End end(role);
        auto& connection = *end.connection;
        int ran = 0;
        int closes = 0;
        const auto act = [&] {
          ++ran;
          way == 0 ? connection.close() : way == 1 ? connection.end() : connection.destroy();
        };
        connection.onClose = [&] { ++closes; };
        if (callback == "open") connection.onWebSocketConnect = act;
        if (callback == "message") connection.onMessage = act;
        if (callback == "ping") connection.onWebSocketPing = act;
        if (callback == "pong") connection.onWebSocketPong = act;
        if (callback == "goodbye") connection.onWebSocketClose = act;
        if (callback == "close") {
          connection.onClose = [&] {
            ++closes;
            act();
          };
        }
        const std::string greeting = end.greeting();
        connection.arrive(greeting + end.frame(0x81, "text") + end.frame(0x89, "") + end.frame(0x8a, "") +
                          end.frame(0x88, ""));
        end.wire->isInEnded = true;
        connection.settle();
        CHECK(ran == 1);
        CHECK(closes == 1);
        CHECK(end.isClosed());
      }
    }
  }
}
