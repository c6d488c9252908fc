/// A bare libuv TCP echo server: what libuv itself costs.

#include <uv.h>

#include <csignal>
#include <string>

#include "report.h"
#include "serve.h"

namespace {

char shared[512 * 1024];  // one receive buffer for all connections

/// What uv_try_write() did not take.
struct Rest {
  uv_write_t request{};
  std::string bytes;
};

void check(int status, const char* what) {
  if (status < 0) bench::fail(std::string(what) + ": " + uv_strerror(status));
}

void closePeer(uv_handle_t* handle) {
  if (uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

void echo(uv_stream_t* stream, char* bytes, size_t size) {
  const uv_buf_t all = uv_buf_init(bytes, static_cast<unsigned>(size));
  const int sent = stream->write_queue_size > 0 ? UV_EAGAIN : uv_try_write(stream, &all, 1);
  if (sent < 0 && sent != UV_EAGAIN) return closePeer(reinterpret_cast<uv_handle_t*>(stream));
  const size_t taken = sent > 0 ? static_cast<size_t>(sent) : 0;
  if (taken == size) return;
  auto* rest = new Rest{{}, std::string(bytes + taken, size - taken)};
  rest->request.data = rest;
  const uv_buf_t left = uv_buf_init(rest->bytes.data(), static_cast<unsigned>(rest->bytes.size()));
  const auto onWritten = [](uv_write_t* request, int) { delete static_cast<Rest*>(request->data); };
  if (uv_write(&rest->request, stream, &left, 1, onWritten) < 0) delete rest;
}

void onAlloc(uv_handle_t*, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(shared, sizeof shared);
}

void onRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  if (size > 0) return echo(stream, buffer->base, static_cast<size_t>(size));
  if (size < 0) closePeer(reinterpret_cast<uv_handle_t*>(stream));
}

void onConnection(uv_stream_t* listener, int status) {
  check(status, "accept");
  auto* peer = new uv_tcp_t;
  check(uv_tcp_init(listener->loop, peer), "init");
  auto* stream = reinterpret_cast<uv_stream_t*>(peer);
  check(uv_accept(listener, stream), "accept");
  uv_tcp_nodelay(peer, 1);
  check(uv_read_start(stream, onAlloc, onRead), "read");
}

uint16_t listenOn(uv_loop_t* loop, uv_tcp_t* listener, uint16_t port) {
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  check(uv_tcp_init(loop, listener), "init");
  check(uv_tcp_bind(listener, reinterpret_cast<const sockaddr*>(&address), 0), "bind");
  check(uv_listen(reinterpret_cast<uv_stream_t*>(listener), 4096, onConnection), "listen");
  int size = sizeof address;
  check(uv_tcp_getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return ntohs(address.sin_port);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto options = bench::ServeOptions::parse(argc, argv, {"tcp"});
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_signal_t terminate;
  check(uv_loop_init(&loop), "loop");
  check(uv_signal_init(&loop, &terminate), "signal");
  const auto onSignal = [](uv_signal_t* handle, int) { uv_stop(handle->loop); };
  check(uv_signal_start(&terminate, onSignal, SIGTERM), "signal");
  bench::announce(listenOn(&loop, &listener, options.port));
  uv_run(&loop, UV_RUN_DEFAULT);
  return 0;
}
