/// Boost.Beast, the reference for a complete websocket client in C++. Set up in its favour: the plain
/// io_context executor, no frame is cut in pieces, and each leaves in one call.

#include <algorithm>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <memory>
#include <vector>

#include "report.h"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Error = boost::system::error_code;

struct Client;

class Peer {
 public:
  Peer(asio::io_context& context, Client& client) : ws_(Socket(context)), client_(client) {}
  void open();
  void sendMessage();

 private:
  void receive();
  void onMessage();

  websocket::stream<Socket> ws_;
  beast::flat_buffer buffer_;
  Client& client_;
};

struct Client {
  bench::Options options;
  bench::Meter meter;
  std::string message;
  asio::io_context& context;
  std::vector<std::unique_ptr<Peer>> peers;
};

void check(const Error& error) {
  if (error) bench::fail(error.message());
}

void Peer::open() {
  const asio::ip::tcp::endpoint server(asio::ip::address_v4::loopback(), client_.options.port);
  ws_.next_layer().async_connect(server, [this](Error error) {
    check(error);
    ws_.next_layer().set_option(asio::ip::tcp::no_delay(true));
    ws_.text(true);
    ws_.auto_fragment(false);
    ws_.write_buffer_bytes(std::max<size_t>(4096, client_.message.size() + 16));
    ws_.async_handshake("127.0.0.1", "/", [this](Error refused) {
      check(refused);
      receive();
      if (!client_.meter.opened()) return;
      for (const auto& peer : client_.peers) peer->sendMessage();
    });
  });
}

void Peer::sendMessage() {
  ws_.async_write(asio::buffer(client_.message), [](Error error, size_t) {
    if (error != asio::error::operation_aborted) check(error);
  });
}

void Peer::receive() {
  ws_.async_read(buffer_, [this](Error error, size_t) {
    check(error);
    onMessage();
  });
}

void Peer::onMessage() {
  if (buffer_.size() != client_.message.size()) bench::fail("an answer has another length than the message");
  buffer_.consume(buffer_.size());
  if (client_.meter.finished()) return;
  if (client_.meter.roundTrip()) {
    sendMessage();
    receive();
  } else {
    client_.context.stop();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  asio::io_context context(1);
  Client client{options, bench::Meter("beast", options), bench::asciiPayload(options.size), context, {}};
  for (unsigned i = 0; i < options.conns; ++i) {
    client.peers.push_back(std::make_unique<Peer>(context, client));
    client.peers.back()->open();
  }
  context.run();
  return client.meter.print();
}
