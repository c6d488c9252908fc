#include "connector.h"

#include <array>
#include <cerrno>
#include <system_error>

#include "../../core/event_loop.h"
#include "../../core/exceptions.h"
#include "../names/address.h"

namespace Workerman::Connection::detail {
using Workerman::detail::PollHandle;

namespace {

/// RFC 8305 section 5: the Connection Attempt Delay.
constexpr double kAttemptDelay = 0.25;

/// A port that nobody listens on may be the very one that the kernel gives this end; then TCP's
/// simultaneous open makes the socket its own peer (RFC 9293 section 3.5).
bool isConnectedToItself(int fd) {
  const SocketAddress local = localAddress(fd);
  return local.isSameIp(peerAddress(fd));
}

std::string describe(int error) {
  return std::system_category().message(error);
}

}  // namespace

/// One address being tried.
struct Connector::Attempt {
  Connector& owner;
  FileDescriptor socket;
  PollHandle poll;

  static void onPoll(void* self, int) noexcept {
    auto& attempt = *static_cast<Attempt*>(self);
    const Workerman::detail::DispatchScope scope(attempt.owner.loop_);
    attempt.owner.attemptDone(attempt);
  }
};

Connector::Connector(EventLoop& loop, ConnectorClient& client) : loop_(loop), client_(client), timer_(loop) {}

Connector::~Connector() = default;

void Connector::start(Target target) {
  target_ = std::move(target);
  if (!target_.bindto.empty()) static_cast<void>(SocketAddress::fromLiteralAndPort(target_.bindto));
  if (!target_.unixPath.empty()) {
    addresses_ = {SocketAddress::fromUnixPath(target_.unixPath)};
    return startNext();
  }
  if (const auto literal = SocketAddress::fromLiteral(target_.host, target_.port)) {
    addresses_ = {*literal};
    return startNext();
  }
  resolution_ = resolve(loop_.uvLoop(), target_.host, target_.port,
                        [this](std::vector<SocketAddress> addresses, const std::string& error) {
                          const Workerman::detail::DispatchScope scope(loop_);
                          addresses_ = std::move(addresses);
                          if (addresses_.empty()) return failSoon("cannot look up " + name() + ": " + error);
                          loop_.guarded([this] { startNext(); });
                        });
}

std::string Connector::stage() const {
  switch (stage_) {
    case Stage::LookingUp:
      return "looking up " + name();
    case Stage::Connecting:
      return "connecting to " + whereTo();
    case Stage::AskingProxy:
      break;
  }
  return std::string("waiting for ") + target_.proxy->awaited();
}

/// What is looked up: the proxy's name, if there is one.
std::string Connector::name() const {
  return (target_.proxy ? "the proxy " : "") + target_.host;
}

std::string Connector::whereTo() const {
  if (!target_.unixPath.empty()) return target_.unixPath;
  return (target_.proxy ? "the proxy " : "") + formatAddress(target_.host, target_.port);
}

void Connector::startNext() {
  stage_ = Stage::Connecting;
  while (nextAddress_ < addresses_.size()) {
    if (tryAddress(addresses_[nextAddress_++])) {
      if (nextAddress_ < addresses_.size()) scheduleNext(kAttemptDelay);
      return;
    }
  }
  if (!attempts_.empty()) return;
  failSoon(target_.proxy ? "cannot connect to " + whereTo() + ": " + lastError_ : lastError_);
}

void Connector::scheduleNext(double seconds) {
  const auto onDelay = [](void* self) noexcept {
    auto& connector = *static_cast<Connector*>(self);
    connector.loop_.guarded([&] { connector.startNext(); });
  };
  timer_.start(seconds, onDelay, this);
}

bool Connector::tryAddress(const SocketAddress& address) {
  const auto failed = [&] {
    lastError_ = describe(errno);
    return false;
  };
  FileDescriptor socket(openSocket(address.family(), SOCK_STREAM));
  if (!socket) return failed();
  if (!target_.bindto.empty()) {
    if (bindTo(socket.get(), SocketAddress::fromLiteralAndPort(target_.bindto)) != 0) {
      lastError_ = "cannot bind to " + target_.bindto + ": " + describe(errno);
      return false;
    }
  }
  if (connectTo(socket.get(), address) != 0 && errno != EINPROGRESS) return failed();
  std::unique_ptr<Attempt> attempt(new Attempt{*this, std::move(socket), {}});
  try {
    attempt->poll.open(loop_, attempt->socket.get(), &Attempt::onPoll, attempt.get());
  } catch (const std::exception& e) {
    lastError_ = e.what();
    return false;
  }
  if (const int error = attempt->poll.watch(PollHandle::Writable); error != 0) {
    lastError_ = describe(error);
    return false;
  }
  attempts_.push_back(std::move(attempt));
  return true;
}

void Connector::attemptDone(Attempt& attempt) {
  int error = socketError(attempt.socket.get());
  if (error == 0 && isConnectedToItself(attempt.socket.get())) error = ECONNREFUSED;
  FileDescriptor socket = std::move(attempt.socket);
  attempt.poll.close();
  std::erase_if(attempts_, [&](const auto& each) { return each.get() == &attempt; });
  if (error == 0) {
    resolution_.cancel();
    timer_.stop();
    attempts_.clear();
    return connected(std::move(socket));
  }
  lastError_ = describe(error);
  startNext();
}

void Connector::connected(FileDescriptor socket) {
  if (addresses_.front().isIp()) setTcpOptions(socket.get(), target_.noDelay);
  if (target_.proxy) return talkToProxy(std::move(socket));
  client_.onConnected(std::move(socket), {});
}

void Connector::failSoon(std::string cause) {
  lastError_ = std::move(cause);
  timer_.start(
      0,
      [](void* self) noexcept {
        auto& connector = *static_cast<Connector*>(self);
        const std::string why = connector.lastError_;
        connector.client_.onConnectFailed(why);
      },
      this);
}

// -- the proxy ------------------------------------------------------------------

void Connector::talkToProxy(FileDescriptor socket) {
  stage_ = Stage::AskingProxy;
  proxySocket_ = std::move(socket);
  toProxy_ = target_.proxy->start();
  proxyPoll_.open(loop_, proxySocket_.get(), &Connector::onProxyPoll, this);
  if (sendToProxy()) return;
  proxyFailed(describe(errno));
}

void Connector::proxyFailed(const std::string& cause) {
  proxyPoll_.close();
  failSoon(cause + " while " + stage());
}

/// Sends what waits for the proxy. False: the socket has failed, with errno.
bool Connector::sendToProxy() {
  if (!toProxy_.empty()) {
    const ssize_t sent = sendSome(proxySocket_.get(), toProxy_.data(), toProxy_.size());
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) toProxy_.erase(0, static_cast<std::size_t>(sent));
  }
  errno = proxyPoll_.watch(PollHandle::Readable | (toProxy_.empty() ? 0 : PollHandle::Writable));
  return errno == 0;
}

void Connector::onProxyPoll(void* self, int) noexcept {
  auto& connector = *static_cast<Connector*>(self);
  const Workerman::detail::DispatchScope scope(connector.loop_);
  connector.loop_.guarded([&] { connector.advanceProxy(); });
}

void Connector::advanceProxy() {
  if (!sendToProxy()) return proxyFailed(describe(errno));
  std::array<char, 4096> buffer;
  const ssize_t got = recvSome(proxySocket_.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return proxyFailed(got < 0 ? describe(errno) : "the proxy closed the connection");
  std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
  for (;;) {
    auto step = target_.proxy->feed(piece);
    piece.remove_prefix(step.consumed);
    switch (step.what) {
      case ProxyHandshake::Step::What::NeedMore:
        return;
      case ProxyHandshake::Step::What::Send:
        toProxy_ += step.send;
        if (!sendToProxy()) return proxyFailed(describe(errno));
        break;
      case ProxyHandshake::Step::What::Failed:
        proxyPoll_.close();
        return failSoon(std::move(step.error));
      case ProxyHandshake::Step::What::Done:
        proxyPoll_.close();
        return client_.onConnected(std::move(proxySocket_), std::string(piece));
    }
  }
}

}  // namespace Workerman::Connection::detail
