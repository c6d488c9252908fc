/// The yardstick: ping-pong over bare epoll. Prebuilt masked frames out, frame headers read, nothing checked.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "net.h"
#include "report.h"
#include "wire.h"

namespace {

struct Peer {
  int fd;
  bench::FrameCounter counter;
};

void sendFrame(int fd, const std::string& frame) {
  // One message in flight: the socket's buffer always has room for it.
  if (send(fd, frame.data(), frame.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frame.size())) {
    bench::fail("the socket did not take a whole frame");
  }
}

/// @return false after the last round trip.
bool onReadable(Peer& peer, const std::string& frame, bench::Meter& meter) {
  static uint8_t buffer[65536];
  const ssize_t size = recv(peer.fd, buffer, sizeof buffer, 0);
  if (size <= 0) bench::fail("the server closed");
  if (peer.counter.feed(buffer, static_cast<size_t>(size)) == 0) return true;
  if (!meter.roundTrip()) return false;
  sendFrame(peer.fd, frame);
  return true;
}

void run(int epoll, const std::string& frame, bench::Meter& meter) {
  epoll_event events[1024];
  for (;;) {
    const int ready = epoll_wait(epoll, events, 1024, -1);
    for (int i = 0; i < ready; ++i) {
      if (!onReadable(*static_cast<Peer*>(events[i].data.ptr), frame, meter)) return;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const std::string frame = bench::maskedTextFrame(bench::asciiPayload(options.size));
  bench::Meter meter("epoll", options);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Peer> peers;
  peers.reserve(options.conns);  // epoll keeps pointers into it
  do {
    Peer& peer =
        peers.emplace_back(Peer{bench::openWebSocket(options.port, "/"), bench::FrameCounter(options.size)});
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &peer;
    epoll_ctl(epoll, EPOLL_CTL_ADD, peer.fd, &event);
  } while (!meter.opened());
  for (const Peer& peer : peers) bench::setNonBlocking(peer.fd);
  for (const Peer& peer : peers) sendFrame(peer.fd, frame);
  run(epoll, frame, meter);
  return meter.print();
}
