#pragma once

/// What the echo servers share: their command line, and the line that tells where they listen.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

namespace bench {

/// What a server does with each message.
enum class Serve {
  kWebSocket,        ///< sends it back
  kSecureWebSocket,  ///< the same over TLS
  kTcp,              ///< sends the bytes back, without any framing
  kBroadcast,        ///< sends it to every websocket connection
  kText,             ///< sends each line back
  kDeflate,  ///< as kWebSocket with permessage-deflate; what is longer than kLongestEcho gets no answer
};

/// Bytes. To pack a big answer is the user's work, which no library can cut into pieces.
constexpr size_t kLongestEcho = 1024;

struct ServeOptions {
  Serve what = Serve::kWebSocket;
  uint16_t port = 0;     ///< on 127.0.0.1; 0 chooses a free one
  const char* pem = "";  ///< file with the certificate and its key, for wss

  /// "MODE [PORT [PEM]]", MODE one of `modes`: ws, wss, tcp, broadcast, text, deflate. Ends the process with
  /// status 2, by which run.py knows it, if the server does not have this one.
  static ServeOptions parse(int argc, char** argv, std::initializer_list<std::string_view> modes) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    if (std::find(modes.begin(), modes.end(), mode) == modes.end()) {
      std::fprintf(stderr, "usage: %s MODE [PORT [PEM]], MODE one of:", argv[0]);
      for (std::string_view each : modes) std::fprintf(stderr, " %s", each.data());
      std::fprintf(stderr, "\n");
      std::exit(2);
    }
    ServeOptions options;
    options.what = mode == "ws"          ? Serve::kWebSocket
                   : mode == "wss"       ? Serve::kSecureWebSocket
                   : mode == "tcp"       ? Serve::kTcp
                   : mode == "broadcast" ? Serve::kBroadcast
                   : mode == "text"      ? Serve::kText
                                         : Serve::kDeflate;
    if (argc > 2) options.port = static_cast<uint16_t>(std::atoi(argv[2]));
    if (argc > 3) options.pem = argv[3];
    return options;
  }
};

/// The server listens on `port`.
inline void announce(int port) {
  std::printf("port=%d pid=%d\n", port, getpid());
  std::fflush(stdout);
}

}  // namespace bench
