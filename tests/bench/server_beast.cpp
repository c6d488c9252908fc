/// Boost.Beast and, for raw bytes, Boost.Asio. Set up in their favour: the plain io_context executor, no
/// frame is cut in pieces, and each leaves in one call.

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <csignal>
#include <deque>
#include <memory>
#include <string>
#include <unordered_set>

#include "serve.h"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Error = boost::system::error_code;

asio::ssl::context tls(asio::ssl::context::tls_server);
bench::Serve what;

/// Reads a message, writes it back, reads the next.
template <class Stream>
class EchoPeer : public std::enable_shared_from_this<EchoPeer<Stream>> {
 public:
  template <class... Args>
  explicit EchoPeer(Args&&... args) : ws_(std::forward<Args>(args)...) {}

  void run() {
    ws_.auto_fragment(false);
    ws_.write_buffer_bytes(65536);
    ws_.text(true);
    if (what == bench::Serve::kDeflate) {
      websocket::permessage_deflate offer;
      offer.server_enable = true;
      ws_.set_option(offer);
    }
    ws_.async_accept([self = this->shared_from_this()](Error error) {
      if (!error) self->receive();
    });
  }

 protected:
  websocket::stream<Stream> ws_;

 private:
  void receive() {
    ws_.async_read(buffer_, [self = this->shared_from_this()](Error error, size_t) {
      if (!error) self->answer();
    });
  }
  void answer() {
    if (what == bench::Serve::kDeflate && buffer_.size() > bench::kLongestEcho) {
      buffer_.consume(buffer_.size());
      return receive();
    }
    ws_.async_write(buffer_.data(), [self = this->shared_from_this()](Error error, size_t) {
      if (error) return;
      self->buffer_.consume(self->buffer_.size());
      self->receive();
    });
  }

  beast::flat_buffer buffer_;
};

using PlainPeer = EchoPeer<Socket>;

class SecurePeer : public EchoPeer<beast::ssl_stream<Socket>> {
 public:
  explicit SecurePeer(Socket socket) : EchoPeer(std::move(socket), tls) {}

  void run() {
    ws_.next_layer().async_handshake(asio::ssl::stream_base::server,
                                     [self = shared_from_this()](Error error) {
                                       if (!error) self->run();
                                     });
  }
};

class BroadcastPeer;
std::unordered_set<BroadcastPeer*> allPeers;

/// Hands each message to the queues of all peers.
class BroadcastPeer : public std::enable_shared_from_this<BroadcastPeer> {
 public:
  explicit BroadcastPeer(Socket socket) : ws_(std::move(socket)) {}
  ~BroadcastPeer() { allPeers.erase(this); }

  void run() {
    ws_.auto_fragment(false);
    ws_.text(true);
    ws_.async_accept([self = shared_from_this()](Error error) {
      if (error) return;
      allPeers.insert(self.get());
      self->receive();
    });
  }

 private:
  using Message = std::shared_ptr<const std::string>;

  void receive() {
    ws_.async_read(buffer_, [self = shared_from_this()](Error error, size_t) {
      if (error) return;
      const auto message =
          std::make_shared<const std::string>(beast::buffers_to_string(self->buffer_.data()));
      self->buffer_.consume(self->buffer_.size());
      for (BroadcastPeer* peer : allPeers) peer->push(message);
      self->receive();
    });
  }
  void push(const Message& message) {
    queue_.push_back(message);
    if (queue_.size() == 1) sendFirst();
  }
  void sendFirst() {
    ws_.async_write(asio::buffer(*queue_.front()), [self = shared_from_this()](Error error, size_t) {
      if (error) return;
      self->queue_.pop_front();
      if (!self->queue_.empty()) self->sendFirst();
    });
  }

  websocket::stream<Socket> ws_;
  beast::flat_buffer buffer_;
  std::deque<Message> queue_;
};

class TcpPeer : public std::enable_shared_from_this<TcpPeer> {
 public:
  explicit TcpPeer(Socket socket) : socket_(std::move(socket)) {}

  void run() {
    socket_.async_read_some(asio::buffer(bytes_), [self = shared_from_this()](Error error, size_t size) {
      if (!error) self->answer(size);
    });
  }

 private:
  void answer(size_t size) {
    const auto onWritten = [self = shared_from_this()](Error error, size_t) {
      if (!error) self->run();
    };
    asio::async_write(socket_, asio::buffer(bytes_, size), onWritten);
  }

  Socket socket_;
  std::array<char, 65536> bytes_;
};

template <class Peer>
void acceptNext(Acceptor& acceptor) {
  acceptor.async_accept([&acceptor](Error error, Socket socket) {
    if (error) return;
    socket.set_option(asio::ip::tcp::no_delay(true));
    std::make_shared<Peer>(std::move(socket))->run();
    acceptNext<Peer>(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::ServeOptions::parse(argc, argv, {"ws", "wss", "tcp", "broadcast", "deflate"});
  what = options.what;
  asio::io_context context(1);
  Acceptor acceptor(context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), options.port));
  asio::signal_set signals(context, SIGTERM);
  signals.async_wait([&context](Error, int) { context.stop(); });
  switch (what) {
    case bench::Serve::kWebSocket:
    case bench::Serve::kDeflate:
      acceptNext<PlainPeer>(acceptor);
      break;
    case bench::Serve::kSecureWebSocket:
      tls.use_certificate_chain_file(options.pem);
      tls.use_private_key_file(options.pem, asio::ssl::context::pem);
      acceptNext<SecurePeer>(acceptor);
      break;
    case bench::Serve::kTcp:
      acceptNext<TcpPeer>(acceptor);
      break;
    case bench::Serve::kText:
      break;  // not one of its modes
    case bench::Serve::kBroadcast:
      acceptNext<BroadcastPeer>(acceptor);
      break;
  }
  bench::announce(acceptor.local_endpoint().port());
  context.run();
  return 0;
}
