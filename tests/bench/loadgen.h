#pragma once

/// The parts of the load generator; loadgen.cpp is its command line.

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

/// What is to be done to a server, given by its port and process id.
struct Load {
  uint16_t port = 0;
  int pid = 0;           ///< of the server; 0: its CPU and memory are not shown
  unsigned conns = 100;  ///< connections
  unsigned depth = 1;    ///< messages in flight on each
  size_t size = 20;      ///< payload bytes
  double seconds = 2;    ///< measured window, unless `count` is given
  uint64_t count = 0;    ///< measured messages; 0: as many as fit into `seconds`
  uint64_t warmup = 0;   ///< messages before; 0: 0.3 seconds, or none if `count` is given
  std::string path = "/";
  std::string kind;        ///< of the abuse
  bool broadcast = false;  ///< one sends, all receive
  bool websocket = true;   ///< idle and connect: upgrade, or plain TCP
};

/// Messages to and fro: over websockets, without and with TLS, over raw TCP, or HTTP requests.
void loadWebSocketEcho(const Load& load);
void loadSecureEcho(const Load& load);
void loadTcpEcho(const Load& load);
void loadHttp(const Load& load);
/// The first connection sends `depth` messages, and again when each connection has received all of them from
/// the server. A message counts once for each connection.
void loadBroadcast(const Load& load);
/// Opens `conns` connections and shows the server's growth in memory for each.
void loadIdle(const Load& load);
void loadSecureIdle(const Load& load);
/// Opens and resets one connection after the other.
void loadConnect(const Load& load);
/// The same with no more than the TLS handshake, a full one or one that goes on with the last one's session,
/// until the server's ticket has come.
void loadHandshakes(const Load& load);
void loadResumptions(const Load& load);
/// How long a polite client waits for its answers, alone and then beside one abuser of `kind`, for `seconds`
/// each.
void loadAbuse(const Load& load);

}  // namespace bench
