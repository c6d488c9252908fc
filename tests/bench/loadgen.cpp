/// Load generator for servers; README.md describes the modes.

#include "loadgen.h"

#include <functional>
#include <map>

#include "report.h"

namespace {

constexpr const char* kUsage =
    "usage: loadgen "
    "ws-echo|wss-echo|tcp-echo|http-get|broadcast|ws-idle|wss-idle|tcp-idle|connect|handshake|\n"
    "               resumption|abuse -p PORT [--pid SERVER]\n"
    "               [-c CONNS] [-s BYTES] [-P DEPTH] [-d SECONDS | -n COUNT] [-w WARMUP] [--path /] [--kind "
    "ABUSE]";

bench::Load parse(int argc, char** argv) {
  bench::Load load;
  const std::map<std::string, std::function<void(const char*)>> options = {
      {"-p", [&](const char* v) { load.port = static_cast<uint16_t>(std::atoi(v)); }},
      {"--pid", [&](const char* v) { load.pid = std::atoi(v); }},
      {"-c", [&](const char* v) { load.conns = static_cast<unsigned>(std::atoi(v)); }},
      {"-s", [&](const char* v) { load.size = std::strtoull(v, nullptr, 10); }},
      {"-P", [&](const char* v) { load.depth = static_cast<unsigned>(std::atoi(v)); }},
      {"-d", [&](const char* v) { load.seconds = std::atof(v); }},
      {"-n", [&](const char* v) { load.count = std::strtoull(v, nullptr, 10); }},
      {"-w", [&](const char* v) { load.warmup = std::strtoull(v, nullptr, 10); }},
      {"--path", [&](const char* v) { load.path = v; }},
      {"--kind", [&](const char* v) { load.kind = v; }},
  };
  for (int i = 2; i < argc; i += 2) {
    const auto option = options.find(argv[i]);
    if (option == options.end() || i + 1 == argc) bench::fail(kUsage);
    option->second(argv[i + 1]);
  }
  if (load.conns == 0 || load.depth == 0 || load.size == 0) bench::fail("-c, -P and -s start at 1");
  return load;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  bench::Load load = parse(argc, argv);
  load.websocket = mode != "tcp-idle";
  const std::map<std::string, std::function<void()>> modes = {
      {"ws-echo", [&] { bench::loadWebSocketEcho(load); }},
      {"wss-echo", [&] { bench::loadSecureEcho(load); }},
      {"tcp-echo", [&] { bench::loadTcpEcho(load); }},
      {"http-get", [&] { bench::loadHttp(load); }},
      {"broadcast", [&] { bench::loadBroadcast(load); }},
      {"ws-idle", [&] { bench::loadIdle(load); }},
      {"wss-idle", [&] { bench::loadSecureIdle(load); }},
      {"tcp-idle", [&] { bench::loadIdle(load); }},
      {"connect", [&] { bench::loadConnect(load); }},
      {"handshake", [&] { bench::loadHandshakes(load); }},
      {"resumption", [&] { bench::loadResumptions(load); }},
      {"abuse", [&] { bench::loadAbuse(load); }},
  };
  const auto found = modes.find(mode);
  if (found == modes.end()) bench::fail(kUsage);
  if (load.port == 0) bench::fail("-p PORT is missing");
  found->second();
}
