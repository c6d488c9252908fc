// Whatever a client sends to a websocket:// worker, over a real socket: the worker lives, what it
// answers is an HTTP answer or legal frames, and the connection ends when the client has ended.
// Input: a byte of flags, one that says in what pieces the rest is sent, then what the client sends.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <workerman/workerman.h>

#include "protocols/websocket/frame_codec.h"

using namespace Workerman;
using namespace Workerman::Protocols::detail;

namespace {

constexpr std::string_view kUpgrade =
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

unsigned flags = 0;

void require(bool holds) {
  if (!holds) std::abort();
}

/// The worker; it lives as long as the process.
struct Server {
  uv_loop_t* loop = uv_default_loop();
  Worker worker{"websocket://127.0.0.1:0"};

  Server() {
    worker.onWebSocketConnect = [](auto connection, auto&) {
      connection->websocketDeflate = (flags & 2) != 0;
      if ((flags & 4) != 0) connection->maxPackageSize = 100;
      if ((flags & 64) != 0) connection->close();
    };
    worker.onMessage = [](auto connection, auto data) {
      connection->websocketType = connection->websocketMessageType;
      connection->send(data);
      if ((flags & 8) != 0) connection->pauseRecv(), connection->resumeRecv();
      if ((flags & 16) != 0) connection->close(1000, "enough");
      if ((flags & 32) != 0) connection->destroy();
    };
    Worker::embed(loop);
  }
};

int connectTo(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(::connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

/// True at the end of what the server sends.
bool collect(int fd, std::string& answer) {
  char piece[65536];
  for (;;) {
    const ssize_t got = ::recv(fd, piece, sizeof piece, MSG_DONTWAIT);
    if (got <= 0) return got == 0 || errno != EAGAIN;
    answer.append(piece, static_cast<std::size_t>(got));
  }
}

/// An HTTP head, and behind a 101 nothing but a server's frames; of the last one
/// a part may be missing.
void checkAnswer(std::string_view answer) {
  if (answer.empty()) return;
  const std::size_t end = answer.find("\r\n\r\n");
  require(answer.starts_with("HTTP/1.1 ") && end != std::string_view::npos);
  if (!answer.starts_with("HTTP/1.1 101 ")) return;
  answer.remove_prefix(end + 4);
  bool isClosed = false;
  for (;;) {
    const auto parsed = parseFrameHeader(answer, {.role = Role::Client, .allowRsv1 = (flags & 2) != 0});
    require(parsed.outcome != ParseResult::Outcome::Violation);
    if (parsed.outcome == ParseResult::Outcome::NeedMore) return;
    const std::size_t size = parsed.header.headerSize + parsed.header.payloadLength;
    if (answer.size() < size) return;
    require(!isClosed);
    isClosed = parsed.header.opcode == Opcode::Close;
    answer.remove_prefix(size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* const server = new Server;
  if (size < 2) return 0;
  flags = data[0];
  std::string bytes((flags & 1) != 0 ? kUpgrade : std::string_view());
  bytes.append(reinterpret_cast<const char*>(data) + 2, std::min<std::size_t>(size - 2, 100000));
  const std::size_t piece = data[1] == 0 ? bytes.size() : data[1];
  const int fd = connectTo(server->worker.getListenPort());
  std::string answer;
  bool isOver = false;
  for (std::string_view rest = bytes; !rest.empty() && !isOver;) {
    const ssize_t sent = ::send(fd, rest.data(), std::min(piece, rest.size()), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) rest.remove_prefix(static_cast<std::size_t>(sent));
    uv_run(server->loop, UV_RUN_NOWAIT);
    isOver = collect(fd, answer);
  }
  ::shutdown(fd, SHUT_WR);
  for (int turns = 0; turns < 10000 && (!isOver || server->worker.connections.size() != 0); ++turns) {
    uv_run(server->loop, UV_RUN_NOWAIT);
    isOver = isOver || collect(fd, answer);
  }
  require(isOver && server->worker.connections.empty());
  ::close(fd);
  checkAnswer(answer);
  require(server->worker.getListenPort() != 0);
  return 0;
}
