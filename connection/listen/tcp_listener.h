#pragma once

/// A listening stream socket and what it accepts (internal).

#include <memory>
#include <string>

#include "../../core/fwd.h"
#include "../../core/listener.h"
#include "../../core/own_file.h"
#include "../../core/poll_handle.h"
#include "../protocol.h"
#include "../proxy/proxy_gate.h"
#include "../socket.h"
#include "../tls/tls_context.h"
#include "rest.h"

namespace Workerman::Connection::detail {

/// A unix socket's file, which goes with the socket.
struct SocketFile {
  std::string path;
  /// None: it stays, whoever's it is.
  Workerman::detail::FileId id;
  /// Unless somebody else has bound a socket there since.
  void remove() const noexcept { Workerman::detail::removeIfStill(path.c_str(), id); }
};

class TcpListener final : public Workerman::detail::Listener, private ProxyGateClient {
 public:
  /// Takes over a listening socket. `file`: what to remove at the end.
  /// @throws std::invalid_argument for an entry of Worker::trustedProxies.
  /// `tls`: null for none. `isAdopted`: another process has opened the socket.
  TcpListener(Worker& worker, EventLoop& loop, FileDescriptor socket, SocketFile file,
              const Protocol* protocol, std::shared_ptr<TlsServer> tls, bool isAdopted);
  ~TcpListener() override;

  void resume() override;
  void pause() noexcept override;
  int descriptor() const noexcept override { return socket_.get(); }
  int port() const noexcept override;
  void reloadCertificates() override {
    if (tls_) tls_->renew();
  }

 private:
  static void onPoll(void* self, int events) noexcept;
  void acceptAll(const bool& isGone);
  void askProxy(FileDescriptor socket, const SocketAddress& peer);
  void passed(FileDescriptor socket, const SocketAddress& peer, std::uint64_t acceptedAt) override;
  void takeOver(FileDescriptor socket, const SocketAddress& peer, std::uint64_t acceptedAt);
  void restAWhile(const char* what, int error);

  Worker& worker_;
  EventLoop& loop_;
  FileDescriptor socket_;
  SocketFile file_;
  const Protocol* protocol_;
  std::shared_ptr<TlsServer> tls_;
  /// What was connected before the socket was adopted has not taken over its options. Until it is accepted.
  bool mayLackOptions_;
  Workerman::detail::PollHandle poll_;
  Rest rest_;
  /// Of a worker with proxyProtocol.
  std::unique_ptr<ProxyGate> gate_;
  bool isPaused_ = true;
  /// Set while accepting: becomes true when this is destroyed meanwhile.
  bool* isGone_ = nullptr;
};

}  // namespace Workerman::Connection::detail
