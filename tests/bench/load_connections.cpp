/// loadgen's modes about connections themselves: what an idle one keeps, what opening one costs.

#include <sys/socket.h>
#include <unistd.h>

#include "loadgen.h"
#include "net.h"
#include "report.h"

namespace bench {
namespace {

int open(const Load& load) {
  return load.websocket ? openWebSocket(load.port, load.path) : connectTo(load.port);
}

}  // namespace

void loadIdle(const Load& load) {
  if (load.pid == 0) fail("--pid is missing");
  // A few first, so that what the server allocates once is not charged to the connections.
  for (int i = 0; i < 16; ++i) open(load);
  usleep(300000);
  const long before = residentBytesOf(load.pid);
  for (unsigned i = 0; i < load.conns; ++i) open(load);
  usleep(500000);
  const long after = residentBytesOf(load.pid);
  std::printf("mode=idle conns=%u rss_before_kb=%ld rss_after_kb=%ld bytes_per_conn=%.0f\n", load.conns,
              before / 1024, after / 1024, static_cast<double>(after - before) / load.conns);
}

void loadConnect(const Load& load) {
  const double server = load.pid ? cpuOf(load.pid) : 0;
  const double cpu = cpuSeconds();
  const double start = wallSeconds();
  uint64_t opened = 0;
  for (; load.count > 0 ? opened < load.count : wallSeconds() - start < load.seconds; ++opened) {
    const int fd = open(load);
    const linger reset{1, 0};  // leaves no TIME_WAIT behind, which would use up the ports
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
  }
  const double wall = wallSeconds() - start;
  const double connections = static_cast<double>(opened);
  std::printf("mode=connect count=%.0f conn_per_s=%.0f gen_us=%.2f", connections, connections / wall,
              (cpuSeconds() - cpu) / connections * 1e6);
  if (load.pid) std::printf(" srv_us=%.2f", (cpuOf(load.pid) - server) / connections * 1e6);
  std::printf("\n");
}

}  // namespace bench
