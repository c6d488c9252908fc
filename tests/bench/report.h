#pragma once

/// What the ping-pong clients share: their command line, the counting of round trips, and the one line
/// of results. Nothing here knows about sockets.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

namespace bench {

[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

inline double secondsOf(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
inline double wallSeconds() {
  return secondsOf(CLOCK_MONOTONIC);
}
/// CPU seconds, user and kernel, of all threads of this process.
inline double cpuSeconds() {
  return secondsOf(CLOCK_PROCESS_CPUTIME_ID);
}

/// `size` bytes of lower-case ASCII, the payload that every benchmark sends.
inline std::string asciiPayload(size_t size) {
  std::string text(size, 'a');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

/// The command line of a ping-pong client.
struct Options {
  uint16_t port = 0;        ///< of the echo server on 127.0.0.1
  unsigned conns = 1;       ///< connections, each with one message in flight
  size_t size = 20;         ///< payload bytes
  uint64_t count = 100000;  ///< measured round trips, over all connections
  uint64_t warmup = 1000;   ///< round trips before these, at least 1

  static Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; i += 2) {
      const std::string_view name = argv[i];
      if (i + 1 == argc) fail("no value for " + std::string(name));
      const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
      if (name == "--port") {
        options.port = static_cast<uint16_t>(value);
      } else if (name == "--conns") {
        options.conns = static_cast<unsigned>(value);
      } else if (name == "--size") {
        options.size = value;
      } else if (name == "--count") {
        options.count = value;
      } else if (name == "--warmup") {
        options.warmup = value;
      } else {
        fail("unknown option " + std::string(name));
      }
    }
    if (options.port == 0) fail("usage: --port P [--conns N] [--size BYTES] [--count N] [--warmup N]");
    if (options.conns == 0 || options.count == 0 || options.warmup == 0) {
      fail("--conns, --count and --warmup start at 1");
    }
    return options;
  }
};

/// Counts connections and round trips and takes the clocks at both ends of the measured window.
///
/// All messages start when the last connection is open, so that no handshake falls into the window.
class Meter {
 public:
  Meter(const char* client, const Options& options)
      : client_(client), options_(options), mark_(options.warmup) {}

  /// One more connection is open. @return true for the last: now every connection sends its first message.
  bool opened() { return ++opened_ == options_.conns; }

  /// One more answer is complete. @return false when it was the last; the client sends nothing more and ends.
  bool roundTrip() { return ++done_ != mark_ || reachMark(); }

  bool finished() const { return finished_; }

  /// Prints the line of results. @return the exit status of the program.
  int print() const {
    if (!finished_) fail("ended before the last round trip");
    const double count = static_cast<double>(options_.count);
    std::printf("client=%s conns=%u size=%zu count=%llu seconds=%.3f rt_per_s=%.0f cpu_us=%.3f\n", client_,
                options_.conns, options_.size, static_cast<unsigned long long>(options_.count), wall_,
                count / wall_, cpu_ / count * 1e6);
    return 0;
  }

 private:
  bool reachMark() {
    if (done_ == options_.warmup) {
      mark_ = options_.warmup + options_.count;
      wall_ = wallSeconds();
      cpu_ = cpuSeconds();
      return true;
    }
    cpu_ = cpuSeconds() - cpu_;
    wall_ = wallSeconds() - wall_;
    finished_ = true;
    return false;
  }

  const char* client_;
  Options options_;
  unsigned opened_ = 0;
  uint64_t done_ = 0;
  uint64_t mark_;
  double wall_ = 0;
  double cpu_ = 0;
  bool finished_ = false;
};

}  // namespace bench
