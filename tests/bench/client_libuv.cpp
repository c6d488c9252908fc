/// A bare libuv TCP client that moves the same bytes: prebuilt masked frames out, as many bytes back as the
/// answer has, and no websocket logic at all after the upgrade. What libuv itself costs.

#include <uv.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#include "report.h"
#include "wire.h"

namespace {

struct Client;

struct Peer {
  explicit Peer(Client& owner, size_t answer) : client(owner), counter(answer) {}
  uv_tcp_t tcp{};
  uv_connect_t connecting{};
  uv_write_t request{};
  Client& client;
  std::string head;  ///< of the handshake's answer, until it is complete
  bool open = false;
  bench::ByteCounter counter;
};

struct Client {
  bench::Options options;
  bench::Meter meter;
  std::string frame;
  std::string upgrade;
  std::vector<std::unique_ptr<Peer>> peers;
  char buffer[65536];
};

void check(int status, const char* what) {
  if (status < 0) bench::fail(std::string(what) + ": " + uv_strerror(status));
}

void sendFrame(Peer& peer) {
  const std::string& frame = peer.client.frame;
  const uv_buf_t bytes = uv_buf_init(const_cast<char*>(frame.data()), static_cast<unsigned>(frame.size()));
  // One message in flight: the socket's buffer always has room for it.
  if (uv_try_write(reinterpret_cast<uv_stream_t*>(&peer.tcp), &bytes, 1) != static_cast<int>(frame.size())) {
    bench::fail("the socket did not take a whole frame");
  }
}

void onHandshakeBytes(Peer& peer, const char* bytes, size_t size) {
  peer.head.append(bytes, size);
  if (peer.head.find("\r\n\r\n") == std::string::npos) return;
  if (!bench::acceptsUpgrade(peer.head)) bench::fail("the upgrade was refused:\n" + peer.head);
  peer.open = true;
  if (!peer.client.meter.opened()) return;
  for (const auto& each : peer.client.peers) sendFrame(*each);
}

void onRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  Peer& peer = *static_cast<Peer*>(stream->data);
  if (size <= 0) {
    check(static_cast<int>(size), "read");
    return;
  }
  if (!peer.open) return onHandshakeBytes(peer, buffer->base, static_cast<size_t>(size));
  const auto* bytes = reinterpret_cast<const uint8_t*>(buffer->base);
  bench::Meter& meter = peer.client.meter;
  if (peer.counter.feed(bytes, static_cast<size_t>(size)) == 0 || meter.finished()) return;
  if (meter.roundTrip()) {
    sendFrame(peer);
  } else {
    uv_stop(stream->loop);
  }
}

void onAlloc(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  Client& client = static_cast<Peer*>(handle->data)->client;
  *buffer = uv_buf_init(client.buffer, sizeof client.buffer);
}

void onConnect(uv_connect_t* request, int status) {
  check(status, "connect");
  Peer& peer = *static_cast<Peer*>(request->data);
  auto* stream = reinterpret_cast<uv_stream_t*>(&peer.tcp);
  check(uv_read_start(stream, onAlloc, onRead), "read");
  const std::string& upgrade = peer.client.upgrade;
  const uv_buf_t bytes =
      uv_buf_init(const_cast<char*>(upgrade.data()), static_cast<unsigned>(upgrade.size()));
  check(uv_write(&peer.request, stream, &bytes, 1, nullptr), "write");
}

void connect(uv_loop_t* loop, Peer& peer) {
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", peer.client.options.port, &address);
  check(uv_tcp_init(loop, &peer.tcp), "init");
  check(uv_tcp_nodelay(&peer.tcp, 1), "nodelay");
  peer.tcp.data = peer.connecting.data = &peer;
  check(uv_tcp_connect(&peer.connecting, &peer.tcp, reinterpret_cast<const sockaddr*>(&address), onConnect),
        "connect");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto options = bench::Options::parse(argc, argv);
  Client client{options,
                bench::Meter("libuv", options),
                bench::maskedTextFrame(bench::asciiPayload(options.size)),
                bench::upgradeRequest(options.port, "/"),
                {},
                {}};
  uint8_t header[10];
  const size_t answer = bench::putHeader(header, 0x80 | bench::kText, options.size) + options.size;
  uv_loop_t loop;
  check(uv_loop_init(&loop), "loop");
  for (unsigned i = 0; i < options.conns; ++i) {
    client.peers.push_back(std::make_unique<Peer>(client, answer));
    connect(&loop, *client.peers.back());
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  return client.meter.print();
}
