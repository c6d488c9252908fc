#include "proxy_gate.h"

#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <string_view>
#include <system_error>

#include "../../core/event_loop.h"
#include "../../core/log.h"
#include "../../core/worker.h"
#include "proxy_header.h"

namespace Workerman::Connection::detail {

using Workerman::detail::PollHandle;

namespace {

/// What waits to be received, left where it is; as recv().
ssize_t peek(int fd, char* buffer, std::size_t size) noexcept {
  for (;;) {
    const ssize_t got = ::recv(fd, buffer, size, MSG_PEEK);
    if (got >= 0 || errno != EINTR) return got;
  }
}

}  // namespace

ProxyGate::ProxyGate(Worker& worker, EventLoop& loop, ProxyGateClient& client)
    : worker_(worker), loop_(loop), client_(client), trusted_(worker.trustedProxies), limitTimer_(loop) {}

std::uint64_t ProxyGate::now() const noexcept {
  return uv_now(loop_.uvLoop());
}

void ProxyGate::admit(FileDescriptor socket, const SocketAddress& peer) {
  if (!trusted_.trusts(peer)) return refuse(peer, "it is none of the trustedProxies");
  waiting_.emplace_back(*this, std::move(socket), peer, now());
  Waiting& last = waiting_.back();
  last.self = std::prev(waiting_.end());
  try {
    last.poll.open(loop_, last.socket.get(), &ProxyGate::onPoll, &last);
  } catch (...) {
    waiting_.pop_back();
    throw;
  }
  if (const int error = last.poll.watch(PollHandle::Readable); error != 0) {
    waiting_.pop_back();
    throw std::system_error(error, std::system_category());
  }
  if (!limitTimer_.active()) startLimit();
}

void ProxyGate::onPoll(void* waiting, int) noexcept {
  auto& each = *static_cast<Waiting*>(waiting);
  ProxyGate& gate = each.gate;
  const auto worker = gate.worker_.weak_from_this().lock();
  const Workerman::detail::DispatchScope scope(gate.loop_);
  gate.loop_.guarded([&] { gate.readHeader(each); });
}

void ProxyGate::readHeader(Waiting& waiting) {
  std::array<char, kProxyHeadSize + kLongestProxyBody> piece;
  const std::size_t before = waiting.header.size();
  const ssize_t got = peek(waiting.socket.get(), piece.data(), piece.size() - before);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    // A health check that only knocks; nothing to tell.
    return remove(waiting);
  }
  waiting.header.append(piece.data(), static_cast<std::size_t>(got));
  const ProxyHeader parsed = parseProxyHeader(waiting.header);
  if (parsed.what == ProxyHeader::What::Bad) {
    return refuse(waiting, ("its PROXY header is not accepted: " + std::string(parsed.error)).c_str());
  }
  // All of it was seen just now, so all of it is there.
  if (recvSome(waiting.socket.get(), piece.data(), parsed.size - before) < 0) return remove(waiting);
  if (parsed.what == ProxyHeader::What::Whole) finish(waiting, parsed.source.value_or(waiting.peer));
}

void ProxyGate::finish(Waiting& waiting, const SocketAddress& source) {
  const std::uint64_t since = waiting.since;
  FileDescriptor socket = std::move(waiting.socket);
  remove(waiting);
  client_.passed(std::move(socket), source, since);
}

void ProxyGate::refuse(const Waiting& waiting, const char* cause) {
  refuse(waiting.peer, cause);
  remove(waiting);
}

void ProxyGate::refuse(const SocketAddress& peer, const char* cause) {
  ++worker_.refusedConnections;
  if (!refusals_.begins(now())) return;
  Workerman::detail::log("worker " + worker_.name + " (" + worker_.getSocketName() + "): a connection from " +
                         (peer.isIp() ? peer.ip() : "a unix socket") + " is refused, " + cause +
                         "; more refusals are only counted");
}

void ProxyGate::remove(const Waiting& waiting) {
  waiting_.erase(waiting.self);
}

void ProxyGate::watchAll(int events) noexcept {
  for (auto each = waiting_.begin(); each != waiting_.end();) {
    Waiting& waiting = *each++;
    if (const int error = waiting.poll.watch(events); error != 0)
      loop_.guarded([&] { refuse(waiting, std::system_category().message(error).c_str()); });
  }
}

// -- how long -----------------------------------------------------------------------

void ProxyGate::startLimit() {
  if (waiting_.empty() || !(worker_.handshakeTimeout > 0)) return;
  const double age = static_cast<double>(now() - waiting_.front().since) / 1000;
  const auto onLimit = [](void* self) noexcept {
    auto& gate = *static_cast<ProxyGate*>(self);
    gate.loop_.guarded([&] { gate.endOverdue(); });
  };
  limitTimer_.start(std::max(worker_.handshakeTimeout - age, 0.001), onLimit, this);
}

void ProxyGate::endOverdue() {
  const double limit = worker_.handshakeTimeout;
  while (!waiting_.empty() && limit > 0 &&
         static_cast<double>(now() - waiting_.front().since) >= limit * 1000) {
    refuse(waiting_.front(), "its PROXY header took longer than handshakeTimeout");
  }
  startLimit();
}

}  // namespace Workerman::Connection::detail
