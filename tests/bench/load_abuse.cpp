/// loadgen's abuse mode: how long a polite client waits for its answers, alone and beside a peer that sends
/// as much as it can of what costs the server most.

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

#include "loadgen.h"
#include "net.h"
#include "report.h"
#include "wire.h"

namespace bench {
namespace {

constexpr uint8_t kFinal = 0x80;
constexpr uint8_t kCompressed = 0x40;
constexpr size_t kBombSize = 10 << 20;    // bytes when inflated: Workerman's maxPackageSize
constexpr size_t kBatchSize = 512 << 10;  // bytes for one send()

/// One text message of `size` equal bytes as permessage-deflate sends it, in one frame.
std::string bomb(size_t size) {
  const std::string text(size, 'a');
  std::string packed(size / 500, '\0');  // deflate's best ratio is 1 to 1032
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) fail("zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_SYNC_FLUSH);
  if (stream.avail_in > 0 || stream.avail_out == 0) fail("zlib");
  packed.resize(packed.size() - stream.avail_out - 4);  // without the end of the flush, as RFC 7692 says
  deflateEnd(&stream);
  return maskedFrame(kFinal | kCompressed | kText, packed);
}

/// What an abuser sends: `first` once, `unit` for ever.
struct Abuse {
  const char* kind;
  std::string (*unit)(const Load& load);  ///< nullptr: nothing, it opens and resets connections
  std::string (*first)() = nullptr;
  bool websocket = true;  ///< or plain TCP, for the lines of text://
  bool compressed = false;
  bool reads = true;  ///< takes the answers
};

const Abuse kAbuses[] = {
    {.kind = "bombs", .unit = [](const Load&) { return bomb(kBombSize); }, .compressed = true},
    {.kind = "tiny", .unit = [](const Load&) { return maskedFrame(kFinal | kText, ""); }},
    {.kind = "pings", .unit = [](const Load&) { return maskedFrame(kFinal | kPing, ""); }},
    {.kind = "fragments",
     .unit = [](const Load&) { return maskedFrame(kContinuation, ""); },
     .first = [] { return maskedFrame(kText, ""); }},
    {.kind = "newlines", .unit = [](const Load&) { return std::string("\n"); }, .websocket = false},
    {.kind = "unread",
     .unit = [](const Load& load) { return maskedTextFrame(asciiPayload(load.size)); },
     .reads = false},
    {.kind = "open-close", .unit = nullptr},
};

const Abuse& abuseNamed(const std::string& kind) {
  std::string names;
  for (const Abuse& each : kAbuses) {
    if (each.kind == kind) return each;
    names.append(" ").append(each.kind);
  }
  fail("--kind must be one of:" + names);
}

/// A thread of its own that abuses the server as long as it lives.
///
/// It shares a core with the polite client, whose waking up it must not delay: it is nicer.
class Abuser {
 public:
  Abuser(const Load& load, const Abuse& abuse)
      : load_(load), abuse_(abuse), buffer_(size_t{1} << 18), thread_([this] { run(); }) {}
  ~Abuser() {
    stopped_ = true;
    thread_.join();
  }

  uint64_t bytes() const { return bytes_; }         ///< that the server's socket has taken
  unsigned connections() const { return opened_; }  ///< more than one where the server cuts them

 private:
  void run() {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 5);  // Linux: of this thread alone
    if (abuse_.unit != nullptr) {
      const std::string unit = abuse_.unit(load_);
      while (batch_.size() < kBatchSize) batch_ += unit;
    }
    for (; !stopped_; ++opened_) {
      const int fd = open();
      if (abuse_.unit != nullptr) flood(fd);
      resetConnection(fd);
    }
  }

  int open() const {
    if (!abuse_.websocket) return connectTo(load_.port);
    return openWebSocket(load_.port, load_.path, abuse_.compressed ? "permessage-deflate" : "");
  }

  /// Until the server closes.
  void flood(int fd) {
    setNonBlocking(fd);
    std::string_view rest = batch_;
    const std::string first = abuse_.first != nullptr ? abuse_.first() : std::string();
    if (!first.empty()) rest = first;
    while (!stopped_) {
      pollfd ready{fd, static_cast<short>(POLLOUT | (abuse_.reads ? POLLIN : 0)), 0};
      poll(&ready, 1, 100);
      if (ready.revents & POLLIN) {
        const ssize_t size = recv(fd, buffer_.data(), buffer_.size(), 0);
        if (size == 0 || (size < 0 && errno != EAGAIN)) return;
      }
      if (ready.revents & (POLLERR | POLLHUP)) return;
      if ((ready.revents & POLLOUT) == 0) continue;
      const ssize_t size = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (size < 0 && errno != EAGAIN) return;
      if (size < 0) continue;
      bytes_ += static_cast<uint64_t>(size);
      rest.remove_prefix(static_cast<size_t>(size));
      if (rest.empty()) rest = batch_;
    }
  }

  const Load& load_;
  const Abuse& abuse_;
  std::string batch_;
  std::vector<char> buffer_;
  std::atomic<bool> stopped_ = false;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<unsigned> opened_ = 0;
  std::thread thread_;  // the last: it uses all others
};

/// Microseconds that the answers of one window took.
struct Latencies {
  std::vector<double> all;

  double quantile(double part) const {
    const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(all.size())));
    return all[std::max<size_t>(rank, 1) - 1];
  }
  void print(const char* name) {
    std::sort(all.begin(), all.end());
    std::printf(" %s_count=%zu %s_median_us=%.1f %s_p99_us=%.1f %s_max_us=%.1f", name, all.size(), name,
                quantile(0.5), name, quantile(0.99), name, all.back());
  }
};

/// One message in flight, one each millisecond at most.
class PoliteClient {
 public:
  PoliteClient(const Load& load, bool websocket)
      : fd_(websocket ? openWebSocket(load.port, load.path) : connectTo(load.port)),
        websocket_(websocket),
        message_(websocket ? maskedTextFrame(asciiPayload(load.size)) : asciiPayload(load.size) + "\n"),
        frames_(load.size),
        lines_(load.size + 1) {}

  Latencies play(double seconds) {
    Latencies latencies;
    const double end = wallSeconds() + seconds;
    do {
      latencies.all.push_back(roundTrip());
      untilNextMillisecond();
    } while (wallSeconds() < end);
    return latencies;
  }

 private:
  double roundTrip() {
    const double begin = wallSeconds();
    if (send(fd_, message_.data(), message_.size(), MSG_NOSIGNAL) < 0) fail("the server closed");
    uint8_t bytes[4096];
    unsigned answers = 0;
    while (answers == 0) {
      const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
      if (size <= 0) fail("the server closed the polite connection");
      answers = websocket_ ? frames_.feed(bytes, static_cast<size_t>(size))
                           : lines_.feed(bytes, static_cast<size_t>(size));
    }
    return (wallSeconds() - begin) * 1e6;
  }

  static void untilNextMillisecond() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 1'000'000 - time.tv_nsec % 1'000'000;
    if (time.tv_nsec == 1'000'000'000) {
      time.tv_nsec = 0;
      ++time.tv_sec;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR) {
    }
  }

  int fd_;
  bool websocket_;
  std::string message_;
  FrameCounter frames_;
  ByteCounter lines_;
};

}  // namespace

void loadAbuse(const Load& load) {
  const Abuse& abuse = abuseNamed(load.kind);
  PoliteClient polite(load, abuse.websocket);
  polite.play(0.1);
  Latencies quiet = polite.play(load.seconds);
  Abuser abuser(load, abuse);
  polite.play(0.3);  // until what the kernel keeps for the server is full
  const double begin = wallSeconds();
  const uint64_t bytes = abuser.bytes();
  const double server = load.pid ? cpuOf(load.pid) : 0;
  Latencies abused = polite.play(load.seconds);
  const double wall = wallSeconds() - begin;
  std::printf("mode=abuse kind=%s", abuse.kind);
  quiet.print("quiet");
  abused.print("abused");
  std::printf(" abuse_kb_per_s=%.0f abusers=%u", static_cast<double>(abuser.bytes() - bytes) / wall / 1000,
              abuser.connections() + 1);
  if (load.pid) std::printf(" srv_busy=%.0f%%", (cpuOf(load.pid) - server) / wall * 100);
  std::printf("\n");
}

}  // namespace bench
