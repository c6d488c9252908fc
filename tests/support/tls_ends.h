#pragma once

/// TLS streams in pairs, without sockets.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "certificates.h"
#include "connection/tls/tls_context.h"
#include "connection/tls/tls_io.h"
#include "connection/tls/tls_stream.h"

namespace testing {

inline std::string takeOutput() {
  auto& output = Workerman::Connection::detail::TlsIo::ofThisThread().output;
  const std::string taken(output.view());
  output.clear();
  return taken;
}

/// What makes the ends of connections.
struct TlsContexts {
  using Context = Workerman::Connection::detail::TlsContext;
  Certificates certificates;
  std::shared_ptr<Context> ofServer = std::make_shared<Context>(
      Context::Role::Server, Workerman::SslOptions{.local_cert = certificates.issue()});
  std::shared_ptr<Context> ofClient =
      std::make_shared<Context>(Context::Role::Client, Workerman::SslOptions{.cafile = certificates.cafile});
};

/// Both ends of a connection, and what is on its way between them.
struct Ends {
  using TlsStream = Workerman::Connection::detail::TlsStream;
  using Outcome = TlsStream::Outcome;

  explicit Ends(const TlsContexts& contexts = {})
      : server(contexts.ofServer), client(contexts.ofClient, "localhost", "localhost:443") {}

  TlsStream server;
  TlsStream client;

  /// Until both are open; each flight arrives in pieces of `size` bytes.
  void open(std::size_t size = 1 << 20) {
    REQUIRE(client.handshake() == Outcome::NeedsInput);
    std::string toServer = takeOutput();
    std::string toClient = carry(server, toServer, size);
    toServer = carry(client, toClient, size);
    CHECK(client.isOpen());
    toClient = carry(server, toServer, size);
    CHECK(server.isOpen());
    // The tickets.
    CHECK(received(client, toClient, size) == "");
  }
  static std::string carry(TlsStream& to, std::string_view flight, std::size_t size) {
    std::string answer;
    auto outcome = Outcome::NeedsInput;
    for (; !flight.empty() && outcome == Outcome::NeedsInput;
         flight.remove_prefix(std::min(size, flight.size()))) {
      to.feed(flight.substr(0, size));
      outcome = to.handshake();
      answer += takeOutput();
    }
    CHECK(outcome != Outcome::Failed);
    return answer;
  }
  /// What `to` makes of the bytes, read in steps of `room`.
  static std::string received(TlsStream& to, std::string_view bytes, std::size_t size,
                              std::size_t room = 1 << 16, Outcome* last = nullptr) {
    std::string text, buffer(room, '\0');
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
      to.feed(bytes.substr(0, size));
      TlsStream::Decrypted result;
      do {
        result = to.read(buffer.data(), buffer.size());
        text.append(buffer, 0, result.size);
        if (last != nullptr) *last = result.outcome;
      } while (result.outcome == Outcome::Full);
    }
    return text;
  }
};

}  // namespace testing
