/// loadgen's echo modes, in which every connection keeps `depth` messages in flight, and broadcast, in which
/// one connection sends and all receive.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "loadgen.h"
#include "net.h"
#include "report.h"
#include "tls.h"
#include "wire.h"

namespace bench {
namespace {

/// TCP without TLS.
class PlainSocket {
 public:
  explicit PlainSocket(int fd) : fd_(fd) {}
  int fd() const { return fd_; }
  ssize_t send(const char* bytes, size_t size) { return ::send(fd_, bytes, size, MSG_NOSIGNAL); }
  ssize_t receive(uint8_t* to, size_t size) { return recv(fd_, to, size, 0); }
  bool flush() { return true; }

 private:
  int fd_;
};

template <class Counter, class Socket>
struct Peer {
  Socket socket;
  Counter counter;
  size_t pending = 0;   ///< bytes still to be written
  size_t position = 0;  ///< where in a message the next of them is
  bool waitsForRoom = false;
};

/// Sends copies of one message and counts the answers.
template <class Counter, class Socket = PlainSocket>
class EchoLoad {
 public:
  EchoLoad(const Load& load, const char* mode, const std::string& message, size_t answer)
      : load_(load), mode_(mode), messageSize_(message.size()), answer_(answer), epoll_(epoll_create1(0)) {
    for (unsigned i = 0; i < load.depth; ++i) burst_ += message;
    buffer_.resize(size_t{1} << 18);
    peers_.reserve(load.conns);  // epoll keeps pointers into it
  }

  template <class Open>
  void run(Open open) {
    for (unsigned i = 0; i < load_.conns; ++i) add(open());
    if (load_.count > 0) budget_ = (load_.warmup + load_.count) / (load_.broadcast ? load_.conns : 1);
    if (load_.broadcast) {
      postRound();
    } else {
      for (auto& peer : peers_) post(peer, load_.depth);
    }
    pump(load_.warmup, load_.warmup > 0 || load_.count > 0 ? 0 : wallSeconds() + 0.3);
    measure();
  }

 private:
  using PeerType = Peer<Counter, Socket>;

  void add(Socket socket) {
    setNonBlocking(socket.fd());
    peers_.push_back(PeerType{std::move(socket), Counter(answer_)});
    watch(peers_.back(), EPOLL_CTL_ADD);
  }

  void watch(PeerType& peer, int operation) {
    epoll_event event{};
    event.events = EPOLLIN | (peer.waitsForRoom ? EPOLLOUT : 0u);
    event.data.ptr = &peer;
    epoll_ctl(epoll_, operation, peer.socket.fd(), &event);
  }

  void waitForRoom(PeerType& peer, bool wait) {
    if (peer.waitsForRoom == wait) return;
    peer.waitsForRoom = wait;
    watch(peer, EPOLL_CTL_MOD);
  }

  void post(PeerType& peer, uint64_t messages) {
    messages = std::min(messages, budget_);
    budget_ -= messages;
    peer.pending += messages * messageSize_;
    if (messages > 0) flush(peer);
  }

  /// Broadcast: `depth` messages for all, from the first connection.
  void postRound() {
    roundEnd_ = done_ + uint64_t{load_.depth} * peers_.size();
    post(peers_.front(), load_.depth);
  }

  void flush(PeerType& peer) {
    while (peer.pending > 0) {
      const size_t size = std::min(peer.pending, burst_.size() - peer.position);
      const ssize_t sent = peer.socket.send(burst_.data() + peer.position, size);
      if (sent < 0 && errno != EAGAIN) fail(std::string("send: ") + std::strerror(errno));
      if (sent > 0) {
        peer.position = (peer.position + static_cast<size_t>(sent)) % messageSize_;
        peer.pending -= static_cast<size_t>(sent);
      }
      if (sent < static_cast<ssize_t>(size)) return waitForRoom(peer, true);
    }
    waitForRoom(peer, !peer.socket.flush());
  }

  void receive(PeerType& peer) {
    const ssize_t size = peer.socket.receive(buffer_.data(), buffer_.size());
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) fail("the server closed");
    const unsigned answers = peer.counter.feed(buffer_.data(), static_cast<size_t>(size));
    done_ += answers;
    if (!load_.broadcast) {
      post(peer, answers);
    } else if (answers > 0 && done_ == roundEnd_) {
      postRound();
    }
  }

  /// Runs until `target` answers are in (0: for ever) or until `deadline` (0: none).
  void pump(uint64_t target, double deadline) {
    if (target == 0 && deadline == 0) return;
    epoll_event events[1024];
    for (unsigned turn = 1; target == 0 || done_ < target; ++turn) {
      const int ready = epoll_wait(epoll_, events, 1024, 1000);
      for (int i = 0; i < ready; ++i) {
        PeerType& peer = *static_cast<PeerType*>(events[i].data.ptr);
        if (events[i].events & EPOLLOUT) flush(peer);
        if (events[i].events & ~unsigned{EPOLLOUT}) receive(peer);
      }
      if (deadline > 0 && (turn % 16 == 0 || ready == 0) && wallSeconds() >= deadline) return;
    }
  }

  void measure() {
    const uint64_t before = done_;
    const double server = load_.pid ? cpuOf(load_.pid) : 0;
    const double cpu = cpuSeconds();
    const double start = wallSeconds();
    pump(load_.count > 0 ? load_.warmup + load_.count : 0, load_.count > 0 ? 0 : start + load_.seconds);
    const double wall = wallSeconds() - start;
    const double own = cpuSeconds() - cpu;
    const double theirs = load_.pid ? cpuOf(load_.pid) - server : 0;
    const double messages = static_cast<double>(done_ - before);
    std::printf(
        "mode=%s conns=%u size=%zu depth=%u count=%.0f seconds=%.3f msg_per_s=%.0f gen_us=%.3f "
        "gen_busy=%.0f%%",
        mode_, load_.conns, load_.size, load_.depth, messages, wall, messages / wall, own / messages * 1e6,
        own / wall * 100);
    if (load_.pid) std::printf(" srv_us=%.3f srv_busy=%.0f%%", theirs / messages * 1e6, theirs / wall * 100);
    std::printf("\n");
  }

  const Load& load_;
  const char* mode_;
  size_t messageSize_;
  size_t answer_;
  int epoll_;
  std::string burst_;  ///< `depth` messages, so that all of them can leave in one call
  std::vector<uint8_t> buffer_;
  std::vector<PeerType> peers_;
  uint64_t done_ = 0;
  uint64_t roundEnd_ = 0;
  uint64_t budget_ = UINT64_MAX;  ///< messages that may still be sent
};

/// One request, to learn how many bytes each answer has: all must have the same length.
size_t probeHttp(uint16_t port, const std::string& request) {
  const int fd = connectTo(port);
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) fail("the server closed");
  usleep(300000);
  std::vector<char> answer(1 << 20);
  const ssize_t size = recv(fd, answer.data(), answer.size(), 0);
  close(fd);
  if (size < 12 || std::string_view(answer.data(), 12) != "HTTP/1.1 200") fail("the answer is not 200");
  return static_cast<size_t>(size);
}

}  // namespace

void loadWebSocketEcho(const Load& load) {
  EchoLoad<FrameCounter> echo(load, "ws-echo", maskedTextFrame(asciiPayload(load.size)), load.size);
  echo.run([&load] { return PlainSocket(openWebSocket(load.port, load.path)); });
}

void loadSecureEcho(const Load& load) {
  EchoLoad<FrameCounter, TlsSocket> echo(load, "wss-echo", maskedTextFrame(asciiPayload(load.size)),
                                         load.size);
  echo.run([&load] { return TlsSocket::openWebSocket(load.port, load.path); });
}

void loadBroadcast(const Load& load) {
  Load all = load;
  all.broadcast = true;
  EchoLoad<FrameCounter> echo(all, "broadcast", maskedTextFrame(asciiPayload(load.size)), load.size);
  echo.run([&load] { return PlainSocket(openWebSocket(load.port, load.path)); });
}

void loadTcpEcho(const Load& load) {
  EchoLoad<ByteCounter> echo(load, "tcp-echo", asciiPayload(load.size), load.size);
  echo.run([&load] { return PlainSocket(connectTo(load.port)); });
}

void loadHttp(const Load& load) {
  const std::string request =
      "GET " + load.path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(load.port) + "\r\n\r\n";
  EchoLoad<ByteCounter> echo(load, "http-get", request, probeHttp(load.port, request));
  echo.run([&load] { return PlainSocket(connectTo(load.port)); });
}

}  // namespace bench
