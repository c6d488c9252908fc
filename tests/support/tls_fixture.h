#pragma once

/// TLS workers and clients on one loop, with certificates made on the fly.

#include <memory>
#include <string>

#include "certificates.h"
#include "journal.h"
#include "loop_fixture.h"

namespace testing {

/// What callbacks write to, which also run when the loop ends.
struct Journals {
  Journal server, client;
};

struct TlsFixture : Journals, LoopFixture {
  Certificates certificates;

  /// A TLS worker that listens, with a certificate for localhost.
  std::shared_ptr<Workerman::Worker> listen(const std::string& scheme, Workerman::SslOptions options = {}) {
    if (options.local_cert.empty() && options.SNI_server_certs.empty())
      options.local_cert = certificates.issue();
    auto worker = std::make_shared<Workerman::Worker>(scheme + "://127.0.0.1:0",
                                                      Workerman::SocketContext{.ssl = options});
    worker->transport = "ssl";
    worker->listen();
    return worker;
  }
  /// Trusts the authority of `certificates`; not connected yet.
  std::shared_ptr<Workerman::Connection::AsyncTcpConnection> connect(int port, const std::string& scheme,
                                                                     Workerman::SslOptions options = {},
                                                                     const std::string& host = "localhost") {
    if (options.cafile.empty() && options.capath.empty()) options.cafile = certificates.cafile;
    const std::string address = scheme + "://" + host + ":" + std::to_string(port);
    auto connection = std::make_shared<Workerman::Connection::AsyncTcpConnection>(
        address, Workerman::SocketContext{.ssl = options});
    connection->transport = "ssl";
    return connection;
  }
  std::shared_ptr<Workerman::Connection::AsyncTcpConnection> connect(const Workerman::Worker& worker,
                                                                     const std::string& scheme,
                                                                     Workerman::SslOptions options = {},
                                                                     const std::string& host = "localhost") {
    return connect(worker.getListenPort(), scheme, std::move(options), host);
  }
};

}  // namespace testing
