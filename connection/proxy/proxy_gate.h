#pragma once

/// Between accept and the connection, where proxies speak first (internal).

#include <cstdint>
#include <list>
#include <string>

#include "../../core/fwd.h"
#include "../../core/loop_timer.h"
#include "../../core/poll_handle.h"
#include "../listen/connection_limits.h"
#include "../socket.h"
#include "trusted_proxies.h"

namespace Workerman::Connection::detail {

/// Who gets the sockets that a ProxyGate lets through.
class ProxyGateClient {
 public:
  /// `peer`: the client's real address. `acceptedAt`: when the socket was
  /// accepted, by the loop's clock. The gate may be destroyed inside.
  virtual void passed(FileDescriptor socket, const SocketAddress& peer, std::uint64_t acceptedAt) = 0;

 protected:
  ~ProxyGateClient() = default;
};

/// Holds each accepted socket until its PROXY header has come, and takes
/// exactly that out of the socket: what follows waits in the kernel for the
/// connection, or for the TLS above it. A worker without proxyProtocol has no
/// gate and pays nothing.
///
/// A peer that is not trusted, a header that is none, and one that is not there
/// within the worker's handshakeTimeout close the socket; that is counted in
/// refusedConnections, and the first of a burst logged.
class ProxyGate {
 public:
  /// @throws std::invalid_argument for an entry of Worker::trustedProxies.
  ProxyGate(Worker& worker, EventLoop& loop, ProxyGateClient& client);

  /// Takes over a socket that was accepted just now. @throws std::system_error
  /// when the system cannot watch it.
  void admit(FileDescriptor socket, const SocketAddress& peer);
  std::size_t waiting() const noexcept { return waiting_.size(); }
  void resume() noexcept { watchAll(Workerman::detail::PollHandle::Readable); }
  /// Lets nobody through until resume(). Time limits go on.
  void pause() noexcept { watchAll(Workerman::detail::PollHandle::None); }

 private:
  struct Waiting {
    Waiting(ProxyGate& owner, FileDescriptor accepted, const SocketAddress& from, std::uint64_t at)
        : gate(owner), socket(std::move(accepted)), peer(from), since(at) {}

    ProxyGate& gate;
    FileDescriptor socket;
    SocketAddress peer;
    std::uint64_t since;  // milliseconds of the loop's clock
    std::string header;
    Workerman::detail::PollHandle poll;
    std::list<Waiting>::iterator self{};
  };

  static void onPoll(void* waiting, int events) noexcept;
  void readHeader(Waiting& waiting);
  void finish(Waiting& waiting, const SocketAddress& source);
  void refuse(const Waiting& waiting, const char* cause);
  void refuse(const SocketAddress& peer, const char* cause);
  void remove(const Waiting& waiting);
  void watchAll(int events) noexcept;
  void startLimit();
  void endOverdue();
  std::uint64_t now() const noexcept;

  Worker& worker_;
  EventLoop& loop_;
  ProxyGateClient& client_;
  TrustedProxies trusted_;
  /// By age. Nodes stay where they are: the poller knows them.
  std::list<Waiting> waiting_;
  Burst refusals_;
  Workerman::detail::LoopTimer limitTimer_;
};

}  // namespace Workerman::Connection::detail
