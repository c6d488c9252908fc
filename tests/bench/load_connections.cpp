/// loadgen's modes about connections themselves: what an idle one keeps, what opening one costs.

#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "loadgen.h"
#include "net.h"
#include "report.h"
#include "tls.h"

namespace bench {
namespace {

int open(const Load& load) {
  return load.websocket ? openWebSocket(load.port, load.path) : connectTo(load.port);
}

template <class Open>
void measureIdle(const Load& load, Open open) {
  if (load.pid == 0) fail("--pid is missing");
  // A few first, so that what the server allocates once is not charged to the connections.
  for (int i = 0; i < 16; ++i) open();
  usleep(300000);
  const long before = residentBytesOf(load.pid);
  for (unsigned i = 0; i < load.conns; ++i) open();
  usleep(500000);
  const long after = residentBytesOf(load.pid);
  std::printf("mode=idle conns=%u rss_before_kb=%ld rss_after_kb=%ld bytes_per_conn=%.0f\n", load.conns,
              before / 1024, after / 1024, static_cast<double>(after - before) / load.conns);
}

/// `open` opens and resets one.
template <class Open>
void measureConnects(const Load& load, const char* mode, Open open) {
  const double server = load.pid ? cpuOf(load.pid) : 0;
  const double cpu = cpuSeconds();
  const double start = wallSeconds();
  uint64_t opened = 0;
  for (; load.count > 0 ? opened < load.count : wallSeconds() - start < load.seconds; ++opened) {
    open();
  }
  const double wall = wallSeconds() - start;
  const double connections = static_cast<double>(opened);
  std::printf("mode=%s count=%.0f conn_per_s=%.0f gen_us=%.2f", mode, connections, connections / wall,
              (cpuSeconds() - cpu) / connections * 1e6);
  if (load.pid) std::printf(" srv_us=%.2f", (cpuOf(load.pid) - server) / connections * 1e6);
  std::printf("\n");
}

}  // namespace

void loadIdle(const Load& load) {
  measureIdle(load, [&load] { open(load); });
}

void loadSecureIdle(const Load& load) {
  std::vector<TlsSocket> all;
  measureIdle(load, [&] { all.push_back(TlsSocket::openWebSocket(load.port, load.path)); });
}

void loadConnect(const Load& load) {
  measureConnects(load, "connect", [&load] { resetConnection(open(load)); });
}

void loadHandshakes(const Load& load) {
  measureConnects(load, "handshake", [&load] { TlsSocket(load.port).awaitTicket(); });
}

void loadResumptions(const Load& load) {
  TlsSocket(load.port).awaitTicket();
  measureConnects(load, "resumption", [&load] { TlsSocket(load.port, true).awaitTicket(); });
}

}  // namespace bench
