#pragma once

#include <cstddef>

namespace Workerman::Protocols {

/// How websockets compress their messages (permessage-deflate, RFC 7692): `Websocket::deflate` is the
/// servers', `Ws::deflate` the clients'. Process-wide; set them before runAll() or embed().
///
/// What they cost. Where no context is kept a connection has 32 bytes more, and the streams, about 310 KiB
/// for each thread, are shared by all. Where it is kept (better compression of small, similar messages),
/// each connection has, from the first message that needs it:
///
/// | kept for | bytes | 15 bits, memLevel 8 | 12 bits, memLevel 5 | 9 bits, memLevel 1 |
/// | --- | --- | --- | --- | --- |
/// | sending | 2^(bits + 2) + 2^(memLevel + 9) + 6 Ki | 262 KiB | 38 KiB | 9 KiB |
/// | receiving | 2^bits + 7 Ki | 39 KiB | 11 KiB | 8 KiB |
///
/// So a server of 10,000 connections with context in both directions would need 3 GB: servers keep none
/// unless told to, and ask their clients not to either. A client, which has one or a few connections and
/// often repeats itself, keeps it.
struct DeflateOptions {
  /// The server compresses each message by itself. A client's offer of it is always accepted; a client
  /// that offers it insists.
  bool serverNoContextTakeover;
  /// The client compresses each message by itself.
  bool clientNoContextTakeover;
  /// How far back the server's compressor looks at most: 2^bits bytes, 8 to 15.
  int serverMaxWindowBits = 15;
  /// The client's. A server can ask less than 15 only of clients that offer client_max_window_bits, as
  /// browsers do.
  int clientMaxWindowBits = 15;
  /// zlib's level: 1 (fast) to 9 (small), 0 for none, -1 for zlib's choice.
  int level = 6;
  /// zlib's memory level for compressing: 1 (least memory) to 9 (fastest).
  int memLevel = 8;
  /// Shorter messages, in bytes, go uncompressed: below 64 deflate saves nothing. Empty ones always do, and
  /// those that would not get shorter where no context is kept.
  std::size_t threshold = 64;
};

}  // namespace Workerman::Protocols
