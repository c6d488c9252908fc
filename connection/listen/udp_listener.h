#pragma once

/// The socket of a udp:// worker and the connections that its datagrams make (internal).

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../../core/callback.h"
#include "../../core/fwd.h"
#include "../../core/listener.h"
#include "../../core/poll_handle.h"
#include "../datagram/datagram.h"
#include "../protocol.h"
#include "../socket.h"
#include "rest.h"

namespace Workerman::Connection::detail {

class UdpListener final : public Workerman::detail::Listener {
 public:
  struct Socket;

  /// Takes over a bound datagram socket.
  UdpListener(Worker& worker, EventLoop& loop, FileDescriptor socket, const Protocol* protocol);
  ~UdpListener() override;

  void resume() override;
  void pause() noexcept override;
  int descriptor() const noexcept override;
  int port() const noexcept override;
  void reloadCertificates() override {}

 private:
  /// One that was read but not delivered before a callback paused this.
  struct Waiting {
    SocketAddress peer;
    LocalEnd local;
    std::string bytes;
  };

  static void onPoll(void* self, int events) noexcept;
  void receiveAll(const bool& isGone);
  bool deliverWaiting(const bool& isGone);
  void deliver(const SocketAddress& peer, const LocalEnd& local, std::string_view bytes);
  void watch() noexcept;
  void restAWhile(const char* what, int error) noexcept;

  Worker& worker_;
  EventLoop& loop_;
  std::shared_ptr<Socket> socket_;
  const Protocol* protocol_;
  Workerman::detail::PollHandle poll_;
  Rest rest_;
  std::vector<Waiting> waiting_;
  bool isPaused_ = true;
  /// Set while receiving: becomes true when this is destroyed meanwhile.
  bool* isGone_ = nullptr;
};

}  // namespace Workerman::Connection::detail
