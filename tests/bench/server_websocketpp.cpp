/// websocketpp over Boost.Asio, without its logs. Set up in its favour: TCP_NODELAY, and a message that it
/// received goes back as it is.

#include <csignal>
#include <memory>
#include <set>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/server.hpp>

#include "serve.h"

namespace {

using Server = websocketpp::server<websocketpp::config::asio>;
using websocketpp::connection_hdl;

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::ServeOptions::parse(argc, argv, {"ws", "broadcast"});
  Server server;
  std::set<connection_hdl, std::owner_less<connection_hdl>> all;
  server.clear_access_channels(websocketpp::log::alevel::all);
  server.clear_error_channels(websocketpp::log::elevel::all);
  server.init_asio();
  server.set_reuse_addr(true);
  server.set_tcp_post_init_handler([&server](connection_hdl peer) {
    server.get_con_from_hdl(peer)->get_raw_socket().set_option(boost::asio::ip::tcp::no_delay(true));
  });
  if (options.what == bench::Serve::kBroadcast) {
    server.set_open_handler([&all](connection_hdl peer) { all.insert(peer); });
    server.set_close_handler([&all](connection_hdl peer) { all.erase(peer); });
    server.set_message_handler([&](connection_hdl, const Server::message_ptr& message) {
      for (const connection_hdl& peer : all) server.send(peer, message);
    });
  } else {
    server.set_message_handler(
        [&server](connection_hdl peer, const Server::message_ptr& message) { server.send(peer, message); });
  }
  server.listen(boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4::loopback(), options.port));
  server.start_accept();
  boost::asio::signal_set signals(server.get_io_service(), SIGTERM);
  signals.async_wait([&server](const boost::system::error_code&, int) { server.stop(); });
  boost::system::error_code error;
  bench::announce(server.get_local_endpoint(error).port());
  server.run();
  return 0;
}
