/// Bare epoll: the fixed server that the clients are measured against, and the limit for our own servers.
/// It validates nothing: no example.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <unordered_set>

#include "net.h"
#include "report.h"
#include "serve.h"
#include "wire.h"

namespace {

using bench::Serve;

/// Growing bytes that are never zeroed.
struct Bytes {
  std::unique_ptr<uint8_t[]> data;
  size_t size = 0;
  size_t capacity = 0;

  void reserve(size_t wanted) {
    if (wanted <= capacity) return;
    std::unique_ptr<uint8_t[]> grown(new uint8_t[wanted * 2]);
    if (size > 0) std::memcpy(grown.get(), data.get(), size);
    data = std::move(grown);
    capacity = wanted * 2;
  }
  void append(const uint8_t* bytes, size_t count) {
    reserve(size + count);
    std::memcpy(data.get() + size, bytes, count);
    size += count;
  }
  /// Makes `count` bytes at `bytes`, which may lie inside, the whole content.
  void assign(const uint8_t* bytes, size_t count) {
    if (data == nullptr || bytes < data.get() || bytes >= data.get() + capacity) {
      size = 0;
      return append(bytes, count);
    }
    std::memmove(data.get(), bytes, count);
    size = count;
  }
  void release() { *this = Bytes(); }
};

struct Peer {
  int fd;
  bool open;  ///< the upgrade is done, or none is needed
  Bytes in;   ///< of an incomplete frame
  Bytes out;
  size_t sent = 0;  ///< of `out`
};

void unmask(uint8_t* payload, uint64_t size, const uint8_t* mask) {
  uint32_t word;
  std::memcpy(&word, mask, 4);
  const uint64_t twice = uint64_t{word} << 32 | word;
  uint64_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, payload + i, 8);
    eight ^= twice;
    std::memcpy(payload + i, &eight, 8);
  }
  for (; i < size; ++i) payload[i] ^= mask[i % 4];
}

class Server {
 public:
  Server(Serve what, uint16_t port) : what_(what), epoll_(epoll_create1(0)) {
    listener_ = bench::listenOn(port);
    watch(listener_, &listener_, EPOLLIN, EPOLL_CTL_ADD);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = signalfd(-1, &set, 0);
    watch(signals_, &signals_, EPOLLIN, EPOLL_CTL_ADD);
    bench::announce(port);
  }

  void run() {
    epoll_event events[1024];
    while (!stopped_) {
      const int ready = epoll_wait(epoll_, events, 1024, -1);
      for (int i = 0; i < ready; ++i) {
        void* const what = events[i].data.ptr;
        if (what == &listener_) {
          acceptAll();
        } else if (what == &signals_) {
          stopped_ = true;
        } else {
          onEvents(static_cast<Peer*>(what), events[i].events);
        }
      }
    }
  }

 private:
  void watch(int fd, void* what, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = what;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void acceptAll() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      const int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      watch(fd, new Peer{fd, what_ == Serve::kTcp, {}, {}}, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  void onEvents(Peer* peer, uint32_t events) {
    if (events & EPOLLOUT) {
      flush(peer);
      if (peer->out.size == 0) watch(peer->fd, peer, EPOLLIN, EPOLL_CTL_MOD);
    }
    if ((events & ~uint32_t{EPOLLOUT}) == 0) return;
    const bool alive = what_ != Serve::kTcp ? receiveFrames(peer) : receiveBytes(peer);
    if (alive) return;
    all_.erase(peer);
    close(peer->fd);
    delete peer;
  }

  void flush(Peer* peer) {
    Bytes& out = peer->out;
    while (peer->sent < out.size) {
      const ssize_t size = send(peer->fd, out.data.get() + peer->sent, out.size - peer->sent, MSG_NOSIGNAL);
      if (size < 0) return watch(peer->fd, peer, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
      peer->sent += static_cast<size_t>(size);
    }
    peer->sent = out.size = 0;
  }

  /// @return false at the end of the connection; so do the next two.
  bool receiveBytes(Peer* peer) {
    const ssize_t size = recv(peer->fd, shared_, sizeof shared_, 0);
    if (size <= 0) return size < 0 && errno == EAGAIN;
    ssize_t sent = 0;
    if (peer->out.size == 0)
      sent = std::max<ssize_t>(0, send(peer->fd, shared_, static_cast<size_t>(size), MSG_NOSIGNAL));
    if (sent == size) return true;
    peer->out.append(shared_ + sent, static_cast<size_t>(size - sent));
    flush(peer);
    return true;
  }

  bool receiveFrames(Peer* peer) {
    Bytes& in = peer->in;
    uint8_t* bytes = shared_;
    size_t room = sizeof shared_;
    if (in.size > 0) {  // go on where the incomplete frame ended
      in.reserve(in.size + 65536);
      bytes = in.data.get();
      room = in.capacity;
    }
    const ssize_t got = recv(peer->fd, bytes + in.size, room - in.size, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    const size_t size = in.size + static_cast<size_t>(got);
    size_t used = 0;
    if (!peer->open && !upgrade(peer, {reinterpret_cast<char*>(bytes), size}, used)) return false;
    while (peer->open) {
      const size_t frame = echoFrame(peer, bytes + used, size - used);
      if (frame == 0) break;
      used += frame;
    }
    if (peer->out.size > 0) flush(peer);
    for (Peer* const each : all_) {
      if (each->out.size > 0) flush(each);
    }
    if (used < size) {
      in.assign(bytes + used, size - used);
    } else {
      in.release();
    }
    return true;
  }

  bool upgrade(Peer* peer, std::string_view bytes, size_t& used) {
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return true;
    constexpr std::string_view kName = "\r\nSec-WebSocket-Key:";
    for (size_t line = bytes.find("\r\n"); line < end; line = bytes.find("\r\n", line + 2)) {
      if (strncasecmp(bytes.data() + line, kName.data(), kName.size()) != 0) continue;
      const size_t first = bytes.find_first_not_of(' ', line + kName.size());
      const std::string key(bytes.substr(first, bytes.find_first_of(" \r", first) - first));
      const std::string answer =
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: " +
          bench::acceptKey(key) + "\r\n\r\n";
      peer->out.append(reinterpret_cast<const uint8_t*>(answer.data()), answer.size());
      peer->open = true;
      if (what_ == Serve::kBroadcast) all_.insert(peer);
      used = end + 4;
      return true;
    }
    return false;
  }

  /// Answers one masked frame, or passes it on. @return its bytes, 0 if it is not complete.
  size_t echoFrame(Peer* peer, uint8_t* frame, size_t size) {
    if (size < 2) return 0;
    const size_t header = bench::headerSize(frame[1]);
    if (size < header + 4) return 0;
    const uint64_t payload = bench::payloadSize(frame);
    if (size < header + 4 + payload) return 0;
    uint8_t* const bytes = frame + header + 4;
    unmask(bytes, payload, frame + header);
    const uint8_t opcode = frame[0] & 15;
    if (opcode < bench::kClose && what_ == Serve::kBroadcast) {
      for (Peer* const each : all_) putFrame(each, frame[0], bytes, payload);
    } else if (opcode != bench::kPong) {
      putFrame(peer, opcode == bench::kPing ? 0x80 | bench::kPong : frame[0], bytes, payload);
    }
    if (opcode == bench::kClose) {
      flush(peer);
      shutdown(peer->fd, SHUT_WR);
      peer->open = false;
    }
    return header + 4 + payload;
  }

  static void putFrame(Peer* peer, uint8_t first, const uint8_t* payload, uint64_t size) {
    uint8_t header[10];
    peer->out.append(header, bench::putHeader(header, first, size));
    peer->out.append(payload, size);
  }

  Serve what_;
  int epoll_;
  int listener_ = -1;
  int signals_ = -1;
  bool stopped_ = false;
  std::unordered_set<Peer*> all_;  ///< broadcast: those that are upgraded
  uint8_t shared_[512 * 1024];     ///< one receive buffer for all connections
};

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::ServeOptions::parse(argc, argv, {"ws", "tcp", "broadcast"});
  std::make_unique<Server>(options.what, options.port)->run();
  return 0;
}
