#pragma once

/// From a host and a port to a connected socket (internal).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../../core/loop_timer.h"
#include "../../core/poll_handle.h"
#include "../names/resolver.h"
#include "../proxy/proxy.h"
#include "../socket.h"
#include "connector_client.h"

namespace Workerman::Connection::detail {

/// Looks the name up, tries its addresses, and talks to the proxy if there is
/// one. All addresses are tried, the next one a quarter of a second after the
/// last or as soon as it has failed; the first that answers wins.
/// @see RFC 8305
class Connector {
 public:
  struct Target {
    std::string host;
    std::uint16_t port = 0;
    /// A unix socket instead of host and port.
    std::string unixPath{};
    /// The local end, "ip:port"; empty for any.
    std::string bindto{};
    /// What to say first, when host and port are a proxy's.
    std::optional<ProxyHandshake> proxy{};
    bool noDelay = true;
  };

  Connector(EventLoop& loop, ConnectorClient& client);
  ~Connector();

  /// @throws std::invalid_argument for a bad `bindto` or unix path.
  void start(Target target);
  /// What is being waited for, for the message of a time limit: "connecting to 127.0.0.1:80".
  std::string stage() const;

 private:
  struct Attempt;
  enum class Stage { LookingUp, Connecting, AskingProxy };

  void startNext();
  bool tryAddress(const SocketAddress& address);
  void scheduleNext(double seconds);
  void attemptDone(Attempt& attempt);
  void connected(FileDescriptor socket);
  void failSoon(std::string cause);
  void proxyFailed(const std::string& cause);
  std::string name() const;
  std::string whereTo() const;
  void talkToProxy(FileDescriptor socket);
  void advanceProxy();
  bool sendToProxy();
  static void onProxyPoll(void* self, int events) noexcept;

  EventLoop& loop_;
  ConnectorClient& client_;
  Target target_;
  Stage stage_ = Stage::LookingUp;
  Resolution resolution_;
  std::vector<SocketAddress> addresses_;
  std::size_t nextAddress_ = 0;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::string lastError_;
  Workerman::detail::LoopTimer timer_;
  FileDescriptor proxySocket_;
  Workerman::detail::PollHandle proxyPoll_;
  std::string toProxy_;
};

}  // namespace Workerman::Connection::detail
