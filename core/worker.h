#pragma once

/// A worker: the callbacks of one service, and the process-wide controls.

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "callback.h"
#include "connection_callbacks.h"
#include "connection_view.h"
#include "event_loop.h"
#include "fwd.h"
#include "message.h"
#include "post_queue.h"
#include "seconds.h"
#include "socket_context.h"
#include "topic_bridge.h"

namespace Workerman {

namespace detail {
class ConnectionLimitsBase;
class Listener;
class OpenSocket;
class Runtime;
class Topics;
}  // namespace detail

/// @see Workerman manual: worker
///
/// Made on the stack of `main` (then it outlives runAll()), or in a callback
/// with std::make_shared, when the framework keeps it while it listens or has
/// connections. Belongs to the thread that made it.
class Worker : public std::enable_shared_from_this<Worker>, public ConnectionCallbacks<detail::WorkerSlots> {
 public:
  static constexpr const char* VERSION = "5.2.2";
  static constexpr int STATUS_INITIAL = 0;
  static constexpr int STATUS_STARTING = 1;
  static constexpr int STATUS_RUNNING = 2;
  static constexpr int STATUS_SHUTDOWN = 4;
  static constexpr int STATUS_RELOADING = 8;
  static constexpr int DEFAULT_BACKLOG = 102400;

  /// `socketName`: "text://0.0.0.0:5678", "unix:///run/app.sock", … or empty
  /// for a worker that only runs callbacks. Nothing is opened before it runs.
  explicit Worker(std::string socketName = {}, SocketContext socketContext = {});
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// The number of this worker's process, from 0.
  int id = 0;
  std::string name = "none";
  /// How many processes serve it with runAll(). Embedded it counts as 1.
  int count = 1;
  /// Lets several sockets listen on one address (SO_REUSEPORT).
  bool reusePort = false;
  /// False: a reload runs onWorkerReload, but leaves its processes alone.
  bool reloadable = true;
  /// Whose rights its processes have; empty: those of who starts the program. Others need root.
  std::string user;
  /// Empty: the user's own.
  std::string group;
  /// tcp, udp, unix or ssl; set by the scheme of the socket's name.
  std::string transport = "tcp";
  /// The scheme of a registered protocol; set by the scheme of the socket's name.
  std::string protocol;
  /// What it has accepted and not yet closed, by id.
  const ConnectionView connections{this};
  bool stopping = false;

  /// @name Limits
  /// Not in Workerman. Each may be assigned at any time: a new value counts from
  /// the next connection that is accepted, or the next look at those there are.
  /// @{
  /// Connections at once, those that are closing included; 0: no limit. One too
  /// many is accepted and closed at once: no callback runs, `refusedConnections`
  /// counts it, and the first of a burst is logged.
  std::size_t maxConnections = 0;
  /// The same for connections from one IP address; 0: no limit. IPv6 addresses
  /// count one by one, not by network; unix sockets have none and are not limited.
  std::size_t maxConnectionsPerIp = 0;
  /// Seconds without a byte in either direction, after which a connection ends;
  /// 0: never. Looked at four times in that span, so it may take a quarter
  /// longer. An open websocket is closed with 1001 (its pings and pongs are
  /// bytes as well), anything else is destroyed.
  Seconds idleTimeout{0};
  /// Seconds from accept until a proxy's header is there and a websocket's
  /// opening handshake done, however many bytes come meanwhile; then a websocket
  /// gets onError(CONNECT_FAIL), is answered with 408 and closed. 0: no limit.
  Seconds handshakeTimeout{30};
  /// How many connections the limits, and proxyProtocol, have turned away so far.
  std::uint64_t refusedConnections = 0;
  /// @}

  /// @name Behind proxies. Not in Workerman.
  /// Set before it listens.
  /// @{
  /// True: every connection begins with a header of the PROXY protocol, version
  /// 1 or 2, as `send-proxy` of HAProxy or `proxy_protocol` of nginx sends it,
  /// below TLS and whatever the worker's protocol is. Then getRemoteIp(),
  /// getRemotePort() and getRemoteAddress() are the client's, and
  /// maxConnectionsPerIp counts clients; where the proxy speaks for itself (LOCAL,
  /// UNKNOWN) they are the proxy's. onConnect waits for the header.
  ///
  /// A connection from elsewhere than trustedProxies, one without a header or
  /// with a malformed one, and one whose header takes longer than
  /// handshakeTimeout are closed: no callback runs, refusedConnections counts
  /// them, and the first of a burst is logged with the reason.
  /// @see https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt
  bool proxyProtocol = false;
  /// Whose headers are believed: IP addresses and networks, {"10.0.0.0/8", "::1"};
  /// "unix" for whoever connects to a unix socket. With proxyProtocol it must not
  /// be empty, and an entry that is none of these is refused when listening.
  std::vector<std::string> trustedProxies;
  /// @}

  /// @name Callbacks
  /// A connection takes them as they are when it is accepted.
  /// @{
  WorkerCallback onWorkerStart;
  WorkerCallback onWorkerStop;
  /// In each of its processes, when the program is told to reload.
  WorkerCallback onWorkerReload;
  /// @}

  /// @name Topics. Not in Workerman.
  /// One message to many connections of this worker, encoded (and compressed)
  /// once. What is published in one callback leaves when that returns, for each
  /// connection in one write and in the order of the calls; a connection whose
  /// send buffer is full is told by its onError, as with send().
  /// @{
  /// Sends `data` to the connections that have subscribed to `topic`, and to
  /// the topicBridge. Gives the number of the former. The views are needed
  /// during the call only.
  /// @see TcpConnection::subscribe()
  std::size_t publish(std::string_view topic, std::string_view data) {
    return publishMessage(topic, Message::of(data), true);
  }
  /// The same for a value that the worker's protocol encodes. Where that is no
  /// text it leaves at once, and the bridge does not get it.
  /// @throws std::invalid_argument if the protocol has no encoding for it.
  template <class T>
  requires(std::is_class_v<T> && !std::is_convertible_v<const T&, std::string_view>) std::size_t
      publish(std::string_view topic, const T& value) {
    return publishMessage(topic, Message::of(value), true);
  }
  /// As publish(), but not to the bridge: for what a bridge has received.
  std::size_t publishHere(std::string_view topic, std::string_view data) {
    return publishMessage(topic, Message::of(data), false);
  }
  /// Sends `data` to all connections of this worker, at once, and gives their
  /// number.
  std::size_t broadcast(std::string_view data) { return broadcastMessage(Message::of(data)); }
  template <class T>
  requires(std::is_class_v<T> && !std::is_convertible_v<const T&, std::string_view>) std::size_t
      broadcast(const T& value) {
    return broadcastMessage(Message::of(value));
  }
  /// What links the topics of this process to those of others.
  std::shared_ptr<TopicBridge> topicBridge;
  /// @}

  /// Opens the socket; for a worker made while others run. `autoAccept` false:
  /// nothing is accepted until resumeAccept(). Does nothing without a socket
  /// name, and while everything is being stopped.
  /// @throws std::runtime_error naming the address and the cause.
  void listen(bool autoAccept = true);
  /// Closes the socket; connections stay.
  void unlisten() noexcept;
  void pauseAccept() noexcept;
  void resumeAccept();
  /// Reads the certificates and keys of a TLS worker anew, for the connections
  /// that are to come; nobody is dropped. `reload` does it by itself. Not in
  /// Workerman. @throws std::runtime_error; then those read before are used further.
  void reloadCertificates();
  /// Stops this worker: onWorkerStop, then the socket, then its connections,
  /// without good-byes if `force`.
  void stop(bool force = true);

  /// The name given to the constructor, or "none".
  std::string getSocketName() const { return socketName_.empty() ? "none" : socketName_; }
  /// The listening descriptor, -1 if there is none.
  int getMainSocket() const noexcept;
  /// The port it listens on, also where 0 was asked for; 0 if it does not.
  int getListenPort() const noexcept;

  // -- the process and the thread ---------------------------------------------

  /// This thread's loop; null before runAll() or embed() and after the end.
  static constinit thread_local EventLoop* globalEvent;
  /// As a daemon, in the background, as `start -d` does.
  static inline bool daemonize = false;
  /// What a daemon prints is added here.
  static inline std::string stdoutFile = "/dev/null";
  /// Locked by the master while it runs; empty: "workerman.NAME.pid" beside the program.
  static inline std::string pidFile;
  /// What `status` and, with ".connection" added to the name, `connections`
  /// show passes through here; empty: "workerman.NAME.status" beside the program.
  static inline std::string statusFile;
  /// Log lines are added here; empty: "workerman.log" beside the program.
  static inline std::string logFile;
  /// Bytes; past it the older half of the log file goes. 0: no limit.
  static inline std::uint64_t logFileMaxSize = 10 * 1024 * 1024;
  /// Seconds that a stop may take before what is left is cut off. A process that
  /// does not even come to that is killed a second later, with a log line.
  ///
  /// A reload gives the connections of a process that long to finish by
  /// themselves, and stops what is left as above, with a log line that counts it.
  /// A process with connections that stay open, idle ones too, is thus replaced
  /// after this time; a websocket is told good-bye (1001) as soon as nothing is
  /// under way on it.
  static inline Seconds stopTimeout{2};
  /// How long connections may finish by themselves in a graceful stop or reload,
  /// before they are stopped as above. Not in Workerman, where it may take for
  /// ever.
  static inline Seconds gracefulStopTimeout{30};
  /// Seconds that a new binary of the program has, at a reload, to come as far as
  /// runAll() in a child process that tries it. Longer, and the old one stays.
  static inline Seconds upgradeTimeout{10};
  /// Words that count as further arguments of the program.
  static inline std::string command;
  /// What safeEcho() writes to; null: standard output. Needed as long as it is set.
  static inline std::ostream* outputStream = nullptr;

  /// @name In the master process, which has no loop and no connection
  /// @{
  /// A process of a worker has ended: the worker, the raw wait status (250 shows
  /// as 64000, SIGKILL as 9), its process id.
  static inline WorkerExitCallback onWorkerExit;
  /// Before the workers are told to reload. May raise their `count`.
  static inline MasterCallback onMasterReload;
  /// All processes have ended, and so will this one.
  static inline MasterCallback onMasterStop;
  /// @}

  /// Runs the workers of this thread as the command line says: a master process
  /// that opens their sockets and has `count` processes for each of them, which
  /// it replaces when they end. Does not return, in no process: ends with
  /// exit(status), 0 after a stop by signal.
  [[noreturn]] static void runAll();
  [[noreturn]] static void runAll(int argc, char** argv);

  /// Starts this thread's workers on a loop of the host, which runs it; null:
  /// on a loop of their own, see runLoop(). Touches no signal, file or
  /// argument, and may be called again after a stop. What a worker cannot do
  /// (listening) is thrown, with everything stopped again.
  /// @throws std::logic_error when this thread's workers run already.
  static void embed(uv_loop_t* loop = nullptr);
  /// Blocks until stopAll(); gives its status. @throws std::logic_error without
  /// embed() before, or when the loop is the host's.
  static int runLoop();
  /// Stops all workers and connections of this thread: onWorkerStop first, then
  /// the connections with good-byes, all within stopTimeout. `code` becomes the
  /// exit status; `log` is logged with a code other than 0. In a worker's process
  /// the master starts a new one; in the master it ends the program.
  static void stopAll(int code = 0, std::string_view log = {});
  /// Hands `fn` to the thread that runs `loop`: the one call that is
  /// thread-safe. False once there is nobody to run it.
  template <class F>
  static bool post(uv_loop_t* loop, F&& fn) {
    return detail::post(loop, std::forward<F>(fn));
  }

  /// This thread's workers.
  static const std::vector<Worker*>& getAllWorkers() noexcept;
  /// As globalEvent. @throws std::runtime_error when there is none yet.
  static EventLoop* getEventLoop();
  /// One of STATUS_*, of this thread.
  static int getStatus() noexcept;
  static bool isRunning() noexcept { return getStatus() != STATUS_INITIAL; }
  /// Whether it is being stopped gracefully: connections may finish by themselves.
  static bool getGracefulStop() noexcept;
  /// The program's arguments, and the words of `command`.
  static std::vector<std::string> getArgv();
  /// One line to the terminal and the log file. Embedded: to stderr. `decorated`: as safeEcho().
  static void log(std::string_view message, bool decorated = false);
  /// The columns of the table that a start shows, each with Workerman's name of what is in it.
  static const std::vector<std::pair<std::string_view, std::string_view>>& getUiColumns();
  /// Of a daemon: opens stdoutFile again for standard output and error, which
  /// then go there instead of to outputStream; after the file was moved away, as
  /// `reload` does by itself. What keeps it from that is logged.
  static void resetStd();
  /// Text for the terminal, without a line end of its own.
  static void safeEcho(std::string_view message, bool decorated = false);

  // -- for the library ----------------------------------------------------------

  const SocketContext& socketContext() const noexcept { return socketContext_; }
  const std::string& socketName() const noexcept { return socketName_; }
  std::size_t connectionCount() const noexcept { return connectionCount_; }
  void connectionStarted();
  void connectionEnded(const Connection::TcpConnection& connection) noexcept;
  /// Of a worker that listens or has connections.
  detail::ConnectionLimitsBase& limits() const noexcept { return *limits_; }
  detail::Topics& topics();
  /// Opens the socket if need be, runs onWorkerStart, then accepts.
  void start();
  /// The socket that it will listen on, which the master has opened.
  void adopt(std::shared_ptr<detail::OpenSocket> socket) noexcept;

 private:
  friend class detail::Runtime;
  void openSocket();
  std::size_t publishMessage(std::string_view topic, Message data, bool toBridge);
  std::size_t broadcastMessage(Message data);
  void runStopCallback() noexcept;
  void releaseIfOver() noexcept;

  std::string socketName_;
  SocketContext socketContext_;
  /// Open, and not yet listened on.
  std::shared_ptr<detail::OpenSocket> socket_;
  std::unique_ptr<detail::Listener> listener_;
  std::shared_ptr<detail::Topics> topics_;
  std::unique_ptr<detail::ConnectionLimitsBase> limits_;
  std::size_t connectionCount_ = 0;
  bool isAccepting_ = false;
  /// What start() does when onWorkerStart has returned.
  bool acceptsAfterStart_ = true;
  /// From start() or listen() to stop().
  bool isStarted_ = false;
  bool hasRun_ = false;
  /// Listens since a callback has told it to, and nobody's shared_ptr keeps it.
  bool isLocal_ = false;
  std::shared_ptr<Worker> self_;
};

}  // namespace Workerman
